"""Handshakes that gRPC's core refuses: logged and counted, with standard error as it was."""

from __future__ import annotations

import faulthandler
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.metering import Counted
from tests.stores.waiting import eventually
from tests.tier.tls.certificates import CALLER, files_of, make, served_by_tls, tls_plan
from tests.tier.tls.strangers import shake_hands
from tests.tier.transports.asking import request
from tests.tier.transports.probe_contract import ProbeStub
from tests.tier.transports.wires import ROOT, TierProcess
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.metrics import series
from tier_runtime.server import TierServer, build_server
from tier_runtime.startup import StartupError
from tier_runtime.telemetry import Telemetry
from tier_runtime.tls.core_log import STDERR, handshakes_counted
from tier_runtime.tls.files import TlsFiles
from tier_runtime.tls.refusals import Refusals

SECONDS = 20.0
# As the core writes it.
REFUSED = (
    b"I1201 01:27:48.146314   24084 ssl_transport_security.cc:2563] Handshake failed with error "
    b"SSL_ERROR_SSL: error:1000009c:SSL routines:OPENSSL_internal:HTTP_REQUEST\n"
)


class Stderr:
    """A pipe as this process's standard error; what came out of it is kept."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        self.may_read = threading.Event()
        self.may_read.set()
        self._pieces: list[bytes] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def written(self) -> bytes:
        return b"".join(list(self._pieces))

    def is_in_place(self) -> bool:
        """Whether descriptor 2 is this pipe itself."""
        return os.path.sameopenfile(STDERR, self.writer)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        before = os.dup(STDERR)
        os.dup2(self.writer, STDERR)
        try:
            yield
        finally:
            os.dup2(before, STDERR)
            os.close(before)

    def close(self) -> None:
        self.may_read.set()
        os.close(self.writer)
        self._thread.join(SECONDS)
        os.close(self._reader)

    def _read(self) -> None:
        while self.may_read.wait(SECONDS) and (piece := os.read(self._reader, 65536)):
            self._pieces.append(piece)


@pytest.fixture
def stderr() -> Iterator[Stderr]:
    """Give a pipe that is standard error while the test itself runs: see the hook."""
    pipe = Stderr()
    yield pipe
    pipe.close()


@pytest.fixture
def log() -> io.StringIO:
    written = io.StringIO()
    configure_logging("test", "warning", written)
    return written


def events(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def tls_server(folder: Path, counted: Counted, **settings: Any) -> TierServer:
    plan = tls_plan(folder, "grpc", **settings)
    tier = plan.make()
    return build_server(
        plan.grpc(),
        tier.services,
        tier.health,
        get_logger("test"),
        telemetry=Telemetry(counted.meters),
    )


@contextmanager
def running(server: TierServer) -> Iterator[TierServer]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


def refused(counted: Counted) -> float:
    return counted.value(series.PEERS_REFUSED, "handshake") or 0


@pytest.fixture
def strangers(folder: Path, tmp_path: Path) -> dict[str, Callable[[str], None]]:
    """Peers that the core refuses, by what it says of them."""
    trusted, others = files_of(folder, CALLER), files_of(make(tmp_path), CALLER)
    # It trusts the server, and shows a certificate that the server does not trust.
    wrong = TlsFiles(others.certificate, others.key, trusted.authority)

    def speak_plainly(address: str) -> None:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert connection.recv(1024) == b""

    return {
        "PEER_DID_NOT_RETURN_A_CERTIFICATE": lambda url: shake_hands(url, trusted.authority),
        "CERTIFICATE_VERIFY_FAILED": lambda url: shake_hands(url, trusted.authority, wrong),
        "HTTP_REQUEST": speak_plainly,
    }


@pytest.mark.parametrize(
    "error", ["PEER_DID_NOT_RETURN_A_CERTIFICATE", "CERTIFICATE_VERIFY_FAILED", "HTTP_REQUEST"]
)
def test_a_stranger_is_refused_logged_and_counted(
    folder: Path,
    strangers: dict[str, Callable[[str], None]],
    stderr: Stderr,
    log: io.StringIO,
    error: str,
) -> None:
    counted = Counted()
    with running(tls_server(folder, counted)) as server:
        strangers[error](server.address)
        eventually(lambda: refused(counted) == 1, SECONDS)
        (line,) = eventually(lambda: events(log), SECONDS)
    assert line["event"] == "peer_refused"
    assert (line["level"], line["reason"], line["error"]) == ("warning", "handshake", error)
    assert error in line["detail"]
    assert b"Handshake failed" not in stderr.written()


def test_a_client_that_refuses_us_or_goes_away_is_not_counted(
    folder: Path,
    tmp_path: Path,
    strangers: dict[str, Callable[[str], None]],
    stderr: Stderr,
    log: io.StringIO,
) -> None:
    counted = Counted()
    others = files_of(make(tmp_path / "others"), CALLER)
    with running(tls_server(folder, counted)) as server:
        host, _, port = server.address.rpartition(":")
        # The first bytes of a ClientHello, and then nothing.
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01")
        for is_old in (False, True):
            shake_hands(server.address, others.authority, others, is_old=is_old)
        eventually(lambda: stderr.written().count(b"Handshake failed") == 2, SECONDS)
        with open_channel(
            f"grpc://{server.address}", ChannelSettings(tls=files_of(folder, CALLER))
        ) as channel:
            ProbeStub(channel).Answer(request(), timeout=10)
        assert refused(counted) == 0
        # A stranger that comes later is counted alone.
        strangers["HTTP_REQUEST"](server.address)
        eventually(lambda: refused(counted) == 1, SECONDS)
    assert [event["error"] for event in events(log)] == ["HTTP_REQUEST"]


def test_all_else_on_standard_error_passes_unchanged_and_it_is_back_afterwards(
    folder: Path, stderr: Stderr, log: io.StringIO
) -> None:
    counted = Counted()
    everything = bytes(range(256)) * 20 + b"\n" + b"x" * 100_000 + b"\n\n"
    with running(tls_server(folder, counted)):
        assert not stderr.is_in_place()
        os.write(STDERR, b"no end of line: ")
        eventually(lambda: stderr.written() == b"no end of line: ")
        # A child has it too.
        subprocess.run(["/bin/sh", "-c", "echo child >&2"], check=True, timeout=10)
        eventually(lambda: stderr.written().endswith(b"child\n"))
        os.write(STDERR, everything)
        os.write(STDERR, REFUSED + b"last words")
    assert stderr.is_in_place()
    eventually(lambda: stderr.written() == b"no end of line: child\n" + everything + b"last words")
    assert refused(counted) == 1
    assert not [each for each in threading.enumerate() if each.name == "stderr"]


def test_whoever_writes_does_not_wait_for_a_slow_reader(stderr: Stderr) -> None:
    written = b"".join(b"%d\n" % number for number in range(60_000))
    with handshakes_counted(Refusals()):
        stderr.may_read.clear()
        # Far more than a pipe usually holds.
        assert os.write(STDERR, written) == len(written)
        stderr.may_read.set()
        eventually(lambda: len(stderr.written()) == len(written), SECONDS)
    assert stderr.written() == written


def test_a_standard_error_that_does_not_block_loses_nothing_either(stderr: Stderr) -> None:
    written = b"y" * 300_000 + b"\n"
    os.set_blocking(stderr.writer, False)
    with handshakes_counted(Refusals()):
        os.write(STDERR, written)
        eventually(lambda: len(stderr.written()) == len(written), SECONDS)
    assert stderr.written() == written


def test_several_servers_are_all_told_and_the_last_one_puts_it_back(
    folder: Path, stderr: Stderr, log: io.StringIO
) -> None:
    one, other = Counted(), Counted()
    with running(tls_server(folder, one)):
        with running(tls_server(folder, other)):
            os.write(STDERR, REFUSED)
            eventually(lambda: (refused(one), refused(other)) == (1, 1))
        assert not stderr.is_in_place()
        os.write(STDERR, REFUSED)
        eventually(lambda: refused(one) == 2)
    assert stderr.is_in_place()
    assert refused(other) == 1
    # Each is one event, however many were told.
    assert len(events(log)) == 2
    with running(tls_server(folder, other)):
        os.write(STDERR, REFUSED)
        eventually(lambda: refused(other) == 2)


def test_a_server_that_cannot_listen_leaves_standard_error_alone(
    folder: Path, stderr: Stderr
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = tls_server(folder, Counted(), bind=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(StartupError):
            server.start()
    assert stderr.is_in_place()


def test_it_is_back_after_a_failure(stderr: Stderr) -> None:
    def fail() -> None:
        with handshakes_counted(Refusals()):
            assert not stderr.is_in_place()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert stderr.is_in_place()


def test_what_is_told_may_fail(stderr: Stderr, log: io.StringIO) -> None:
    refusals, told = Refusals(), []

    def fail_once(*each: str) -> None:
        told.append(each)
        if len(told) == 1:
            raise RuntimeError("no such series")

    refusals.tell(fail_once)
    with handshakes_counted(refusals):
        os.write(STDERR, REFUSED + b"next\n" + REFUSED)
        eventually(lambda: len(told) == 2)
    assert [event["event"] for event in events(log)] == ["handshake_not_counted", "peer_refused"]
    eventually(lambda: stderr.written() == b"next\n")


@pytest.mark.parametrize("verbosity", ["NONE", "error"])
def test_a_silent_core_is_told_at_the_start(
    stderr: Stderr, log: io.StringIO, monkeypatch: pytest.MonkeyPatch, verbosity: str
) -> None:
    monkeypatch.setenv("GRPC_VERBOSITY", verbosity)
    with handshakes_counted(Refusals()):
        assert stderr.is_in_place()
    (line,) = events(log)
    assert (line["event"], line["because"]) == ("handshakes_not_counted", "GRPC_VERBOSITY")


_PROGRAM = """
import faulthandler, os, sys
from tier_runtime.logs import configure_logging
from tier_runtime.tls.core_log import handshakes_counted
from tier_runtime.tls.refusals import Refusals
configure_logging("test", "info")
"""


def run(
    program: str, *options: str, command: str = 'exec "$@"'
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", command, "sh", sys.executable, *options, "-c", _PROGRAM + program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_closed_standard_error_is_told_and_nothing_else_is_put_in_its_place() -> None:
    done = run("with handshakes_counted(Refusals()): pass", command='exec "$@" 2>&-')
    assert done.returncode == 0, done
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["because"] == "stderr is closed"


@pytest.mark.parametrize("options", [(), ("-X", "faulthandler")])
def test_a_crash_is_told_in_spite_of_it_and_as_before_afterwards(options: tuple[str, ...]) -> None:
    crash = "import signal; os.kill(os.getpid(), signal.SIGSEGV)"
    done = run(f"with handshakes_counted(Refusals()): {crash}", *options)
    assert done.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr
    after = run(f"with handshakes_counted(Refusals()): pass\n{crash}", *options)
    assert after.returncode == -signal.SIGSEGV
    assert ("Fatal Python error" in after.stderr) == bool(options)


def test_a_crash_log_that_somebody_has_chosen_stays(stderr: Stderr, tmp_path: Path) -> None:
    program = (
        f"chosen = open({str(tmp_path / 'crash')!r}, 'w')\n"
        "faulthandler.enable(chosen)\n"
        "with handshakes_counted(Refusals()): os.abort()"
    )
    assert run(program).returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in (tmp_path / "crash").read_text()
    assert faulthandler.is_enabled()


def test_a_program_that_ends_without_stopping_says_all_that_it_had_to_say() -> None:
    done = run(
        "with_it = handshakes_counted(Refusals())\nwith_it.__enter__()\nsys.exit('the reason why')"
    )
    assert (done.returncode, done.stderr) == (1, "the reason why\n")


def test_a_fork_reads_for_itself() -> None:
    done = run(f"""
with handshakes_counted(Refusals()):
    pid = os.fork()
    if pid == 0:
        refusals = Refusals()
        with handshakes_counted(refusals):
            os.write(2, {REFUSED!r} + b"of the child\\n")
        os._exit(refusals.counts()["handshake", ""])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
""")
    assert (done.returncode, done.stderr) == (0, "of the child\n")
    # The parent had nothing to tell.
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["peer_refused"]


def test_each_of_several_workers_tells_of_its_own(
    folder: Path, strangers: dict[str, Callable[[str], None]]
) -> None:
    plan = replace(tls_plan(folder, "grpc"), workers=2)
    with ExitStack() as stack:
        _, process = stack.enter_context(served_by_tls("grpc", plan, folder))
        workers: TierProcess = process
        for line in workers.logged("serving", 2):
            strangers["HTTP_REQUEST"](line["address"])
        assert len(workers.logged("peer_refused", 2)) == 2
    assert "Handshake failed" not in workers.text()
