from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.tier.transports.asking import (
    ARITIES,
    BOTH,
    UNARY,
    ask,
    ends,
    every_arity,
    of_app_error,
    of_rpc_error,
    request,
)
from tests.tier.transports.payloads import TEXT
from tests.tier.transports.probe_contract import SERVICE, ProbeStub, message, service
from tests.tier.transports.wires import SOCKETS, Peer, Wire
from tier_runtime.catalogue import GENERAL_CODES
from tier_runtime.errors import AppError, Kind
from tier_runtime.status import DETAILS_KEY, STATUS_CODES

SHOWN = [kind for kind in Kind if kind is not Kind.INTERNAL]
FAULTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "metadata": {"metadata": {"available": "3", "text": TEXT, "empty": ""}},
    "fields": {
        "field_errors": [
            {"field": "lines[0].quantity", "text": "Must be 1 or more."},
            {"field": "name", "text": "Missing."},
            {"field": "name", "text": TEXT},
        ]
    },
    "retry": {"retry_after_seconds": 2.5},
    "retry at once": {"retry_after_seconds": 0.0},
}


def failing(kind: str, fault: dict[str, Any] | None = None, text: str = "A message.") -> Any:
    code = GENERAL_CODES[Kind(kind)] if kind != "crash" else ""
    failure = {"kind": kind, "code": code, "text": text, **(fault or {})}
    return request({"text": "x"}, failure=failure)


def expected(kind: Kind, fault: dict[str, Any]) -> tuple[object, ...]:
    fields: dict[str, tuple[str, ...]] = {}
    for error in fault.get("field_errors", ()):
        fields[error["field"]] = (*fields.get(error["field"], ()), error["text"])
    return (
        kind.value,
        GENERAL_CODES[kind],
        "A message.",
        fields,
        fault.get("retry_after_seconds"),
        fault.get("metadata", {}),
    )


@every_arity
@pytest.mark.parametrize("kind", SHOWN)
def test_every_kind_of_error_arrives_whole(probe: ProbeStub, arity: str, kind: Kind) -> None:
    fault = FAULTS["metadata"] | FAULTS["fields"] | FAULTS["retry"]
    assert ends(probe, arity, failing(kind.value, fault)) == expected(kind, fault)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_part_of_an_error_arrives_by_itself(probe: ProbeStub, fault: str) -> None:
    ended = ends(probe, UNARY, failing("throttled", FAULTS[fault]))
    assert ended == expected(Kind.THROTTLED, FAULTS[fault])


@every_arity
@pytest.mark.parametrize("kind", SHOWN)
def test_a_stranger_sees_the_same_status_over_every_transport(
    bare_probe: ProbeStub, arity: str, kind: Kind
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(bare_probe, arity, failing(kind.value, FAULTS["retry"], TEXT))
    error: Any = caught.value
    assert (error.code(), error.details()) == (STATUS_CODES[kind], TEXT)
    assert isinstance(dict(error.trailing_metadata())[DETAILS_KEY], bytes)


def test_a_stranger_s_error_is_the_same_to_the_byte_over_every_transport(
    peer_of: Callable[[Wire], Peer], bare_probe: ProbeStub
) -> None:
    asked = failing("conflict", FAULTS["fields"] | FAULTS["retry"])
    with peer_of("grpc").bare_channel() as channel:
        expected = ends(ProbeStub(channel), UNARY, asked)
    assert ends(bare_probe, UNARY, asked) == expected


@every_arity
@pytest.mark.parametrize("kind", ["crash", "internal"])
def test_what_went_wrong_inside_has_no_text(
    probe: ProbeStub, bare_probe: ProbeStub, arity: str, kind: str
) -> None:
    asked = failing(kind, {"metadata": {"secret": "x"}}, "SELECT secret FROM users")
    assert ends(probe, arity, asked) == (
        "internal",
        "INTERNAL_ERROR",
        "Internal error.",
        {},
        None,
        {},
    )
    code, details, status = ends(bare_probe, arity, asked)
    assert (code, details) == (grpc.StatusCode.INTERNAL, "Internal error.")
    assert isinstance(status, bytes)
    assert b"secret" not in status


@every_arity
def test_details_without_measure_arrive_cut_and_alike(
    peer_of: Callable[[Wire], Peer], probe: ProbeStub, arity: str
) -> None:
    faults = {
        "field_errors": [
            {"field": f"items.{n}.quantity", "text": "wrong " * 20} for n in range(1000)
        ]
    }
    asked = failing("invalid", faults, "x" * 50_000)
    ended = ends(probe, arity, asked)
    assert ended[:2] == ("invalid", GENERAL_CODES[Kind.INVALID])
    assert ended[3]
    with peer_of("grpc").channel() as channel:
        assert ended == ends(ProbeStub(channel), arity, asked)


@every_arity
def test_a_code_that_is_not_known_here_becomes_its_kind_s_general_one(
    probe: ProbeStub, arity: str
) -> None:
    """The catalogue of the sender decides what leaves, so an unknown code is a crash there."""
    asked = request(failure={"kind": "missing", "code": "NOT_IN_THE_CATALOGUE", "text": "secret"})
    assert ends(probe, arity, asked)[:3] == ("internal", "INTERNAL_ERROR", "Internal error.")


@pytest.mark.parametrize("arity", ["Answer", "Up"])
@pytest.mark.parametrize("way", ["result", "exception", "with_call"])
def test_all_ways_to_wait_for_one_answer_tell_the_same_error(
    probe: ProbeStub, arity: str, way: str
) -> None:
    asked = failing("conflict", FAULTS["metadata"])
    given = asked if arity == "Answer" else iter([asked])
    method = getattr(probe, arity)
    ways: dict[str, Callable[[], Any]] = {
        "result": lambda: method.future(given).result(),
        "exception": lambda: _raised(method.future(given).exception()),
        "with_call": lambda: method.with_call(given),
    }
    with pytest.raises(AppError) as caught:
        ways[way]()
    expected = FAULTS["metadata"]["metadata"]
    assert of_app_error(caught.value)[:2] == ("conflict", GENERAL_CODES[Kind.CONFLICT])
    assert caught.value.metadata == expected


def _raised(error: Exception) -> None:
    raise error


def test_a_method_of_the_contract_that_nobody_serves_is_unimplemented(
    probe: ProbeStub, bare_probe: ProbeStub
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        bare_probe.Missing(request())
    assert of_rpc_error(caught.value)[0] is grpc.StatusCode.UNIMPLEMENTED
    assert ends(probe, "Missing", request())[:3] == (
        "internal",
        "INTERNAL_ERROR",
        "Internal error.",
    )


@pytest.mark.parametrize("method", ["/tests.transports.v1.ProbeService/NoSuch", "/no.Such/Method"])
def test_a_method_of_no_contract_is_unimplemented(peer: Peer, method: str) -> None:
    codec = (
        message("AnswerRequest").SerializeToString,
        message("AnswerResponse").FromString,
    )
    with peer.bare_channel() as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(method, *codec)(request())
        assert of_rpc_error(caught.value)[0] is grpc.StatusCode.UNIMPLEMENTED


@every_arity
def test_bytes_that_are_no_message_of_the_method_are_refused(
    peer: Peer, wire: Wire, arity: str
) -> None:
    """A stub that promises one message and sends another; over a wire of JSON it cannot."""
    method = service().methods_by_name[arity]
    streams = ("unary", "stream")
    shape = f"{streams[method.client_streaming]}_{streams[method.server_streaming]}"
    good, junk = request(answers=1).SerializeToString(), b"\xff\xff\xff"
    given = iter([good, junk]) if method.client_streaming else junk
    with peer.bare_channel() as channel:
        call = getattr(channel, shape)(f"/{SERVICE}/{arity}", None, None)
        with pytest.raises(grpc.RpcError) as caught:
            _ = list(call(given)) if method.server_streaming else call(given)
    # A handler must not take what came before for the whole.
    is_found_by_us = wire == "grpc" and method.client_streaming
    expected = grpc.StatusCode.INVALID_ARGUMENT if is_found_by_us else grpc.StatusCode.INTERNAL
    assert of_rpc_error(caught.value)[0] is expected


@pytest.mark.parametrize("wire", SOCKETS, indirect=True)
@pytest.mark.parametrize("arity", [arity for arity in ARITIES if arity != BOTH])
def test_a_peer_that_is_not_there_is_unavailable(wire: Wire, arity: str) -> None:
    with Peer(wire, f"{wire}://127.0.0.1:1").channel() as channel:
        assert ends(ProbeStub(channel), arity, request())[:2] == (
            "unavailable",
            "SERVICE_UNAVAILABLE",
        )
