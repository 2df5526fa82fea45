"""`arcana seed` with numbers: demo data written straight into the stores, with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TextIO, TypeVar

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from arcana.repository.v1 import order_pb2, product_pb2, user_pb2
from launcher.console import Console
from launcher.demo.draws import MAX_NUMBER
from launcher.demo.goods import make_product
from launcher.demo.people import make_user
from launcher.demo.sales import PriceList, Sales
from tier_runtime.errors import AppError, Kind
from tier_runtime.startup import StartupError

T = TypeVar("T")


class BulkLoad(Protocol):
    """What the repository tier loads with; see `repository_tier.bulk_load`."""

    @property
    def batch(self) -> int:
        """How many things to give at a time."""
        ...

    @property
    def leaves_cache_behind(self) -> bool:
        """True when a running tier remembers products in a place that cannot be reached."""
        ...

    def users(self, batch: Sequence[user_pb2.User], password_hash: str) -> int:
        """Load users; return how many were new."""
        ...

    def products(
        self,
        batch: Sequence[tuple[product_pb2.Product, Sequence[product_pb2.StockMovement]]],
    ) -> int:
        """Load products with their ledgers; return how many were new."""
        ...

    def orders(
        self,
        batch: Sequence[tuple[order_pb2.Order, Sequence[tuple[str, product_pb2.StockMovement]]]],
    ) -> tuple[int, int]:
        """Load orders with their movements; return how many were new and how many left out."""
        ...


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much of each kind there is to be."""

    products: int = 0
    users: int = 0
    orders: int = 0

    def check(self) -> None:
        """Do nothing if there can be so much.

        Raises:
            StartupError: there is nothing that could be sold, or nobody to buy it.
        """
        if max(self.products, self.users, self.orders) > MAX_NUMBER:
            raise StartupError(f"At most {MAX_NUMBER:,} of each kind can be made.")
        if self.orders and not (self.products and self.users):
            raise StartupError(
                "--orders needs --products and --users: it is these users who order these products."
            )


class Seeding:
    """Loads demo data, batch by batch.

    Args:
        bulk: where to.
        console: where to say what was done.
        stream: where to draw the progress, if it is a terminal.
    """

    def __init__(self, bulk: BulkLoad, console: Console, stream: TextIO) -> None:
        self._bulk = bulk
        self._console = console
        self._terminal = RichConsole(file=stream)

    def run(self, amounts: Amounts, hash_password: Callable[[], str], price: PriceList) -> None:
        """Make what is missing of these amounts."""
        # One hash, which is slow on purpose, for all of them.
        password_hash = hash_password() if amounts.users else ""
        with self._progress() as progress:
            users = map(make_user, range(amounts.users))
            made_users = sum(
                self._bulk.users(batch, password_hash)
                for batch in self._batches(progress, "users", users, amounts.users)
            )
            products = (
                (stocked.product, stocked.movements)
                for stocked in map(make_product, range(amounts.products))
            )
            made_products = sum(
                self._bulk.products(batch)
                for batch in self._batches(progress, "products", products, amounts.products)
            )
            sales = Sales(amounts.products, amounts.users, price)
            orders = ((sold.order, sold.movements) for sold in sales.orders(amounts.orders))
            loaded = [
                self._bulk.orders(batch)
                for batch in self._batches(progress, "orders", orders, amounts.orders)
            ]
        made_orders, left_out = (sum(counts) for counts in zip((0, 0), *loaded, strict=True))
        self._tell("users", made_users, amounts.users)
        self._tell("products", made_products, amounts.products)
        self._tell("orders", made_orders, amounts.orders, left_out)
        if made_orders and self._bulk.leaves_cache_behind:
            self._console.plain(
                "The running repository tier may show the stock from before these orders for some "
                "minutes (CACHE_TTL_SECONDS), until it reads a product anew; what it sells is "
                "never decided by that."
            )

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._terminal,
            disable=not self._terminal.is_terminal,
        )

    def _batches(
        self, progress: Progress, kind: str, things: Iterable[T], total: int
    ) -> Iterator[list[T]]:
        if not total:
            return
        task = progress.add_task(kind, total=total)
        iterator = iter(things)

        def take() -> list[T]:
            return list(islice(iterator, self._bulk.batch))

        # The next batch is made up while the database is busy with this one.
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(take)
            while batch := coming.result():
                coming = ahead.submit(take)
                yield batch
                progress.advance(task, len(batch))

    def _tell(self, kind: str, made: int, asked: int, left_out: int = 0) -> None:
        if asked:
            there = asked - made - left_out
            left = f", {left_out:,} left out for want of stock" if left_out else ""
            self._console.plain(f"{kind.title()}: {made:,} made, {there:,} there already{left}.")


def seed(
    amounts: Amounts,
    open_bulk_load: Callable[[], AbstractContextManager[BulkLoad]],
    hash_password: Callable[[], str],
    price: PriceList,
    *,
    console: Console,
    stream: TextIO,
) -> None:
    """Load demo data into the stores that the settings name.

    Args:
        amounts: how much.
        open_bulk_load: connects to the stores.
        hash_password: gives the hash of the password that all demo users share.
        price: what orders cost.
        console: where to say what was done.
        stream: where to draw the progress, if it is a terminal.

    Raises:
        StartupError: in one line, when it cannot go on; what is loaded by then stays.
    """
    amounts.check()
    try:
        with open_bulk_load() as bulk:
            Seeding(bulk, console, stream).run(amounts, hash_password, price)
    except AppError as error:
        if error.kind not in (Kind.UNAVAILABLE, Kind.DEADLINE):
            raise
        raise StartupError(
            "The database is busy or does not answer. What was loaded stays: run it again."
        ) from error
