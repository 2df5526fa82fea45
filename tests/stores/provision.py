"""The order in which a test run looks for its real stores.

Servers named by TEST_DATABASE_URL and TEST_REDIS_URL; else a Docker engine; else programs found on
the machine; else, as root on Debian, the same after apt has installed them; else none. MySQL and
Redis are looked for apart from each other, so one may be named and the other found.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.stores import debian
from tests.stores.local_servers import LocalServers
from tests.stores.servers import CannotProvideError, Servers, wait_for_mysql, wait_for_redis

Start = Callable[[], tuple[str, str]]
Say = Callable[[str], None]
NAMED_SECONDS = 10.0


class Provision:
    """Owns what it starts: `close` stops and removes all of it."""

    def __init__(self, environ: Mapping[str, str], say: Say) -> None:
        self._environ = environ
        self._say = say
        self._folder = Path(tempfile.mkdtemp(prefix="arcana-stores-"))
        self._local = LocalServers(self._folder)
        self._stops: list[Callable[[], None]] = [self._local.stop]
        self._notes: list[str] = []
        self._docker_starts: tuple[Start, Start] | None = None

    def provide(self) -> Servers:
        """Get both servers, by the first way that works for each."""
        mysql_name = self._environ.get("TEST_DATABASE_URL", "")
        redis_name = self._environ.get("TEST_REDIS_URL", "")
        try:
            mysql_url = self._named("TEST_DATABASE_URL", mysql_name, wait_for_mysql)
            redis_url = self._named("TEST_REDIS_URL", redis_name, wait_for_redis)
        except CannotProvideError as error:
            self._note(str(error))
            return Servers(broken=str(error), notes=self._notes)
        if not (mysql_url and redis_url):
            self._look_for_docker()
        mysql_url = mysql_url or self._first("MySQL", 0, self._local.start_mysql, "mariadb-server")
        redis_url = redis_url or self._first("Redis", 1, self._local.start_redis, "redis-server")
        return Servers(
            mysql_url=mysql_url,
            redis_url=redis_url,
            throwaway=not mysql_name,
            notes=self._notes,
        )

    def close(self) -> None:
        for stop in self._stops:
            stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _named(self, variable: str, url: str, wait: Callable[[str, float], str]) -> str:
        if url:
            try:
                version = wait(url, NAMED_SECONDS)
            except CannotProvideError as error:
                raise CannotProvideError(f"the server named by {variable} {error}") from error
            self._note(f"{version}, named by {variable}")
        return url

    def _look_for_docker(self) -> None:
        # Imported here, so that a run on named servers needs no Docker libraries.
        from tests.stores.docker_servers import DockerServers, require_engine  # noqa: PLC0415

        try:
            require_engine()
        except CannotProvideError as error:
            self._note(str(error))
            return
        servers = DockerServers()
        self._stops.append(servers.stop)
        self._docker_starts = (servers.start_mysql, servers.start_redis)

    def _first(self, what: str, index: int, start_local: Start, package: str) -> str:
        ways: list[Start] = [start_local]
        if self._docker_starts is not None:
            ways.insert(0, self._docker_starts[index])
        for way in ways:
            url = self._try(what, way)
            if url:
                return url
        if not debian.can_install():
            self._note(f"{what}: apt could not be asked (not root on Debian)")
            return ""
        self._note(f"{what}: installing {package} with apt")
        try:
            debian.install([package])
        except CannotProvideError as error:
            self._note(f"{what}: {error}")
            return ""
        return self._try(what, start_local)

    def _try(self, what: str, start: Start) -> str:
        try:
            url, about = start()
        except CannotProvideError as error:
            self._note(f"{what}: {error}")
            return ""
        self._note(f"{what}: {about}")
        return url

    def _note(self, line: str) -> None:
        self._notes.append(line)
        self._say(line)
