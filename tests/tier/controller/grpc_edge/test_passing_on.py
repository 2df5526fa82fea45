"""What goes through the public gRPC edge unread: every arity, every hop, errors, cancellation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from arcana.service.v1 import auth_service_pb2 as auth_pb2
from arcana.service.v1 import user_service_pb2 as users_pb2
from tests.fakes.service import FakeServiceTier
from tests.stores.waiting import eventually
from tests.tier.controller.grpc_edge.edges import (
    SECONDS,
    PublicEdge,
    bearer,
    error_of,
    probe_edge,
    public_edge,
)
from tests.tier.transports.asking import (
    ARITIES,
    BOTH,
    DOWN,
    UNARY,
    UP,
    ask,
    new_note,
    request,
)
from tests.tier.transports.plans import TierPlan
from tests.tier.transports.probe_contract import ProbeStub, message
from tests.tier.transports.wires import WIRES, Wire, served
from tier_runtime.clock import SystemClock
from tier_runtime.errors import AppError, Kind

UNTIL_GONE = 1
# A REST hop cannot stream in both directions at the same time.
PAIRS = [(wire, arity) for wire in WIRES for arity in ARITIES if (wire, arity) != ("http", BOTH)]


@pytest.fixture(scope="module")
def probes() -> Iterator[Callable[[Wire], ProbeStub]]:
    """Give a stranger's stub of the probe behind an edge, whose hop is of this transport."""
    found: dict[Wire, ProbeStub] = {}
    with ExitStack() as stack:

        def find(wire: Wire) -> ProbeStub:
            if wire not in found:
                plan = TierPlan("probe", protocol="http" if wire == "http" else "grpc")
                peer = stack.enter_context(served(wire, plan))
                found[wire] = ProbeStub(stack.enter_context(probe_edge(peer)))
            return found[wire]

        yield find


@pytest.fixture
def probe(probes: Callable[[Wire], ProbeStub], wire: Wire) -> ProbeStub:
    return probes(wire)


@pytest.mark.parametrize(("wire", "arity"), PAIRS)
def test_every_arity_passes_over_every_hop(probe: ProbeStub, arity: str) -> None:
    payload = message("Everything")(text="grüße", data=b"\x00\xff", int64_value=2**62)
    answers = ask(probe, arity, request(payload, answers=3), request(), timeout=SECONDS)
    assert len(answers) == {UNARY: 1, DOWN: 3, UP: 1, BOTH: 2}[arity]
    assert answers[0].payload == payload
    assert answers[-1].received == {UNARY: 1, DOWN: 3, UP: 2, BOTH: 2}[arity]
    seen = answers[0].seen
    assert (seen.subject, list(seen.roles)) == ("", [])
    assert seen.request_id


@pytest.mark.parametrize(("wire", "arity"), PAIRS)
def test_a_deadline_is_cut_to_that_of_a_request_and_a_shorter_one_stays(
    probe: ProbeStub, arity: str
) -> None:
    # The edge's is five seconds.
    for given, least, most in ((None, 3.0, 5.0), (60.0, 3.0, 5.0), (2.0, 0.5, 2.0)):
        answers = ask(probe, arity, request(answers=1), timeout=given)
        # gRPC rounds a deadline up by as much as a hundredth.
        assert least < answers[0].seen.seconds_left <= most + 0.02


@pytest.mark.parametrize(("wire", "arity"), PAIRS)
def test_an_error_arrives_as_the_service_tier_made_it(probe: ProbeStub, arity: str) -> None:
    failure = message("Failure")(
        kind="unavailable", code="SERVICE_UNAVAILABLE", text="Busy.", retry_after_seconds=7
    )
    with pytest.raises(grpc.RpcError) as raised:
        ask(probe, arity, request(failure=failure), timeout=SECONDS)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert raised.value.details() == "Busy."
    assert error_of(raised.value).retry_after == 7


@pytest.mark.parametrize(("wire", "arity"), PAIRS)
def test_a_crash_behind_the_edge_tells_nothing(probe: ProbeStub, arity: str) -> None:
    failure = message("Failure")(kind="crash", text="a secret")
    with pytest.raises(grpc.RpcError) as raised:
        ask(probe, arity, request(failure=failure), timeout=SECONDS)
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(raised.value)
    assert error_of(raised.value).code == "INTERNAL_ERROR"


@pytest.mark.parametrize(("wire", "arity"), PAIRS)
def test_a_caller_that_leaves_takes_its_rpc_behind_the_edge_with_it(
    probe: ProbeStub, arity: str
) -> None:
    note = new_note()
    # So long that no buffer on the way keeps it: a body over HTTP is read in pieces.
    payload = message("Everything")(text="x" * 10_000)
    asked = request(payload, note=note, wait=UNTIL_GONE, answers=0)
    more = threading.Event()

    def requests() -> Iterator[Any]:
        yield asked
        # A client that stays silent, and so never finishes.
        more.wait(SECONDS)

    method = getattr(probe, arity)
    if arity == UNARY:
        call = method.future(asked, timeout=SECONDS)
    elif arity == DOWN:
        call = method(asked, timeout=SECONDS)
    elif arity == UP:
        call = method.future(requests(), timeout=SECONDS)
    else:
        call = method(requests(), timeout=SECONDS)

    def sighting(what: str) -> int:
        recalled = probe.Recall(message("RecallRequest")(note=note), timeout=SECONDS)
        return int(getattr(recalled, what))

    eventually(lambda: sighting("waiting"), SECONDS, "the RPC has arrived")
    call.cancel()
    # Long before the time of the request is over.
    eventually(lambda: sighting("gone"), 3.0, "the handler was told")
    more.set()


@pytest.fixture(scope="module")
def edge() -> Iterator[PublicEdge]:
    with public_edge(request_timeout_seconds=1.0) as edge:
        yield edge


def test_field_errors_arrive_with_their_fields(edge: PublicEdge) -> None:
    faults = {"email": ("Not a valid email address.",), "name": ("Too long.", "Too odd.")}
    edge.tier.failures["Register"] = AppError(
        Kind.INVALID, "VALIDATION_FAILED", "Some fields are not valid.", field_errors=faults
    )
    try:
        with pytest.raises(grpc.RpcError) as raised:
            edge.auth.Register(auth_pb2.RegisterRequest())
    finally:
        del edge.tier.failures["Register"]
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = error_of(raised.value)
    assert (error.code, error.field_errors) == ("VALIDATION_FAILED", faults)


def test_users_are_streamed_to_admins(edge: PublicEdge) -> None:
    _, metadata = edge.signed_in("admin@example.org", "admin")
    emails = {f"user-{number}@example.org" for number in range(20)}
    for email in emails:
        edge.tier.add_user(email)
    answers = edge.users.StreamUsers(users_pb2.StreamUsersRequest(), metadata=metadata)
    assert emails <= {answer.user.email for answer in answers}


def test_what_takes_too_long_is_late_at_the_edge_too(edge: PublicEdge) -> None:
    go_on = threading.Event()

    def wait(method: str) -> None:
        if method == "VerifyEmail":
            go_on.wait(SECONDS)

    edge.tier.before = wait
    with pytest.raises(grpc.RpcError) as raised:
        edge.auth.VerifyEmail(auth_pb2.VerifyEmailRequest(token="x"), timeout=SECONDS)
    go_on.set()
    edge.tier.before = lambda _method: None
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert error_of(raised.value).code == "DEADLINE_EXCEEDED"


def test_streams_have_a_bound_of_their_own_and_unary_calls_go_on() -> None:
    tier = FakeServiceTier(SystemClock())
    go_on, open_streams = threading.Event(), threading.Semaphore(0)

    def wait(method: str) -> None:
        if method == "StreamUsers.next":
            open_streams.release()
            go_on.wait(SECONDS)

    tier.before = wait
    with public_edge(tier, public_grpc_threads=3, public_grpc_max_streams=2) as edge:
        _, metadata = edge.signed_in("admin@example.org", "admin")
        streams = [
            edge.users.StreamUsers(users_pb2.StreamUsersRequest(), metadata=metadata)
            for _ in range(2)
        ]
        for _ in streams:
            assert open_streams.acquire(timeout=SECONDS)
        third = edge.users.StreamUsers(users_pb2.StreamUsersRequest(), metadata=metadata)
        with pytest.raises(grpc.RpcError) as raised:
            next(third)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert edge.auth.GetJwks(auth_pb2.GetJwksRequest(), timeout=SECONDS).keys
        go_on.set()
        assert [len(list(stream)) for stream in streams] == [1, 1]


def test_without_a_service_tier_it_is_unavailable_and_nothing_more() -> None:
    tier = FakeServiceTier(SystemClock())
    token = tier.sign_in(tier.add_user())
    with public_edge(tier, service_urls=["users=grpc://127.0.0.1:1"]) as edge:
        # The services are apart: one is gone and the other answers.
        assert edge.auth.GetJwks(auth_pb2.GetJwksRequest()).keys
        with pytest.raises(grpc.RpcError) as raised:
            edge.users.GetUser(users_pb2.GetUserRequest(user_id="x"), metadata=bearer(token))
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert error_of(raised.value).code == "SERVICE_UNAVAILABLE"
