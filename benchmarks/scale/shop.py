"""A demo shop of a size, with its tiers; what is asked of it is known without asking."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import urlencode

from arcana.repository.v1 import product_pb2
from benchmarks.people import HASH_METHOD
from benchmarks.plan import GRPC
from benchmarks.processes import Program, Stack, environment
from benchmarks.scale.caller import Caller, Request
from benchmarks.stacks import NOTHING_MORE, Layout, chain_layout
from benchmarks.stores import BenchmarkStore
from benchmarks.worker import BenchmarkError
from launcher.accounts import DEMO_PASSWORD
from launcher.demo.goods import make_product
from launcher.demo.people import make_user

ADMIN = ("admin@shop.example", "Benchmark-Passw0rd-1")
PAGE = 10
WALKED_PAGE = 100
# How deep the deep page lies, as a share of all: 90,000 of 100,000.
DEPTH = 0.9
# Nobody has sold so many of these by the time that the run ends.
ENOUGH = 300


@dataclass(frozen=True, slots=True)
class Shop:
    """A running shop.

    Attributes:
        size: how many products it has, and how many orders.
        admin: the headers of its admin.
        buyer: those of one of its users.
        deep_products: cursors at the depth and a little after it.
        deep_orders: the same of the list of all orders.
    """

    size: int
    stack: Stack
    edge_url: str
    admin: Mapping[str, str]
    buyer: Mapping[str, str]
    deep_products: Sequence[str]
    deep_orders: Sequence[str]

    def product(self, dice: Random) -> product_pb2.Product:
        """Return one of the products that everybody sees."""
        while True:
            product = make_product(dice.randrange(self.size)).product
            if product.status == product_pb2.PRODUCT_STATUS_ACTIVE:
                return product

    def stocked_product(self, dice: Random) -> product_pb2.Product:
        """Return one that there is enough of."""
        while True:
            product = self.product(dice)
            if product.stock >= ENOUGH:
                return product


# Says which programs run of a layout.
Arrange = Callable[[Layout], Sequence[Program]]


def as_laid_out(layout: Layout) -> Sequence[Program]:
    """Change nothing about it."""
    return layout.programs


@contextmanager
def open_shop(
    size: int,
    users: int,
    store: BenchmarkStore,
    folder: Path,
    *,
    told: Mapping[str, str] = NOTHING_MORE,
    arrange: Arrange = as_laid_out,
) -> Iterator[Shop]:
    """Fill a store, and run the tiers on it, told some settings on top of those of all benchmarks.

    Raises:
        BenchmarkError: it cannot be filled, or does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    amounts = ("--products", str(size), "--users", str(users), "--orders", str(size))
    _command(store, folder, told, "migrate")
    _command(store, folder, told, "seed", *amounts)
    layout = chain_layout(GRPC, store, folder, told=told)
    with ExitStack() as running:
        stack = running.enter_context(Stack(f"shop of {size:,}", arrange(layout), folder))
        admin = {"ARCANA_ADMIN_EMAIL": ADMIN[0], "ARCANA_ADMIN_PASSWORD": ADMIN[1]}
        admin |= {**told, "SERVICE_URL": layout.service_url}
        _command(store, folder, admin, "create-admin")
        with Caller(layout.edge_url) as caller:
            admins = _signed_in(caller, *ADMIN)
            depth = int(size * DEPTH)
            yield Shop(
                size,
                stack,
                layout.edge_url,
                admins,
                _signed_in(caller, make_user(0).email, DEMO_PASSWORD),
                _cursors(caller, "/products", admins, depth),
                _cursors(caller, "/orders", admins, depth),
            )


def list_path(path: str, **query: str | int) -> str:
    """Return the path of a page of a list, oldest first."""
    return f"{path}?{urlencode({'size': PAGE, 'sort': 'created_at', 'order': 'asc', **query})}"


def _cursors(
    caller: Caller, path: str, headers: Mapping[str, str], depth: int, count: int = 5
) -> list[str]:
    """Walk to a depth, and return the cursors of the pages from there on."""
    cursors: list[str] = []
    cursor, walked = "", 0
    while len(cursors) < count:
        query: dict[str, str | int] = {"cursor": cursor} if cursor else {}
        query["size"] = min(WALKED_PAGE, depth - walked) if walked < depth else PAGE
        page = caller.ask(Request("GET", list_path(path, **query), headers))
        walked += len(page["data"])
        cursor = page["next_cursor"]
        if not cursor:
            raise BenchmarkError(f"{path} ends after {walked:,}, before it is deep enough")
        if walked >= depth:
            cursors.append(cursor)
    return cursors


def _signed_in(caller: Caller, email: str, password: str) -> Mapping[str, str]:
    asked = Request("POST", "/auth/login", body={"email": email, "password": password})
    return {"Authorization": f"Bearer {caller.ask(asked)['access_token']}"}


def _command(store: BenchmarkStore, folder: Path, settings: Mapping[str, str], *words: str) -> None:
    told = {
        "ARCANA_HOME": str(folder),
        "PASSWORD_HASH_METHOD": HASH_METHOD,
        **store.environ(),
        **settings,
    }
    done = subprocess.run(
        [sys.executable, "-m", "launcher.cli", *words],
        env=environment(told),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"arcana {' '.join(words)}: {done.stdout}{done.stderr}")
