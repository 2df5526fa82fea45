"""Who is served over TLS, over both transports: the right names, from the right authority."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)

from tests.stores.waiting import eventually
from tests.tier.tls.certificates import (
    CALLER,
    READER,
    STRANGER,
    files_of,
    make,
    served_by_tls,
    tls_plan,
)
from tests.tier.tls.strangers import shake_hands
from tests.tier.transports.asking import DOWN, UP, ask, request
from tests.tier.transports.probe_contract import SERVICE, ProbeStub, message
from tests.tier.transports.wires import Peer, TierProcess, Wire
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import get_logger
from tier_runtime.server import build_server
from tier_runtime.startup import StartupError
from tier_runtime.tls.files import TlsFiles

SECONDS = 20.0

Served = Callable[[Wire], tuple[Peer, TierProcess]]


def failure(url: str, tls: TlsFiles | None, method: str = "Answer") -> AppError:
    with open_channel(url, ChannelSettings(tls=tls, max_attempts=1)) as channel:
        asked = request() if method != "Find" else message("FindRequest")(thing_id="1")
        with pytest.raises(AppError) as caught:
            getattr(ProbeStub(channel), method)(asked)
    return caught.value


def refusals(process: TierProcess, **fields: Any) -> list[dict[str, Any]]:
    lines = process.log_lines("peer_refused")
    return [line for line in lines if fields.items() <= line.items()]


def test_a_peer_on_no_list_is_refused_and_logged_with_its_names(
    served: Served, wire: Wire, folder: Path
) -> None:
    peer, process = served(wire)
    for method in ("Answer", "Find"):
        error = failure(peer.url, files_of(folder, STRANGER), method)
        assert (error.kind, error.code) == (Kind.FORBIDDEN, "PEER_NOT_ALLOWED")
        named = f"/{SERVICE}/{method}"
        (line,) = eventually(
            lambda named=named: refusals(process, method=named, reason="peer")  # type: ignore[misc]
        )
        assert line["peer"] == ["controller", "localhost"]
        assert line["level"] == "warning"


@pytest.mark.parametrize("arity", [DOWN, UP])
def test_streams_are_refused_too(served: Served, wire: Wire, folder: Path, arity: str) -> None:
    peer, _ = served(wire)
    with open_channel(peer.url, ChannelSettings(tls=files_of(folder, STRANGER))) as channel:
        stub = ProbeStub(channel)
        with pytest.raises(AppError) as caught:
            ask(stub, arity, request())
    assert caught.value.code == "PEER_NOT_ALLOWED"


def test_a_reader_reads_and_does_not_write(served: Served, wire: Wire, folder: Path) -> None:
    peer, process = served(wire)
    reader = files_of(folder, READER)
    with open_channel(peer.url, ChannelSettings(tls=reader)) as channel:
        found = ProbeStub(channel).Find(message("FindRequest")(thing_id="1"))
    assert found.request.thing_id == "1"
    assert failure(peer.url, reader).code == "PEER_NOT_ALLOWED"
    assert eventually(lambda: refusals(process, reason="write", method=f"/{SERVICE}/Answer"))


def test_whoever_has_a_certificate_may_ask_how_it_is(
    served: Served, wire: Wire, folder: Path
) -> None:
    peer, _ = served(wire)
    with open_channel(peer.url, ChannelSettings(tls=files_of(folder, STRANGER))) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_plaintext_another_authority_and_no_certificate_are_refused_and_logged(
    served: Served, wire: Wire, folder: Path, tmp_path: Path
) -> None:
    peer, process = served(wire)
    others = files_of(make(tmp_path), CALLER)
    trusting = files_of(folder, CALLER)
    # It trusts the server, and shows a certificate that the server does not trust.
    wrong = TlsFiles(others.certificate, others.key, trusting.authority)
    # This one does not trust the server, and learns nothing of it.
    assert failure(peer.url, others).kind is Kind.UNAVAILABLE

    def refused_by(attempt: Callable[[], object]) -> None:
        before = len(refusals(process, reason="handshake"))
        attempt()
        eventually(lambda: len(refusals(process, reason="handshake")) > before, SECONDS)

    refused_by(lambda: failure(peer.url, None))
    refused_by(lambda: failure(peer.url, wrong))
    refused_by(lambda: shake_hands(peer.url, trusting.authority))


def test_a_server_whose_certificate_names_another_host_is_not_called(
    folder: Path, wire: Wire
) -> None:
    with served_by_tls(wire, tls_plan(folder, wire, bind="127.0.0.2:0"), folder) as (peer, _):
        with peer.channel(max_attempts=1) as channel, pytest.raises(AppError) as caught:
            ProbeStub(channel).Answer(request())
        assert caught.value.kind is Kind.UNAVAILABLE


def test_several_addresses_are_called_by_the_name_of_the_first(folder: Path, wire: Wire) -> None:
    with (
        served_by_tls(wire, tls_plan(folder, wire), folder) as (one, _),
        served_by_tls(wire, tls_plan(folder, wire), folder) as (two, _),
    ):
        url = f"{one.url},{two.url.rpartition('/')[2]}"
        with open_channel(url, ChannelSettings(tls=files_of(folder, CALLER))) as channel:
            stub = ProbeStub(channel)
            for _ in range(6):
                stub.Answer(request(), timeout=10)


def test_of_several_addresses_one_that_cannot_prove_itself_is_left_out(
    folder: Path,
) -> None:
    # Over REST each must be who its own address says; over gRPC the first one's name counts.
    elsewhere = tls_plan(folder, "http", bind="127.0.0.2:0")
    with (
        served_by_tls("http", tls_plan(folder, "http"), folder) as (one, _),
        served_by_tls("http", elsewhere, folder) as (two, other),
    ):
        url = f"{one.url},{two.url.rpartition('/')[2]}"
        files = files_of(folder, CALLER)
        with open_channel(url, ChannelSettings(tls=files, max_attempts=1)) as channel:
            for _ in range(6):
                ProbeStub(channel).Answer(request(), timeout=10)
        assert not other.log_lines("rpc")


def test_refusals_are_counted_by_reason_and_method(folder: Path) -> None:
    plan = tls_plan(folder, "grpc")
    settings, tier = plan.grpc(), plan.make()
    assert settings.tls is not None
    told: list[tuple[str, str]] = []
    settings.tls.refusals.tell(lambda *each: told.append(each))
    server = build_server(settings, tier.services, tier.health, get_logger("test"))
    server.start()
    try:
        url = f"grpc://{server.address}"
        failure(url, files_of(folder, STRANGER))
        failure(url, files_of(folder, STRANGER))
        failure(url, files_of(folder, READER))
    finally:
        server.stop()
    method = f"/{SERVICE}/Answer"
    assert settings.tls.refusals.counts() == {("peer", method): 2, ("write", method): 1}
    assert told == [("peer", method)] * 2 + [("write", method)]


@pytest.mark.parametrize("wire", ["grpc", "http"])
def test_a_channel_whose_files_cannot_be_used_is_not_opened(tmp_path: Path, wire: Wire) -> None:
    with pytest.raises(StartupError, match="service"):
        open_channel(f"{wire}://127.0.0.1:1", ChannelSettings(tls=files_of(tmp_path, CALLER)))


def test_a_closed_channel_says_so(folder: Path) -> None:
    channel = open_channel("grpc://127.0.0.1:1", ChannelSettings(tls=files_of(folder, CALLER)))
    channel.close()
    with pytest.raises(ValueError, match="closed"):
        ProbeStub(channel).Answer(request())
    assert isinstance(channel, grpc.Channel)
