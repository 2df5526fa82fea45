"""The stores that the variants work on: the same users for all, nothing of one in another's way.

Embedded: each variant has a copy of one SQLite file, since one process owns such a file. Real: one
MariaDB or MySQL database and one Redis number, which all variants share.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks import people
from benchmarks.containers import behind_proxies
from benchmarks.people import Person
from benchmarks.plan import StoreKind
from benchmarks.processes import Stack, environment
from benchmarks.worker import BenchmarkError
from tests.stores import Stores
from tests.stores.handout import NoRealStoreError
from tests.stores.keeper import ServerSource
from tests.stores.provision import Provision
from tests.stores.servers import Servers


@dataclass(frozen=True, slots=True)
class BenchmarkStore:
    """Where a repository tier keeps its data; `redis_url` is empty for the embedded cache."""

    kind: StoreKind
    database_url: str
    redis_url: str

    def environ(self) -> dict[str, str]:
        """Return what makes a tier use it."""
        settings = {"DATABASE_URL": self.database_url}
        return {**settings, "REDIS_URL": self.redis_url} if self.redis_url else settings


@dataclass(frozen=True, slots=True)
class Populated:
    """A store with its people, of which every variant gets what it needs."""

    kind: StoreKind
    people: Sequence[Person]
    people_file: Path
    make: Callable[[Path], BenchmarkStore]
    notes: Sequence[str]
    # The processes of the stores that run on this machine, whose CPU time counts too.
    pids: Mapping[str, Sequence[int]]


@contextmanager
def populated(kind: StoreKind, count: int, folder: Path) -> Iterator[Populated]:
    """Make a store of a kind with so many people in it.

    Raises:
        BenchmarkError: there are no real stores, or one cannot be filled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pids: Mapping[str, Sequence[int]] = {}
    with ExitStack() as closing:
        if kind == "embedded":
            source = BenchmarkStore(kind, f"sqlite:///{folder / 'arcana.db'}", "")
            notes: Sequence[str] = ("SQLite file and cache in the repository tier's process",)
        else:
            (source,), notes, pids = closing.enter_context(real_stores(1))
        made = _fill(source, count, folder)
        file = folder / "people.json"
        people.save(made, file)

        def make(home: Path) -> BenchmarkStore:
            if kind == "real":
                return source
            # The tier that wrote it has ended, so the file is whole without its log.
            shutil.copy(folder / "arcana.db", home / "arcana.db")
            return BenchmarkStore(kind, f"sqlite:///{home / 'arcana.db'}", "")

        yield Populated(kind, made, file, make, notes, pids)


def migrate_store(store: BenchmarkStore, folder: Path) -> None:
    """Make the tables of a store.

    Raises:
        BenchmarkError: they cannot be made.
    """
    migrated = subprocess.run(
        [sys.executable, "-m", "launcher.cli", "migrate"],
        env=environment({**store.environ(), "ARCANA_HOME": str(folder)}),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if migrated.returncode != 0:
        raise BenchmarkError(f"the store cannot be migrated: {migrated.stdout}{migrated.stderr}")


def _fill(store: BenchmarkStore, count: int, folder: Path) -> list[Person]:
    # Here, because it names programs, which need a store.
    from benchmarks.stacks import hop_layout  # noqa: PLC0415

    layout = hop_layout("grpc", store, folder)
    migrate_store(store, folder)
    with Stack("filling", layout.programs, folder):
        return people.create(layout.repository_url, count)


@contextmanager
def real_stores(
    count: int,
) -> Iterator[tuple[Sequence[BenchmarkStore], Sequence[str], Mapping[str, Sequence[int]]]]:
    """Hand out databases and Redis numbers of real servers, found as the tests find theirs.

    Gives the stores, what is to be told of the servers, and the processes of those on this machine.

    Raises:
        BenchmarkError: there are no real servers.
    """
    notes: list[str] = []
    with ExitStack() as closing:
        provision = Provision(os.environ, notes.append)
        closing.callback(provision.close)
        servers = provision.provide()
        temporary = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        stores = Stores(_Found(servers), lambda name: temporary / name)
        closing.callback(stores.close)
        try:
            made = [stores.new_store("real") for _ in range(count)]
        except NoRealStoreError as error:
            raise BenchmarkError(f"no real stores: {error}") from error
        pids = {
            "database": _listening(servers.mysql_url),
            "cache": _listening(servers.redis_url),
        }
        found = [BenchmarkStore("real", each.database_url, each.redis_url) for each in made]
        yield found, servers.notes, pids


class _Found(ServerSource):
    """Servers that have been found already."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def servers(self) -> Servers:
        return self._servers

    def close(self) -> None:
        """Do nothing: they are their provider's."""


def _listening(url: str) -> list[int]:
    """Return the process on this machine that listens at a URL's port; none if it is elsewhere."""
    port = urlsplit(url).port or 0
    return behind_proxies(_listening_at(port))


def _listening_at(port: int) -> list[int]:
    found: set[int] = set()
    with contextlib.suppress(psutil.AccessDenied):
        found = {
            each.pid
            for each in psutil.net_connections("tcp")
            if each.status == psutil.CONN_LISTEN
            and each.laddr
            and each.laddr.port == port
            and each.pid
        }
    return sorted(found)
