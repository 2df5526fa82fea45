"""What a run has been given: a MySQL or MariaDB server and a Redis server, or why not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import pymysql
import redis
from sqlalchemy.engine import make_url


class CannotProvideError(Exception):
    """One way of getting a server did not work; the text is one line for the reader of the run."""


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of one test run; a URL is empty when there is no such server.

    Attributes:
        mysql_url: with a user who may create databases, without a database.
        redis_url: without a database number.
        throwaway: whether all data goes with the servers, so nothing need be dropped.
        broken: a server that was asked for by name does not answer; nothing else is tried then.
        notes: one line for each thing that was tried, in order.
    """

    mysql_url: str = ""
    redis_url: str = ""
    throwaway: bool = False
    broken: str = ""
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def wait_for_mysql(url: str, seconds: float, alive: Callable[[], None] = lambda: None) -> str:
    """Wait until the server takes a query, and return its version.

    Args:
        alive: called between attempts; raises CannotProvideError when waiting is in vain.
    """
    address = make_url(url)
    ends = time.monotonic() + seconds
    while True:
        try:
            connection = pymysql.connect(
                host=address.host or "127.0.0.1",
                port=address.port or 3306,
                user=address.username or "root",
                password=address.password or "",
                connect_timeout=2,
                read_timeout=5,
            )
        except (pymysql.Error, OSError) as error:
            alive()
            if time.monotonic() > ends:
                raise CannotProvideError(f"does not answer: {one_line(error)}") from error
            time.sleep(0.1)
            continue
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            row = cursor.fetchone()
            return str(row[0]) if row else "unknown"


def wait_for_redis(url: str, seconds: float, alive: Callable[[], None] = lambda: None) -> str:
    """Wait until the server answers INFO, and return its version."""
    ends = time.monotonic() + seconds
    while True:
        try:
            with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
                return str(client.info("server")["redis_version"])
        except (redis.RedisError, OSError) as error:
            alive()
            if time.monotonic() > ends:
                raise CannotProvideError(f"does not answer: {one_line(error)}") from error
            time.sleep(0.05)


def one_line(error: object) -> str:
    return " ".join(str(error).split())[:300]
