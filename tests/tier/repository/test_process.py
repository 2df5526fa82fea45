"""The tier as a process: how it starts, refuses to start, and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random

import grpc
import pytest
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)
from sqlalchemy import text

from arcana.repository.v1 import user_repository_pb2 as messages
from arcana.repository.v1.user_repository_pb2_grpc import UserRepositoryStub
from repository_tier.engine import PoolSettings, make_engines
from repository_tier.main import assemble
from repository_tier.migrate import migrate
from repository_tier.settings import RepositorySettings
from tests.fakes.clock import FakeClock
from tests.stores import Store, Stores, TcpRelay
from tests.stores.waiting import eventually
from tests.tier.repository.requests import Requests
from tier_runtime.channel import open_channel
from tier_runtime.errors import AppError
from tier_runtime.ids import Uuid7Source
from tier_runtime.settings import load
from tier_runtime.startup import StartupError


class Process:
    """A repository tier started as the launcher starts it."""

    def __init__(self, environ: dict[str, str], folder: Path) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as probe:
            self.port = int(probe.getsockname()[1])
        known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        coverage = {name: value for name, value in os.environ.items() if "COV" in name}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "repository_tier.main"],
            cwd=folder,
            env=known | coverage | environ | {"REPOSITORY_BIND": f"127.0.0.1:{self.port}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def terminate(self) -> tuple[int, str, str]:
        self._process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> tuple[int, str, str]:
        out, err = self._process.communicate(timeout=30)
        return self._process.returncode, out, err

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


Start = Callable[[dict[str, str]], Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def run(environ: dict[str, str]) -> Process:
            process = Process(environ, tmp_path)
            stack.callback(process.kill)
            return process

        yield run


def healthy(channel: grpc.Channel) -> bool:
    stub = health_pb2_grpc.HealthStub(channel)
    try:
        names = ("", "store.database", "store.cache", "arcana.repository.v1.UserRepository")
        answers = [stub.Check(health_pb2.HealthCheckRequest(service=name)) for name in names]
    except AppError:
        return False
    return all(answer.status == health_pb2.HealthCheckResponse.SERVING for answer in answers)


def build(store: Store, clock: FakeClock) -> None:
    """Build a tier and give it up again."""
    tier = assemble(load(RepositorySettings, store.environ()), clock, Random(1), Uuid7Source())
    for callback in tier.on_stop:
        callback()


def set_revision(store: Store, revision: str) -> None:
    engines = make_engines(store.database_url, PoolSettings(1, 1.0, 5, 30.0))
    with closing(engines), engines.writers.begin() as connection:
        connection.execute(
            text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision}
        )


def test_it_serves_until_it_is_told_to_end(
    start: Start, migrated_store: Store, clock: FakeClock
) -> None:
    process = start(migrated_store.environ())
    with closing(open_channel(f"grpc://127.0.0.1:{process.port}")) as channel:
        eventually(lambda: healthy(channel), seconds=20, what="a healthy tier")
        users = UserRepositoryStub(channel)
        made = users.CreateUser(Requests(clock).user()).user
        assert users.GetUser(messages.GetUserRequest(user_id=made.id)).user == made
    code, out, err = process.terminate()
    assert (code, err) == (0, "")
    assert made.email not in out
    assert '"event":"stopped"' in out


def test_it_serves_rest_hops_too(start: Start, migrated_store: Store, clock: FakeClock) -> None:
    process = start(migrated_store.environ() | {"COMMUNICATION_PROTOCOL": "http"})
    with closing(open_channel(f"http://127.0.0.1:{process.port}")) as channel:
        eventually(lambda: healthy(channel), seconds=20, what="a healthy tier")
        users = UserRepositoryStub(channel)
        made = users.CreateUser(Requests(clock).user()).user
        assert users.GetUser(messages.GetUserRequest(user_id=made.id)).user == made
    code, _, err = process.terminate()
    assert (code, err) == (0, "")


def test_a_file_that_another_process_serves_is_refused(start: Start, stores: Stores) -> None:
    store = stores.new_store("embedded")
    migrate(store.database_url)
    first = start(store.environ())
    with closing(open_channel(f"grpc://127.0.0.1:{first.port}")) as channel:
        eventually(lambda: healthy(channel), seconds=20, what="a healthy tier")
    code, _, err = start(store.environ()).end()
    assert (code, err.partition(" serves")[0]) == (2, "Another repository tier")
    assert first.terminate()[0] == 0


def test_a_database_without_tables_names_the_command_to_run(start: Start, store: Store) -> None:
    code, _, err = start(store.environ()).end()
    assert code == 2
    assert err.count("\n") == 1
    assert "is at revision none and must be at" in err
    assert "run `arcana migrate`." in err


def test_a_database_that_is_behind_names_the_command_to_run(store: Store, clock: FakeClock) -> None:
    migrate(store.database_url)
    set_revision(store, "0002")
    with pytest.raises(StartupError, match=r"is at revision 0002 .* run `arcana migrate`"):
        build(store, clock)


def test_a_database_that_is_ahead_is_served(store: Store, clock: FakeClock) -> None:
    migrate(store.database_url)
    set_revision(store, "9999")
    build(store, clock)


def test_a_database_that_does_not_answer_is_one_clear_line(
    real_store: Store, clock: FakeClock
) -> None:
    with TcpRelay.to(real_store.database_url) as relay:
        relay.cut()
        gone = Store("real", relay.url, "")
        with pytest.raises(StartupError) as caught:
            build(gone, clock)
    assert "does not answer:" in str(caught.value)
    assert "\n" not in str(caught.value)
