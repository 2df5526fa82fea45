"""The REST channel against servers that answer well, badly, late, or not at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from arcana.service.v1 import user_pb2, user_service_pb2
from tests.fakes.clock import FakeClock
from tests.stores.waiting import eventually
from tests.tier.rest.scripted import Peer, ScriptedServer, unused_target
from tier_runtime.channel_settings import ChannelSettings
from tier_runtime.local_rpc import LocalRpcError
from tier_runtime.rest.addresses import RESOLVE_SECONDS, Addresses
from tier_runtime.rest.channel import RestChannel
from tier_runtime.rest.connections import PooledConnections

SERVICE = "arcana.service.v1.UserService"
GetUserRequest = user_service_pb2.GetUserRequest
GetUserResponse = user_service_pb2.GetUserResponse
CreateUserRequest = user_service_pb2.CreateUserRequest
BODY = b'{"user":{"id":"1"}}'
ANSWER = GetUserResponse(user=user_pb2.User(id="1"))
# None of these tests takes so long unless it fails.
LIMIT = 10.0

Serve = Callable[..., ScriptedServer]
Connect = Callable[..., RestChannel]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:
        yield lambda script: stack.enter_context(ScriptedServer(script))


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as stack:

        def open_channel(*targets: Any, **settings: Any) -> RestChannel:
            settings.setdefault("retried_methods", (f"{SERVICE}/GetUser",))
            addresses = [getattr(target, "target", target) for target in targets]
            return stack.enter_context(RestChannel(addresses, ChannelSettings(**settings)))

        yield open_channel


def _get_user(channel: RestChannel) -> Any:
    return channel.unary_unary(
        f"/{SERVICE}/GetUser", GetUserRequest.SerializeToString, GetUserResponse.FromString
    )


def _create_user(channel: RestChannel) -> Any:
    return channel.unary_unary(
        f"/{SERVICE}/CreateUser",
        CreateUserRequest.SerializeToString,
        user_service_pb2.CreateUserResponse.FromString,
    )


def _stream_users(channel: RestChannel) -> Any:
    return channel.unary_stream(
        f"/{SERVICE}/StreamUsers",
        user_service_pb2.StreamUsersRequest.SerializeToString,
        user_service_pb2.StreamUsersResponse.FromString,
    )


def _always(body: bytes = BODY, **options: Any) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        while peer.request():
            peer.answer(body, **options)

    return script


def _ends(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(LocalRpcError) as caught:
        call()
    return caught.value.code(), caught.value.details()


def _read(channel: RestChannel, timeout: float = LIMIT) -> Any:
    return _get_user(channel)(GetUserRequest(user_id="1"), timeout=timeout)


def test_one_connection_serves_one_call_after_the_other(serve: Serve, connect: Connect) -> None:
    server = serve(_always())
    channel = connect(server)
    for _ in range(3):
        assert _read(channel) == ANSWER
    assert server.accepted == 1
    assert server.requests[0].startswith(b"GET /service/v1/users/1 HTTP/1.1\r\n")
    assert b"grpc-timeout: 10000m\r\n" in server.requests[0]


def test_serialized_messages_are_taken_and_given(serve: Serve, connect: Connect) -> None:
    channel = connect(serve(_always()))
    raw = channel.unary_unary(f"/{SERVICE}/GetUser")
    given = GetUserRequest(user_id="1").SerializeToString()
    assert raw(given, timeout=LIMIT) == ANSWER.SerializeToString()


def test_other_codecs_than_generated_ones_get_protobuf(serve: Serve, connect: Connect) -> None:
    channel = connect(serve(_always()))
    call = channel.unary_unary(
        f"/{SERVICE}/GetUser",
        lambda user_id: GetUserRequest(user_id=user_id).SerializeToString(),
        lambda answer: GetUserResponse.FromString(answer).user.id,
    )
    assert call("1", timeout=LIMIT) == "1"


def test_metadata_goes_along_both_ways(serve: Serve, connect: Connect) -> None:
    server = serve(_always(headers="grpc-metadata-a: 1\r\ngrpc-trailer-b-bin: AAE=\r\n"))
    metadata = (("x-request-id", "r-1"), ("arcana-actor-bin", b"\x00\x01"))
    _, call = _get_user(connect(server)).with_call(
        GetUserRequest(user_id="1"), timeout=LIMIT, metadata=metadata
    )
    assert b"x-request-id: r-1\r\n" in server.requests[0]
    assert b"arcana-actor-bin: AAE=\r\n" in server.requests[0]
    assert call.initial_metadata() == (("a", "1"),)
    assert call.trailing_metadata() == (("b-bin", b"\x00\x01"),)
    assert call.code() is grpc.StatusCode.OK


def test_a_field_of_a_newer_server_is_ignored(serve: Serve, connect: Connect) -> None:
    channel = connect(serve(_always(b'{"user":{"id":"1","shoe_size":44}}')))
    assert _read(channel) == ANSWER


def test_an_answer_that_is_no_json_is_internal(serve: Serve, connect: Connect) -> None:
    channel = connect(serve(_always(b"<html>")))
    assert _ends(lambda: _read(channel))[0] is grpc.StatusCode.INTERNAL


def test_an_answer_of_somebody_in_between_means_unavailable(serve: Serve, connect: Connect) -> None:
    server = serve(_always(b"<html>", status="502 Bad Gateway"))
    channel = connect(server)
    assert _ends(lambda: _read(channel))[0] is grpc.StatusCode.UNAVAILABLE
    # An answer came, so it is not asked again.
    assert len(server.requests) == 1


def test_nobody_there_is_unavailable_at_once(connect: Connect) -> None:
    channel = connect(unused_target(), retried_methods=())
    began = time.monotonic()
    assert _ends(lambda: _read(channel))[0] is grpc.StatusCode.UNAVAILABLE
    assert time.monotonic() - began < LIMIT / 2


def test_a_call_goes_to_the_next_address_when_one_cannot_be_reached(
    serve: Serve, connect: Connect
) -> None:
    server = serve(_always(b'{"user":{"id":"2"}}'))
    channel = connect(unused_target(), server)
    for _ in range(6):
        # Also what must not be sent twice: nothing was sent.
        assert _create_user(channel)(CreateUserRequest(name="x"), timeout=LIMIT).user.id == "2"
    assert len(server.requests) == 6


def test_calls_are_spread_over_all_addresses(serve: Serve, connect: Connect) -> None:
    servers = [serve(_always()) for _ in range(3)]
    channel = connect(*servers)
    for _ in range(12):
        _read(channel)
    assert [len(server.requests) for server in servers] == [4, 4, 4]


def test_a_call_waits_for_a_name_server_no_longer_than_its_deadline() -> None:
    answering = threading.Event()

    def resolve(_host: str, _port: int) -> list[tuple[str, int]]:
        answering.wait(LIMIT)
        return []

    connections = PooledConnections(["tier:1"], 300.0, Addresses(["tier:1"], resolve=resolve))
    with RestChannel(["tier:1"], ChannelSettings(), connections) as channel:
        began = time.monotonic()
        assert _ends(lambda: _read(channel, timeout=0.2))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - began < LIMIT / 2
    answering.set()


def test_a_call_with_hardly_any_time_says_nothing_about_its_peer(serve: Serve) -> None:
    with ExitStack() as stack:
        # Linux lets nobody in whose backlog is full, and does not say so either.
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        target = "{}:{}".format(*full.getsockname())
        # The second one is the first whose turn it is.
        addresses = Addresses([serve(_always()).target, target])
        channel = stack.enter_context(
            RestChannel([], ChannelSettings(), PooledConnections([], 300.0, addresses))
        )
        ends = _ends(lambda: _read(channel, timeout=0.05))
        assert ends[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        assert full.getsockname() in {addresses.next() for _ in range(2)}


def test_new_addresses_of_a_name_are_called_and_old_ones_left() -> None:
    with ScriptedServer(_always()) as old, ScriptedServer(_always()) as new:
        clock, found = FakeClock(), [old]

        def resolve(_host: str, _port: int) -> list[tuple[str, int]]:
            return [("127.0.0.1", int(one.target.rpartition(":")[2])) for one in found]

        addresses = Addresses(["tier:1"], resolve=resolve, clock=clock.monotonic)
        connections = PooledConnections(["tier:1"], 300.0, addresses)
        with RestChannel(["tier:1"], ChannelSettings(), connections) as channel:
            _read(channel)
            found[:] = [new]
            clock.advance(RESOLVE_SECONDS + 1)
            eventually(lambda: _read(channel) == ANSWER and new.requests, what="the new address")
            eventually(lambda: old.finished == 1, what="the old connection is closed")


def _drops_first(times: int) -> Callable[[Peer], None]:
    """Close without a word on the first so many requests."""

    def script(peer: Peer) -> None:
        while peer.request():
            if len(peer.server.requests) <= times:
                peer.reset()
                return
            peer.answer(BODY)

    return script


def test_a_read_whose_connection_breaks_before_an_answer_is_sent_again(
    serve: Serve, connect: Connect
) -> None:
    server = serve(_drops_first(2))
    assert _read(connect(server)) == ANSWER
    assert len(server.requests) == 3


def test_a_read_is_not_sent_more_often_than_is_allowed(serve: Serve, connect: Connect) -> None:
    server = serve(_drops_first(100))
    channel = connect(server, max_attempts=2)
    assert _ends(lambda: _read(channel))[0] is grpc.StatusCode.UNAVAILABLE
    assert len(server.requests) == 2


def test_a_write_is_never_sent_twice(serve: Serve, connect: Connect) -> None:
    server = serve(_drops_first(1))
    channel = connect(server)
    ends = _ends(lambda: _create_user(channel)(CreateUserRequest(name="x"), timeout=LIMIT))
    assert ends[0] is grpc.StatusCode.UNAVAILABLE
    assert len(server.requests) == 1


def test_an_answer_that_breaks_off_is_not_asked_for_again(serve: Serve, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    server = serve(script)
    channel = connect(server)
    assert _ends(lambda: _read(channel))[0] is grpc.StatusCode.UNAVAILABLE
    assert len(server.requests) == 1


def test_a_peer_that_fails_everything_is_soon_not_asked_twice(
    serve: Serve, connect: Connect
) -> None:
    server = serve(_drops_first(10_000))
    channel = connect(server)
    calls = 40
    for _ in range(calls):
        _ends(lambda: _read(channel))
    assert len(server.requests) <= 1.2 * calls


def test_a_connection_that_the_server_closed_meanwhile_is_replaced(
    serve: Serve, connect: Connect
) -> None:
    def one_each(peer: Peer) -> None:
        peer.request()
        peer.answer(BODY)

    server = serve(one_each)
    channel = connect(server, retried_methods=())
    for _ in range(3):
        before = server.finished
        assert _create_user(channel)(CreateUserRequest(name="x"), timeout=LIMIT).user.id == "1"
        eventually(_more_than(server, before), what="the server closes the connection")
    assert server.accepted == 3


def _more_than(server: ScriptedServer, finished: int) -> Callable[[], bool]:
    return lambda: server.finished > finished


@pytest.mark.parametrize("part", [b"HTTP/1.1 200 OK\r\nX-", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_answers_byte_by_byte_takes_no_longer_than_the_deadline(
    serve: Serve, connect: Connect, part: bytes
) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(part)
        while not peer.server.wait(0.02):
            peer.send(b"x")

    channel = connect(serve(script))
    began = time.monotonic()
    assert _ends(lambda: _read(channel, timeout=0.3))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0.25 < time.monotonic() - began < LIMIT / 2


def test_a_call_without_time_is_not_sent(serve: Serve, connect: Connect) -> None:
    server = serve(_always())
    channel = connect(server)
    assert _ends(lambda: _read(channel, timeout=-1))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.accepted == 0


def _silent(peer: Peer) -> None:
    peer.request()
    peer.wait_closed()


def test_a_server_that_is_silent_until_the_deadline_finds_its_caller_gone(
    serve: Serve, connect: Connect
) -> None:
    server = serve(_silent)
    channel = connect(server)
    assert _ends(lambda: _read(channel, timeout=0.2))[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: server.closed == [1], what="the connection is closed")
    # Who waited in vain does not ask again.
    assert len(server.requests) == 1


def test_a_cancelled_future_closes_its_connection(serve: Serve, connect: Connect) -> None:
    server = serve(_silent)
    future = _get_user(connect(server)).future(GetUserRequest(user_id="1"), timeout=LIMIT)
    eventually(lambda: server.requests, what="the request arrives")
    assert future.cancel()
    assert not future.cancel()
    assert future.cancelled()
    with pytest.raises(grpc.FutureCancelledError):
        future.result()
    assert future.code() is grpc.StatusCode.CANCELLED
    eventually(lambda: server.closed == [1], what="the connection is closed")


def test_a_late_cancel_hits_nobody_else(serve: Serve, connect: Connect) -> None:
    server = serve(_always())
    channel = connect(server)
    future = _get_user(channel).future(GetUserRequest(user_id="1"), timeout=LIMIT)
    assert future.result() == ANSWER
    assert not future.cancel()
    assert _read(channel) == ANSWER
    assert server.accepted == 1


def test_a_future_tells_its_callbacks(serve: Serve, connect: Connect) -> None:
    channel = connect(serve(_always()))
    told: list[Any] = []
    future = _get_user(channel).future(GetUserRequest(user_id="1"), timeout=LIMIT)
    future.add_done_callback(told.append)
    assert future.result(LIMIT) == ANSWER
    future.add_done_callback(told.append)
    eventually(lambda: told == [future, future], what="the callbacks are called")
    assert (future.done(), future.running(), future.cancelled()) == (True, False, False)
    assert future.exception() is None
    assert future.traceback() is None


def test_who_does_not_wait_for_a_future_is_told_so(serve: Serve, connect: Connect) -> None:
    future = _get_user(connect(serve(_silent))).future(GetUserRequest(user_id="1"), timeout=LIMIT)
    with pytest.raises(grpc.FutureTimeoutError):
        future.result(0.01)
    future.cancel()


def test_closing_the_channel_ends_its_calls(serve: Serve, connect: Connect) -> None:
    server = serve(_silent)
    channel = connect(server)
    future = _get_user(channel).future(GetUserRequest(user_id="1"), timeout=LIMIT)
    eventually(lambda: server.requests, what="the request arrives")
    channel.close()
    with pytest.raises(grpc.FutureCancelledError):
        future.result(LIMIT)
    with pytest.raises(ValueError, match="closed"):
        _read(channel)


def test_an_answer_larger_than_a_message_may_be_is_refused(serve: Serve, connect: Connect) -> None:
    large = b'{"user":{"name":"%s"}}' % (b"x" * 2000)
    for body in (large, b"x" * 10_000):
        channel = connect(serve(_always(body)), max_message_bytes=1000)
        assert _ends(lambda: _read(channel))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED  # noqa: B023 - called at once.


def test_an_answer_of_unknown_length_is_bounded_too(serve: Serve, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not peer.server.wait(0):
            peer.send(b"400\r\n" + b"x" * 1024 + b"\r\n")

    channel = connect(serve(script), max_message_bytes=1000)
    assert _ends(lambda: _read(channel))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_request_larger_than_a_message_may_be_is_not_sent(serve: Serve, connect: Connect) -> None:
    server = serve(_always())
    channel = connect(server, max_message_bytes=1000)
    request = CreateUserRequest(name="x" * 2000)
    ends = _ends(lambda: _create_user(channel)(request, timeout=LIMIT))
    assert ends[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.accepted == 0


def test_a_method_of_no_contract_is_unimplemented(serve: Serve, connect: Connect) -> None:
    call = connect(serve(_always())).unary_unary("/no.such.Service/Method")
    assert _ends(lambda: call(b"", timeout=LIMIT))[0] is grpc.StatusCode.UNIMPLEMENTED


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LINE = b'{"user":{"id":"1"}}\n'


def test_each_message_of_a_stream_is_given_as_it_comes(serve: Serve, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        # Lines need not be chunks.
        peer.send(HEAD + _chunk(LINE + LINE[:5]))
        eventually(lambda: taken, what="the first message is taken")
        peer.send(_chunk(LINE[5:]) + b"0\r\n\r\n")

    taken: list[Any] = []
    answers = _stream_users(connect(serve(script)))(
        user_service_pb2.StreamUsersRequest(), timeout=LIMIT
    )
    taken.append(next(answers).user.id)
    taken += [answer.user.id for answer in answers]
    assert taken == ["1", "1"]
    assert answers.code() is grpc.StatusCode.OK
    assert not answers.is_active()


def test_a_message_whose_first_field_is_called_error_is_no_failure(
    serve: Serve, connect: Connect
) -> None:
    line = b'{"error":{"code":5},"user":{"id":"1"}}\n'
    failure = b'{"@error":{"code":9,"message":"No."}}\n'

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + _chunk(line) + _chunk(failure) + b"0\r\n\r\n")

    answers = _stream_users(connect(serve(script)))(
        user_service_pb2.StreamUsersRequest(), timeout=LIMIT
    )
    assert next(answers).user.id == "1"
    assert _ends(lambda: next(answers)) == (grpc.StatusCode.FAILED_PRECONDITION, "No.")


def test_the_connection_of_a_stream_serves_the_next_call(serve: Serve, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + _chunk(LINE) + b"0\r\n\r\n")
        peer.request()
        peer.answer(BODY)

    server = serve(script)
    channel = connect(server)
    request = user_service_pb2.StreamUsersRequest()
    assert [answer.user.id for answer in _stream_users(channel)(request, timeout=LIMIT)] == ["1"]
    assert _read(channel) == ANSWER
    assert server.accepted == 1


def test_a_stream_that_breaks_off_is_unavailable(serve: Serve, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + _chunk(LINE))

    answers = _stream_users(connect(serve(script)))(
        user_service_pb2.StreamUsersRequest(), timeout=LIMIT
    )
    assert next(answers).user.id == "1"
    assert _ends(lambda: next(answers))[0] is grpc.StatusCode.UNAVAILABLE
    # It stays so.
    assert _ends(lambda: next(answers))[0] is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("takes_one", [True, False])
def test_a_cancelled_or_dropped_stream_closes_its_connection(
    serve: Serve, connect: Connect, takes_one: bool
) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(HEAD + _chunk(LINE))
        peer.wait_closed()

    server = serve(script)
    answers = _stream_users(connect(server))(user_service_pb2.StreamUsersRequest(), timeout=LIMIT)
    next(answers)
    if takes_one:
        assert answers.cancel()
        assert _ends(lambda: next(answers))[0] is grpc.StatusCode.CANCELLED
    else:
        del answers
    eventually(lambda: server.closed == [1], what="the connection is closed")
