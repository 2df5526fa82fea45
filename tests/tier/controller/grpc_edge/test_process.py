"""The public gRPC API as a process serves it: its port, its workers, its end."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import psutil
import pytest
import requests

from arcana.service.v1 import auth_service_pb2 as auth_pb2
from arcana.service.v1 import auth_service_pb2_grpc
from controller_tier.grpc_edge.listening import reserved
from tests.fakes.service import FakeServiceTier
from tests.fakes.service.served import served
from tests.stores.waiting import eventually
from tests.tier.controller.grpc_edge.edges import SECONDS
from tests.tier.controller.processes import ControllerProcess
from tier_runtime.addresses import Address
from tier_runtime.clock import SystemClock
from tier_runtime.startup import StartupError

NOWHERE = "grpc://127.0.0.1:1"
PASSWORD = "Correct-Horse-7"


@contextlib.contextmanager
def _stub(address: str) -> Iterator[auth_service_pb2_grpc.AuthServiceStub]:
    # A connection of its own each time: the kernel gives each to one of the workers.
    options = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(address, options=options) as channel:
        yield auth_service_pb2_grpc.AuthServiceStub(channel)


def _run(**environ: str) -> subprocess.CompletedProcess[str]:
    controller = ControllerProcess(NOWHERE, **environ)
    return subprocess.run(
        [sys.executable, "-m", "controller_tier.main"],
        env=controller.environ,
        cwd=controller.folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_taken_port_is_one_line_and_no_traceback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = _run(public_grpc_bind=bind)
    assert ended.returncode == 2
    assert ended.stderr == f"Cannot listen on {bind}: the port is taken.\n"


def test_a_port_that_another_shares_out_is_taken_too() -> None:
    with socket.socket() as sharer:
        sharer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sharer.bind(("127.0.0.1", 0))
        sharer.listen()
        address = Address("127.0.0.1", sharer.getsockname()[1])
        with pytest.raises(StartupError, match="the port is taken"), reserved(address):
            pass


def test_a_port_is_free_again_when_its_reservation_ends() -> None:
    with reserved(Address("127.0.0.1", 0)) as address:
        assert not address.is_free()
        with pytest.raises(StartupError), reserved(address):
            pass
    assert address.is_free()


def test_an_address_of_another_machine_is_one_line() -> None:
    ended = _run(public_grpc_bind="192.0.2.1:0")
    assert ended.returncode == 2
    assert ended.stderr.startswith("Cannot listen on 192.0.2.1:0: ")
    assert ended.stderr.count("\n") == 1


def test_it_can_be_switched_off() -> None:
    with ControllerProcess(NOWHERE, public_grpc_enabled="false") as controller:
        assert controller.grpc_address == ""
        assert requests.get(f"{controller.url}/health/live", timeout=SECONDS).ok


def test_every_worker_serves_on_the_one_port() -> None:
    tier = FakeServiceTier(SystemClock())
    with served(tier) as server, ControllerProcess(f"grpc://{server.address}") as controller:
        port = int(controller.grpc_address.rpartition(":")[2])
        parent = psutil.Process(controller.process.pid)

        # One may answer before the other has begun.
        def both_listen() -> bool:
            workers = parent.children()
            return len(workers) == 2 and all(
                any(
                    connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
                    for connection in worker.net_connections("tcp")
                )
                for worker in workers
            )

        eventually(both_listen, SECONDS, "both workers listen")
        for _ in range(8):
            with _stub(controller.grpc_address) as auth:
                assert auth.GetJwks(auth_pb2.GetJwksRequest(), timeout=SECONDS).keys
        # The log tells of an RPC what it tells of a request, and nothing that is secret.
        lines = eventually(
            lambda: [each for each in controller.logs() if each["event"] == "rpc"],
            what="the access lines",
        )
        assert lines[0]["method"] == "/arcana.service.v1.AuthService/GetJwks"
        assert lines[0]["code"] == "OK"


def test_a_worker_that_is_replaced_serves_again() -> None:
    tier = FakeServiceTier(SystemClock())
    with (
        served(tier) as server,
        ControllerProcess(f"grpc://{server.address}", web_workers="1") as controller,
    ):
        master = psutil.Process(controller.process.pid)
        [victim] = master.children()
        os.kill(victim.pid, 9)

        def answers() -> bool:
            with _stub(controller.grpc_address) as auth:
                try:
                    return bool(auth.GetJwks(auth_pb2.GetJwksRequest(), timeout=1).keys)
                except grpc.RpcError:
                    return False

        eventually(answers, SECONDS, "the new worker serves")


def _waiting_login() -> tuple[FakeServiceTier, threading.Semaphore, threading.Event]:
    tier = FakeServiceTier(SystemClock())
    arrived, go_on = threading.Semaphore(0), threading.Event()

    def wait(method: str) -> None:
        if method == "Login":
            arrived.release()
            go_on.wait(SECONDS)

    tier.add_user("ada@example.org", password=PASSWORD)
    tier.before = wait
    return tier, arrived, go_on


def _login(stub: auth_service_pb2_grpc.AuthServiceStub) -> Callable[[], Any]:
    request = auth_pb2.LoginRequest(email="ada@example.org", password=PASSWORD)
    return lambda: stub.Login(request, timeout=SECONDS)


def test_a_stop_takes_no_new_calls_and_lets_those_in_flight_end() -> None:
    tier, arrived, go_on = _waiting_login()
    with (
        served(tier) as server,
        ControllerProcess(f"grpc://{server.address}") as controller,
        contextlib.ExitStack() as stubs,
        ThreadPoolExecutor(4) as pool,
    ):
        calls = [
            pool.submit(_login(stubs.enter_context(_stub(controller.grpc_address))))
            for _ in range(4)
        ]
        for _ in calls:
            assert arrived.acquire(timeout=SECONDS)
        workers = psutil.Process(controller.process.pid).children()
        controller.process.terminate()

        def is_closed() -> bool:
            host, _, port = controller.grpc_address.rpartition(":")
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except ConnectionRefusedError:
                return True
            return False

        # While calls are in flight: it does not wait for the HTTP side to have ended.
        eventually(is_closed, SECONDS, "no new connections")
        assert not any(call.done() for call in calls)
        go_on.set()
        assert all(call.result(SECONDS).tokens.access_token for call in calls)
        assert controller.process.wait(SECONDS) == 0
        assert not any(worker.is_running() for worker in workers)
        assert "Traceback" not in controller.text(), controller.text()


def test_a_breaker_that_is_open_is_seen_in_health_and_in_the_log() -> None:
    tier = FakeServiceTier(SystemClock())
    settings = {"web_workers": "1", "circuit_breaker_failures": "3"}
    with served(tier) as server:
        port = int(server.address.rpartition(":")[2])
        with ControllerProcess(f"grpc://{server.address}", **settings) as controller:

            def breakers() -> dict[str, str]:
                answer = requests.get(f"{controller.url}/health", timeout=SECONDS)
                stands: dict[str, str] = answer.json()["breakers"]
                return stands

            assert breakers() == {"service": "closed"}
            server.stop()
            eventually(lambda: breakers() == {"service": "open"}, SECONDS, "it opens")
            refused = requests.get(f"{controller.url}/.well-known/jwks.json", timeout=SECONDS)
            assert (refused.status_code, refused.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
            assert int(refused.headers["Retry-After"]) >= 1
            with served(tier, port):
                eventually(lambda: breakers() == {"service": "closed"}, SECONDS, "it closes")
            told = [entry["event"] for entry in controller.logs()]
            assert "breaker_opened" in told
            assert "breaker_closed" in told
