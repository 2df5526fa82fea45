"""HEALTH_BIND and `python -m tier_runtime.probe`, as a container's health check has them."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.stores.waiting import eventually
from tests.tier.transports.plans import TierPlan
from tests.tier.transports.wires import TierProcess
from tier_runtime import probe
from tier_runtime.addresses import Address
from tier_runtime.health import THIS_TIER, HealthBoard
from tier_runtime.health_listener import HealthListener
from tier_runtime.startup import StartupError
from tier_runtime.tier import Protocol, worker_bind

SECONDS = 20.0


@pytest.fixture
def board() -> Iterator[HealthBoard]:
    board = HealthBoard()
    board.start()
    yield board
    board.stop()


@pytest.fixture
def listener(board: HealthBoard) -> Iterator[HealthListener]:
    listener = HealthListener("127.0.0.1:0", board)
    listener.start()
    yield listener
    listener.stop()


@pytest.fixture
def started() -> Iterator[Callable[[TierProcess], TierProcess]]:
    with ExitStack() as stack:

        def keep(process: TierProcess) -> TierProcess:
            stack.callback(process.stop)
            return process

        yield keep


def free_bind(*others: int) -> str:
    """Return an address whose port is free, and those so far above it as well."""
    while True:
        with closing(socket.create_server(("127.0.0.1", 0))) as found:
            port = found.getsockname()[1]
        binds = [f"127.0.0.1:{port + step}" for step in (0, *others)]
        if port < 65000 and all(Address.parse(bind).is_free() for bind in binds):
            return binds[0]


def exit_of(url: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tier_runtime.probe", *url.split()],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    return done.returncode, done.stderr


def test_the_probe_is_content_while_the_board_says_so_and_not_while_it_drains(
    board: HealthBoard, listener: HealthListener
) -> None:
    url = f"grpc://127.0.0.1:{listener.port}"
    assert probe.fault_at(url) == "does not serve"
    board.set(THIS_TIER, serving=True)
    assert exit_of(url) == (0, "")
    board.drain()
    assert exit_of(url) == (1, f"{url} does not serve\n")
    listener.stop()
    assert probe.fault_at(url) == "does not answer (UNAVAILABLE)"


@pytest.mark.parametrize(
    "url",
    [
        *("", "grpc://127.0.0.1", "grpc://127.0.0.1:x", "https://127.0.0.1:1", "127.0.0.1:1"),
        "grpc://[::1:1",
    ],
)
def test_the_probe_says_what_a_url_must_look_like(url: str) -> None:
    assert probe.fault_at(url) == "is neither grpc://host:port nor http://host:port/path"


def test_the_probe_wants_one_url() -> None:
    assert exit_of("") == (1, "usage: python -m tier_runtime.probe URL\n")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "answers 503"),
        (b"nonsense\r\n\r\n", "does not answer (BadStatusLine)"),
    ],
)
def test_the_probe_wants_200_of_http(answer: bytes, fault: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked: list[bytes] = []

        def serve() -> None:
            client, _ = server.accept()
            with client:
                asked.append(client.recv(1024))
                client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/health/ready"
        assert probe.fault_at(url) == fault
        thread.join(SECONDS)
    assert asked[0].startswith(b"GET /health/ready HTTP/1.1\r\n")


def test_the_probe_gives_up_on_a_peer_that_says_a_little_all_the_time() -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                while not stop.wait(0.2):
                    client.sendall(b"H")

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        code, said = exit_of(url)
        stop.set()
        thread.join(SECONDS)
    assert (code, said) == (1, f"{url} does not answer (TimeoutError)\n")


def test_an_address_that_is_taken_is_told_with_its_setting(
    board: HealthBoard, listener: HealthListener
) -> None:
    second = HealthListener(f"127.0.0.1:{listener.port}", board)
    with pytest.raises(StartupError, match="HEALTH_BIND"):
        second.start()
    second.stop()


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_each_process_of_a_tier_tells_its_health_there(
    started: Callable[[TierProcess], TierProcess], protocol: Protocol
) -> None:
    bind, health = free_bind(100), free_bind(100)
    plan = TierPlan("probe", protocol, 2, {"bind": bind}, health_bind=health)
    process = started(TierProcess.of_plan(plan))
    process.logged("serving_health", 2)
    # Each worker of a gRPC server has a port; those of an HTTP server share one, as for their RPCs.
    asked = [health, worker_bind(health, 1)] if protocol == "grpc" else [health]
    for address in asked:
        eventually(
            lambda url=f"grpc://{address}": probe.fault_at(url) is None,  # type: ignore[misc]
            SECONDS,
            f"well at {address}",
        )
    assert process.stop() == 0
    assert {line["address"] for line in process.log_lines("serving_health")} == set(asked)


def test_a_tier_of_one_process_ends_well_with_its_listener(
    started: Callable[[TierProcess], TierProcess],
) -> None:
    process = started(TierProcess.of_plan(TierPlan("probe", health_bind="127.0.0.1:0")))
    (line,) = process.logged("serving_health", 1)
    assert exit_of(f"grpc://{line['address']}") == (0, "")
    assert process.stop() == 0


def test_a_worker_tells_its_health_from_when_it_takes_jobs(
    started: Callable[[TierProcess], TierProcess], tmp_path: Path
) -> None:
    environ = {"ARCANA_HOME": str(tmp_path), "HEALTH_BIND": "127.0.0.1:0", "WORKER_BEAT": "false"}
    process = started(TierProcess("repository_tier.worker.main", environ=environ))
    (line,) = process.logged("serving_health", 1)
    url = f"grpc://{line['address']}"
    eventually(lambda: probe.fault_at(url) is None, SECONDS, "well")
    assert process.log_lines("working")
    assert process.stop() == 0
    assert process.log_lines("stopped")
    assert probe.fault_at(url) == "does not answer (UNAVAILABLE)"
