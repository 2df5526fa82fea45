"""How the process begins, ends, and lives with its neighbour and with odd clients."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests

from tests.fakes.service import FakeServiceTier
from tests.fakes.service.served import served
from tests.stores.waiting import eventually
from tests.tier.controller.processes import ControllerProcess
from tier_runtime.clock import SystemClock

SECONDS = 10
LOGIN = {"email": "ada@example.org", "password": "Correct-Horse-7"}


@pytest.fixture(scope="module")
def tier() -> FakeServiceTier:
    return FakeServiceTier(SystemClock())


@pytest.fixture(scope="module")
def controller(tier: FakeServiceTier) -> Iterator[ControllerProcess]:
    with (
        served(tier) as server,
        ControllerProcess(f"grpc://{server.address}", client_timeout_seconds="1") as process,
    ):
        yield process


def _connection(controller: ControllerProcess) -> socket.socket:
    host, _, port = controller.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=SECONDS)


def _raw(controller: ControllerProcess, data: bytes) -> bytes:
    """Send bytes and return all that comes back until the connection is closed."""
    with _connection(controller) as connection:
        connection.sendall(data)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def _problem(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    assert any(line.lower() == "content-type: application/problem+json" for line in lines), lines
    document = json.loads(body)
    assert f"X-Request-ID: {document['request_id']}" in lines
    return int(lines[0].split()[1]), document["code"]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
    ],
    ids=["no request", "version", "header", "two lengths", "long line", "long header"],
)
def test_what_is_no_http_gets_a_problem_document(
    controller: ControllerProcess, request_bytes: bytes, status: int
) -> None:
    assert _problem(_raw(controller, request_bytes)) == (status, "MALFORMED_REQUEST")


def test_a_body_in_broken_chunks_is_malformed(controller: ControllerProcess) -> None:
    head = (
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    assert _problem(_raw(controller, head + b"zz\r\n{}\r\n")) == (400, "MALFORMED_BODY")
    assert not any(entry["event"] == "unexpected_error" for entry in controller.logs())


def test_a_body_that_never_ends_gives_its_thread_back(controller: ControllerProcess) -> None:
    head = (
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 50\r\nConnection: close\r\n\r\n{"
    )
    assert _problem(_raw(controller, head)) == (400, "MALFORMED_BODY")


def test_a_client_that_falls_silent_is_let_go(controller: ControllerProcess) -> None:
    assert _raw(controller, b"GET /health/live HTTP/1.1\r\nHost:") == b""
    eventually(
        lambda: any(entry["event"] == "client_fell_silent" for entry in controller.logs()),
        what="the silence is told",
    )


def test_silent_clients_do_not_stop_the_others(controller: ControllerProcess) -> None:
    silent = [_connection(controller) for _ in range(12)]
    try:
        for connection in silent:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost:")
        answer = requests.get(f"{controller.url}/health/live", timeout=SECONDS)
        assert answer.status_code == 200
    finally:
        for connection in silent:
            connection.close()


def test_clients_that_do_not_close_their_side_do_not_stop_the_others() -> None:
    with (
        ControllerProcess("grpc://127.0.0.1:1", web_workers="1", web_threads="8") as controller,
        contextlib.ExitStack() as closing,
    ):
        began = time.monotonic()
        for _ in range(4):
            lingering = closing.enter_context(_connection(controller))
            lingering.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert lingering.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert requests.get(f"{controller.url}/health/live", timeout=SECONDS).status_code == 200
        # The server lingers for two seconds on each.
        assert time.monotonic() - began < 2


def test_a_large_body_is_refused_before_it_is_read(controller: ControllerProcess) -> None:
    answer = requests.post(
        f"{controller.url}/api/v1/auth/login",
        data=b" " * (1_048_576 + 1),
        headers={"Content-Type": "application/json"},
        timeout=SECONDS,
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_a_chunked_body_has_the_same_limit(controller: ControllerProcess) -> None:
    answer = requests.post(
        f"{controller.url}/api/v1/auth/login",
        data=(b" " * 65536 for _ in range(17)),
        headers={"Content-Type": "application/json"},
        timeout=SECONDS,
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("size", [200_000, 1_048_577, 3_000_000])
@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/auth/me", "/nothing"])
def test_a_connection_with_an_unread_body_goes_on_or_is_said_to_end(
    controller: ControllerProcess, path: str, size: int
) -> None:
    host, _, port = controller.url.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=SECONDS)
    with contextlib.closing(connection):
        connection.request("POST", path, b"x" * size, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert 400 <= answer.status < 500
        answer.read()
        if answer.getheader("Connection") != "close":
            connection.request("GET", "/health/live")
            assert connection.getresponse().status == 200


def test_a_body_that_nobody_reads_and_that_trickles_in_is_cut_off(
    controller: ControllerProcess,
) -> None:
    head = b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    received, began = b"", time.monotonic()
    with _connection(controller) as connection:
        connection.sendall(head)
        # A byte each tenth of a second, so that no single silence is a long one.
        connection.settimeout(0.1)
        while time.monotonic() < began + SECONDS:
            try:
                chunk = connection.recv(65536)
            except TimeoutError:
                connection.sendall(b"x")
                continue
            if not chunk:
                break
            received += chunk
    assert time.monotonic() < began + SECONDS, "the body was waited for"
    assert _problem(received) == (404, "NOT_FOUND")
    assert b"\r\nConnection: close\r\n" in received


def test_who_waits_too_long_for_a_thread_is_told_to_come_again() -> None:
    with ControllerProcess(
        "grpc://127.0.0.1:1",
        web_workers="1",
        web_threads="1",
        client_timeout_seconds="1",
        request_timeout_seconds="0.3",
    ) as controller:
        with _connection(controller) as silent:
            silent.sendall(b"GET /health/live HTTP/1.1\r\nHost:")
            late = requests.get(f"{controller.url}/health/live", timeout=SECONDS)
        assert (late.status_code, late.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        assert late.headers["Retry-After"] == "1"
        assert late.headers["X-Request-ID"] == late.json()["request_id"]
        assert requests.get(f"{controller.url}/health/live", timeout=SECONDS).status_code == 200


def test_a_pool_of_more_connections_than_threads_is_served_whole() -> None:
    with ControllerProcess("grpc://127.0.0.1:1", web_threads="16") as controller:
        host, _, port = controller.url.removeprefix("http://").rpartition(":")
        with contextlib.ExitStack() as closing, ThreadPoolExecutor(64) as pool:
            connections = [
                closing.enter_context(
                    contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=SECONDS))
                )
                for _ in range(64)
            ]

            def status(connection: http.client.HTTPConnection) -> int:
                connection.request("GET", "/health/live")
                answer = connection.getresponse()
                answer.read()
                assert answer.getheader("Connection") != "close"
                return answer.status

            for _ in range(3):
                assert list(pool.map(status, connections)) == [200] * 64


def test_the_request_id_reaches_the_log_and_the_service_tier(
    controller: ControllerProcess, tier: FakeServiceTier
) -> None:
    answer = requests.post(
        f"{controller.url}/api/v1/auth/login",
        json=LOGIN,
        headers={"X-Request-ID": "follow-me"},
        timeout=SECONDS,
    )
    assert answer.headers["X-Request-ID"] == "follow-me"
    call = tier.last("Login").call
    assert call is not None
    assert call.request_id == "follow-me"
    assert 0 < call.deadline.remaining() <= 5

    def lines() -> list[dict[str, object]]:
        return [each for each in controller.logs() if each.get("request_id") == "follow-me"]

    [line] = eventually(lines, what="the access line")
    assert (line["event"], line["route"], line["status"]) == ("request", "/api/v1/auth/login", 401)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_either_signal_lets_requests_in_flight_end(number: signal.Signals) -> None:
    tier = FakeServiceTier(SystemClock())
    arrived, go_on = threading.Semaphore(0), threading.Event()

    def wait(method: str) -> None:
        if method == "Login":
            arrived.release()
            go_on.wait(SECONDS)

    tier.add_user(LOGIN["email"])
    tier.before = wait
    with (
        served(tier) as server,
        ControllerProcess(f"grpc://{server.address}") as controller,
        ThreadPoolExecutor(4) as pool,
    ):
        url = f"{controller.url}/api/v1/auth/login"
        futures = [pool.submit(requests.post, url, json=LOGIN, timeout=SECONDS) for _ in range(4)]
        for _ in futures:
            assert arrived.acquire(timeout=SECONDS)
        master = psutil.Process(controller.process.pid)
        eventually(lambda: len(master.children()) == 2, what="both workers")
        workers = master.children()
        if number == signal.SIGINT:
            # As a terminal does it: the whole group gets it.
            for worker in workers:
                worker.send_signal(number)
        controller.process.send_signal(number)

        def is_closed() -> bool:
            try:
                _connection(controller).close()
            except ConnectionRefusedError:
                return True
            return False

        eventually(is_closed, what="no new connections")
        go_on.set()
        assert [future.result(SECONDS).status_code for future in futures] == [200] * 4
        assert controller.process.wait(SECONDS) == 0
        assert not any(worker.is_running() for worker in workers)
        assert "Traceback" not in controller.text(), controller.text()


def test_a_dead_neighbour_is_a_503_and_its_return_is_seen() -> None:
    tier = FakeServiceTier(SystemClock())
    user = tier.add_user(LOGIN["email"])
    token = tier.sign_in(user)
    with served(tier) as server:
        port = int(server.address.rpartition(":")[2])
        controller = ControllerProcess(f"grpc://{server.address}")
        with controller:
            api, bearer = f"{controller.url}/api/v1", {"Authorization": f"Bearer {token}"}

            def status(path: str) -> int:
                return requests.get(f"{api}{path}", headers=bearer, timeout=SECONDS).status_code

            assert status("/auth/me") == 200
            server.stop()
            eventually(lambda: _is_unavailable(f"{api}/auth/me", bearer), what="the edge sees it")
            live = requests.get(f"{controller.url}/health/live", timeout=SECONDS)
            ready = requests.get(f"{controller.url}/health/ready", timeout=SECONDS)
            assert (live.status_code, ready.status_code) == (200, 503)
            assert ready.json()["tiers"]["service"] == "down"
            with served(tier, port):
                eventually(lambda: status("/auth/me") == 200, SECONDS, "the edge works again")
            controller.terminate()


def _is_unavailable(url: str, headers: dict[str, str]) -> bool:
    answer = requests.get(url, headers=headers, timeout=SECONDS)
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "SERVICE_UNAVAILABLE"
    return int(answer.headers["Retry-After"]) >= 1


def test_a_slow_neighbour_is_a_504_within_the_deadline() -> None:
    tier = FakeServiceTier(SystemClock())
    go_on = threading.Event()

    def wait(method: str) -> None:
        if method == "Login":
            go_on.wait(SECONDS)

    tier.before = wait
    with (
        served(tier) as server,
        ControllerProcess(f"grpc://{server.address}", request_timeout_seconds="0.5") as controller,
    ):
        url = f"{controller.url}/api/v1/auth/login"
        answer = requests.post(url, json=LOGIN, timeout=SECONDS)
        go_on.set()
        assert (answer.status_code, answer.json()["code"]) == (504, "DEADLINE_EXCEEDED")
        assert 0.3 < answer.elapsed.total_seconds() < 5


def _run(**environ: str) -> subprocess.CompletedProcess[str]:
    environ.setdefault("service_url", "grpc://127.0.0.1:1")
    controller = ControllerProcess(environ.pop("service_url"), **environ)
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
        ended = _run(controller_bind=bind)
    assert ended.returncode == 2
    assert ended.stderr == f"Cannot listen on {bind}: the port is taken.\n"


@pytest.mark.parametrize("bind", ["192.0.2.1:0", "no-such-host.invalid:0", "[2001:db8::1]:0"])
def test_an_address_of_another_machine_is_one_line(bind: str) -> None:
    ended = _run(controller_bind=bind)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"Cannot listen on {bind}: ")
    assert ended.stderr.count("\n") == 1


def test_bad_settings_are_all_named_at_once() -> None:
    ended = _run(web_workers="0", cors_origins="*")
    assert ended.returncode == 2
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == [
        "CORS_ORIGINS",
        "WEB_WORKERS",
    ]


def test_a_service_url_of_an_unknown_scheme_ends_the_process() -> None:
    ended = _run(service_url="carrier-pigeon://x", web_workers="1")
    assert ended.returncode not in {0, None}
    assert "carrier-pigeon" in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_a_worker_that_is_killed_is_replaced(
    controller: ControllerProcess, tier: FakeServiceTier
) -> None:
    master = psutil.Process(controller.process.pid)
    [victim, *_] = master.children()
    os.kill(victim.pid, 9)
    eventually(
        lambda: len([child for child in master.children() if child.pid != victim.pid]) == 2,
        SECONDS,
        "a new worker",
    )
    answers = [requests.get(f"{controller.url}/health", timeout=SECONDS) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4


def test_a_worker_that_is_just_being_forked_misses_no_stop() -> None:
    tier = FakeServiceTier(SystemClock())
    with served(tier) as server, ControllerProcess(f"grpc://{server.address}") as controller:
        master = psutil.Process(controller.process.pid)
        before = {child.pid for child in master.children()}
        for child in master.children():
            child.kill()
        eventually(
            lambda: {child.pid for child in master.children()} - before, SECONDS, "a new worker"
        )
        # Well below DRAIN_SECONDS, after which the master would kill what did not hear it.
        assert controller.terminate(seconds=10) == 0
