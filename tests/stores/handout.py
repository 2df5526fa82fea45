"""Empty stores for tests, cut out of the servers of the run or made as files."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import pymysql
import redis
from sqlalchemy.engine import URL, make_url

from tests.stores.keeper import ServerSource

StoreKind: TypeAlias = Literal["embedded", "real"]
MakeFolder = Callable[[str], Path]


@dataclass(frozen=True, slots=True)
class Store:
    """Where a repository tier keeps its data.

    Attributes:
        redis_url: empty for the embedded cache, which lives in the repository tier's process.
        blob_url: a folder of its own for the bytes of files; empty where no test looks for any.
    """

    kind: StoreKind
    database_url: str
    redis_url: str
    blob_url: str = ""

    def environ(self) -> dict[str, str]:
        """Give the settings that make a tier use this store."""
        settings = {"DATABASE_URL": self.database_url}
        if self.redis_url:
            settings["REDIS_URL"] = self.redis_url
        if self.blob_url:
            settings["BLOB_URL"] = self.blob_url
        return settings


class NoRealStoreError(Exception):
    """There is no MySQL or no Redis in this run; the text says what was tried."""


class Stores:
    """Hands out databases and Redis numbers; nothing is shared between xdist workers.

    Args:
        source: tells where the servers are; asked only for the kind "real".
        make_folder: makes a new empty folder for SQLite files.
    """

    def __init__(self, source: ServerSource, make_folder: MakeFolder) -> None:
        self._source = source
        self._make_folder = make_folder
        self._worker_stores: dict[StoreKind, Store] = {}
        self._databases: list[str] = []
        self._count = itertools.count(1)
        worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
        # Two runs may share a server that was named by TEST_DATABASE_URL.
        self._prefix = f"arcana_test_{worker}_{secrets.token_hex(3)}"
        self._worker_number = int(worker.removeprefix("gw"))
        self._worker_count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        self._redis_numbers: Iterator[int] | None = None

    def worker_store(self, kind: StoreKind) -> Store:
        """Give this worker's own store, the same on every call; empty when first given."""
        if kind not in self._worker_stores:
            self._worker_stores[kind] = self.new_store(kind)
        return self._worker_stores[kind]

    def new_store(self, kind: StoreKind) -> Store:
        """Make a new empty database and flush a Redis number that has not been in use lately.

        Raises:
            NoRealStoreError: for the kind "real".
        """
        blobs = self._make_folder("blobs").as_uri()
        return Store(kind, self.database_url(kind), self.redis_url(kind), blobs)

    def database_url(self, kind: StoreKind) -> str:
        """Make a new database without tables."""
        if kind == "embedded":
            return f"sqlite:///{self._make_folder('store') / 'arcana.db'}"
        name = f"{self._prefix}_{next(self._count)}"
        server = make_url(self.mysql_server_url())
        with _connected(server) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        self._databases.append(name)
        return server.set(database=name, query={"charset": "utf8mb4"}).render_as_string(
            hide_password=False
        )

    def redis_url(self, kind: StoreKind) -> str:
        """Flush the next Redis number of this worker; empty for the embedded cache."""
        if kind == "embedded":
            return ""
        server = self.redis_server_url()
        with redis.Redis.from_url(server) as client:
            if self._redis_numbers is None:
                self._redis_numbers = self._numbers(
                    int(client.config_get("databases")["databases"])
                )
            number = next(self._redis_numbers)
        url = f"{server}/{number}"
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url

    def mysql_server_url(self) -> str:
        servers = self._source.servers()
        if not servers.mysql_url:
            raise NoRealStoreError(servers.broken or _reason("MySQL or MariaDB", servers.notes))
        return servers.mysql_url

    def redis_server_url(self) -> str:
        servers = self._source.servers()
        if not servers.redis_url:
            raise NoRealStoreError(servers.broken or _reason("Redis", servers.notes))
        return make_url(servers.redis_url).set(database=None).render_as_string(hide_password=False)

    def close(self) -> None:
        """Drop what was made on servers that outlive this run."""
        if not self._databases or self._source.servers().throwaway:
            return
        server = make_url(self.mysql_server_url())
        with _connected(server) as connection, connection.cursor() as cursor:
            for name in self._databases:
                cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
        self._databases.clear()

    def _numbers(self, total: int) -> Iterator[int]:
        """Go round this worker's share of the numbers; 0 belongs to whoever owns the server."""
        share = (total - 1) // self._worker_count
        if share < 1:
            raise NoRealStoreError(
                f"Redis has {total} databases: too few for {self._worker_count} workers"
            )
        first = 1 + self._worker_number * share
        return itertools.cycle(range(first, first + share))


def _reason(what: str, notes: list[str]) -> str:
    return f"no {what} ({'; '.join(notes)})"


@contextlib.contextmanager
def _connected(server: URL) -> Iterator[pymysql.Connection[pymysql.cursors.Cursor]]:
    connection = pymysql.connect(
        host=server.host or "127.0.0.1",
        port=server.port or 3306,
        user=server.username or "root",
        password=server.password or "",
        connect_timeout=10,
        read_timeout=60,
        autocommit=True,
    )
    with contextlib.closing(connection):
        yield connection
