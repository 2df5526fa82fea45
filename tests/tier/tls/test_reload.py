"""Certificates, and then the authority, are replaced while calls go on: none of them fails."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import cast

from launcher.certificates import make_certificates
from tests.stores.waiting import eventually
from tests.tier.tls.certificates import CALLER, files_of, make, served_by_tls, tls_plan
from tests.tier.transports.asking import request
from tests.tier.transports.probe_contract import ProbeStub
from tests.tier.transports.wires import Wire
from tier_runtime.errors import AppError, Kind
from tier_runtime.rest.connections import Outgoing, PooledConnections
from tier_runtime.rest.flight import Flight
from tier_runtime.tls.files import LOOK_SECONDS, TlsFiles

PEERS = ("repository", CALLER)
# Connections last no longer, so that each change is put to the test by new ones.
AGE_SECONDS = 0.3
SECONDS = 20.0


class Calls:
    """Calls one after the other, in a thread, and those that failed."""

    def __init__(self, stub: ProbeStub) -> None:
        self._stub = stub
        self._stopped = threading.Event()
        self.answered = 0
        self.failed: list[str] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Calls:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self._thread.join(SECONDS)

    def go_on(self, seconds: float) -> None:
        """Wait until calls went on for so long."""
        until, since = time.monotonic() + seconds, self.answered
        eventually(lambda: time.monotonic() > until and self.answered > since + 20, SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._stub.Answer(request(), timeout=10)
            except AppError as error:
                # What the transport said, and when.
                self.failed.append(f"after {self.answered} answers: {error.__cause__}")
            else:
                self.answered += 1


def swap(folder: Path, name: str, content: bytes) -> None:
    for peer in PEERS:
        draft = folder / peer / f".{name}"
        draft.write_bytes(content)
        draft.replace(folder / peer / name)


def renew(folder: Path) -> None:
    make_certificates(folder)


def take_over(folder: Path, source: Path) -> None:
    """Replace keys and certificates, file by file."""
    for peer in PEERS:
        for name in ("tls.key", "tls.crt"):
            draft = folder / peer / f".{name}"
            shutil.copy(source / peer / name, draft)
            draft.replace(folder / peer / name)


def shown_at(url: str, files: TlsFiles) -> bytes:
    """Return the certificate that a server shows."""
    host, port = url.rpartition("/")[2].split(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    files.load_into(context)
    try:
        with (
            socket.create_connection((host, int(port)), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            return secured.getpeercert(binary_form=True) or b""
    except OSError:
        return b""


def test_all_is_replaced_under_calls_and_none_fails(tmp_path: Path, wire: Wire) -> None:
    old, new = make(tmp_path / "in use"), make(tmp_path / "new")
    both = (old / "ca.crt").read_bytes() + (new / "ca.crt").read_bytes()
    plan = tls_plan(old, wire, max_connection_age_seconds=AGE_SECONDS)
    with (
        served_by_tls(wire, plan, old) as (peer, process),
        peer.channel(max_connection_age_seconds=AGE_SECONDS) as channel,
        Calls(ProbeStub(channel)) as calls,
    ):

        def step(change: Callable[[], None]) -> None:
            seen = len(process.log_lines("certificate_reloaded"))
            change()
            process.logged("certificate_reloaded", seen + 1)
            # The caller has looked by then, and has new connections.
            calls.go_on(2 * LOOK_SECONDS + 2 * AGE_SECONDS)

        # A new certificate of the same authority.
        first = shown_at(peer.url, files_of(old, CALLER))
        step(lambda: renew(old))
        assert shown_at(peer.url, files_of(old, CALLER)) not in {first, b""}
        # Another authority: first trusted beside the old one, then used, then alone.
        step(lambda: swap(old, "ca.crt", both))
        step(lambda: take_over(old, new))
        step(lambda: swap(old, "ca.crt", (new / "ca.crt").read_bytes()))
        expected = ssl.PEM_cert_to_DER_cert((new / "repository" / "tls.crt").read_text())
        assert shown_at(peer.url, files_of(new, CALLER)) == expected
    assert calls.failed == []


def test_files_that_do_not_belong_together_change_nothing_and_are_told(
    tmp_path: Path, wire: Wire
) -> None:
    folder, other = make(tmp_path / "in use"), make(tmp_path / "other")
    plan = tls_plan(folder, wire, max_connection_age_seconds=AGE_SECONDS)
    with (
        served_by_tls(wire, plan, folder) as (peer, process),
        peer.channel(max_connection_age_seconds=AGE_SECONDS) as channel,
        Calls(ProbeStub(channel)) as calls,
    ):
        calls.go_on(0)
        swap(folder, "tls.key", (other / CALLER / "tls.key").read_bytes())
        process.logged("certificate_not_reloaded", 1)
        calls.go_on(2 * LOOK_SECONDS)
    assert calls.failed == []
    assert len(process.log_lines("certificate_not_reloaded")) == 1
    assert not process.log_lines("certificate_reloaded")


def test_who_is_not_trusted_any_more_loses_the_connection_that_it_has(
    tmp_path: Path, wire: Wire
) -> None:
    folder, other = make(tmp_path / "in use"), make(tmp_path / "other")
    plan = tls_plan(folder, wire, max_connection_age_seconds=AGE_SECONDS)
    with (
        served_by_tls(wire, plan, folder) as (peer, process),
        # By itself it would keep its connection.
        peer.channel(max_connection_age_seconds=3600.0, max_attempts=1) as channel,
    ):
        stub = ProbeStub(channel)
        stub.Answer(request(), timeout=10)
        shutil.copy(other / "ca.crt", folder / "repository" / "ca.crt")

        def why_not() -> Kind | None:
            try:
                stub.Answer(request(), timeout=10)
            except AppError as error:
                return error.kind
            return None

        assert eventually(why_not, SECONDS, "the peer is shut out") is Kind.UNAVAILABLE
        assert process.log_lines("certificate_reloaded")


class Meddled:
    """A request that calls `meddle`, the first time, when the pool for it has been picked."""

    verb, headers, body = "GET", MappingProxyType({"Host": "tier"}), None

    def __init__(self, meddle: Callable[[], object]) -> None:
        self._meddle: Callable[[], object] | None = meddle

    @property
    def target(self) -> str:
        meddle, self._meddle = self._meddle, None
        if meddle is not None:
            meddle()
        return "/health"


def test_a_request_takes_the_new_pool_when_its_own_is_replaced_under_it(tmp_path: Path) -> None:
    folder = make(tmp_path)
    files = files_of(folder, CALLER)
    with served_by_tls("http", tls_plan(folder, "http"), folder) as (peer, _):
        target = peer.url.rpartition("/")[2]
        connections = PooledConnections([target], 300.0, tls=files)

        def status(sent: Outgoing | Meddled) -> int:
            answer = connections.send(cast(Outgoing, sent), Flight(SECONDS), 1)
            answer.read(1024)
            return answer.status

        def meddle() -> None:
            make_certificates(folder)
            ends = time.monotonic() + 2 * LOOK_SECONDS
            # By then it has looked, and this request has had its pool replaced.
            eventually(lambda: status(plain) == 200 and time.monotonic() > ends, SECONDS)

        plain = Outgoing("GET", "/health", {"Host": "tier"}, None)
        try:
            assert status(plain) == 200
            assert status(Meddled(meddle)) == 200
        finally:
            connections.close()
