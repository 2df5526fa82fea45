from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)
from grpc_reflection.v1alpha import (  # type: ignore[import-untyped]  # ships no types
    reflection_pb2,
    reflection_pb2_grpc,
)

from tests.stores.waiting import eventually
from tests.tier.runtime.arities import SERVICE, Arities, AritiesStub
from tests.tier.runtime.conftest import Connect, Serve
from tier_runtime.addresses import Address
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.context import RpcContext
from tier_runtime.errors import AppError, Kind
from tier_runtime.health import HealthBoard
from tier_runtime.inproc import LocalServer
from tier_runtime.logs import get_logger
from tier_runtime.server import GrpcServerSettings, TierServer, build_server
from tier_runtime.startup import StartupError
from tier_runtime.tier import Tier

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@pytest.fixture
def board() -> HealthBoard:
    return HealthBoard()


@pytest.fixture
def health(serve: Serve, board: HealthBoard) -> Iterator[Any]:
    server = serve(health=board, threads=2, max_open_streams=1)
    with grpc.insecure_channel(server.address) as channel:
        yield health_pb2_grpc.HealthStub(channel)


def request(name: str = "") -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=name)


def test_a_started_server_serves_under_its_name_and_its_services(
    health: Any, board: HealthBoard
) -> None:
    assert health.Check(request()).status == SERVING
    assert health.Check(request(SERVICE)).status == SERVING
    assert board.snapshot() == {"": True, SERVICE: True}


def test_a_name_that_nobody_set_is_not_found(health: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        health.Check(request("store.cache"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_watch_tells_changes_and_only_changes(health: Any, board: HealthBoard) -> None:
    watch = health.Watch(request("store.cache"))
    assert next(watch).status == UNKNOWN
    board.set("store.cache", serving=True)
    assert next(watch).status == SERVING
    board.set("store.cache", serving=True)
    board.set("other", serving=False)
    board.set("store.cache", serving=False)
    assert next(watch).status == NOT_SERVING
    watch.cancel()


def test_a_stopping_server_tells_its_watchers_and_lets_them_go(
    serve: Serve, board: HealthBoard
) -> None:
    server = serve(health=board)
    with grpc.insecure_channel(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(request())
        assert next(watch).status == SERVING
        # An open Watch does not use up the grace.
        assert server.begin_stop(grace_seconds=60).wait(timeout=10)
        assert [answer.status for answer in watch] == [NOT_SERVING]


def test_watchers_that_leave_while_they_are_told_do_not_stop_the_server(
    health: Any, board: HealthBoard
) -> None:
    for _ in range(100):
        watches = [health.Watch(request()) for _ in range(4)]
        for watch in watches:
            next(watch)
        for watch in watches:
            board.set("", serving=not board.is_serving(""))
            watch.cancel()
    assert health.Check(request(), timeout=10)


def test_watchers_hold_no_thread_and_no_stream_slot(health: Any) -> None:
    # The server has two threads and room for one stream.
    watches = [health.Watch(request()) for _ in range(10)]
    for watch in watches:
        assert next(watch).status == SERVING
    assert health.Check(request(), timeout=5).status == SERVING
    for watch in watches:
        watch.cancel()


def test_a_probe_is_polled_while_the_server_runs(serve: Serve, board: HealthBoard) -> None:
    well = {"store.database": True}
    board.add_probe("store.database", lambda: well["store.database"], interval=0.01)
    server = serve(health=board)
    eventually(lambda: board.is_serving("store.database"))
    well["store.database"] = False
    eventually(lambda: not board.is_serving("store.database"))
    server.stop()
    assert not board.is_serving("")


@pytest.mark.parametrize("on", [True, False])
def test_reflection_names_the_services_when_it_is_on(serve: Serve, on: bool) -> None:
    server = serve(reflection=on)
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    with grpc.insecure_channel(server.address) as channel:
        answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([ask])
        )
        if on:
            names = {one.name for one in next(answers).list_services_response.service}
            assert names == {
                SERVICE,
                "grpc.health.v1.Health",
                "grpc.reflection.v1alpha.ServerReflection",
            }
        else:
            with pytest.raises(grpc.RpcError) as caught:
                next(answers)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def unstarted(bind: str) -> TierServer:
    return build_server(GrpcServerSettings(bind=bind), [], HealthBoard(), get_logger("test"))


def test_a_taken_port_is_refused_even_by_a_server_of_our_own(serve: Serve) -> None:
    address = serve().address
    with pytest.raises(StartupError) as caught:
        unstarted(address).start()
    assert str(caught.value) == f"Cannot listen on {address}: Address already in use."


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(StartupError, match=r"Cannot listen on 192\.0\.2\.1:0: "):
        unstarted("192.0.2.1:0").start()


def test_a_port_that_is_taken_in_the_last_moment_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        # The system finds the port free when it is asked first.
        monkeypatch.setattr(socket.socket, "bind", lambda _socket, _address: None)
        with pytest.raises(StartupError, match=f"Cannot listen on {bind}: gRPC refuses"):
            unstarted(bind).start()


def test_starting_twice_is_starting_once(serve: Serve) -> None:
    server = serve()
    port = server.start()
    assert server.address == f"127.0.0.1:{port}"


def test_a_server_can_listen_on_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("This machine has no IPv6.")
    server = unstarted("[::1]:0")
    try:
        server.start()
    except StartupError:
        pytest.skip("This machine has no IPv6 loopback.")
    with grpc.insecure_channel(server.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(request(), timeout=5).status == SERVING
    server.stop()


def test_calls_by_name_go_to_each_of_its_healthy_servers(serve: Serve) -> None:
    # One address behind the name is all that a resolver without DNS can give.
    board = HealthBoard()
    server = serve(health=board)
    port = server.address.rpartition(":")[2]
    with open_channel(f"dns:///127.0.0.1:{port}") as channel:
        stub = AritiesStub(channel)
        assert stub.unary_unary("x") == "x"
        # The balancer watches health: without a healthy server it does not even send.
        board.set("", serving=False)
        eventually(lambda: _is_unavailable(stub))
        board.set("", serving=True)
        eventually(lambda: not _is_unavailable(stub))


def _is_unavailable(stub: AritiesStub) -> bool:
    try:
        stub.unary_unary("x", timeout=1)
    except AppError as error:
        return error.kind is Kind.UNAVAILABLE
    return False


@contextmanager
def unavailable_at_first(times: int) -> Iterator[tuple[str, list[str]]]:
    """Serve without our interceptors; the first calls end as those of a server that goes away."""
    seen: list[str] = []

    def answer(request: StringValue, context: grpc.ServicerContext) -> StringValue:
        seen.append(request.value)
        if len(seen) <= times:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Connection reset.")
        return request

    handlers = {
        "UnaryUnary": grpc.unary_unary_rpc_method_handler(
            answer, StringValue.FromString, StringValue.SerializeToString
        )
    }
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}", seen
    finally:
        server.stop(None).wait()


def test_a_method_that_is_named_is_sent_again_when_the_transport_fails() -> None:
    settings = ChannelSettings(retried_methods=(f"{SERVICE}/UnaryUnary",), max_attempts=3)
    with unavailable_at_first(2) as (url, seen), open_channel(url, settings) as channel:
        assert AritiesStub(channel).unary_unary("x") == "x"
    assert seen == ["x"] * 3


def test_with_one_attempt_a_method_that_is_named_is_called_like_any_other() -> None:
    settings = ChannelSettings(retried_methods=(f"{SERVICE}/UnaryUnary",), max_attempts=1)
    with unavailable_at_first(1) as (url, seen), open_channel(url, settings) as channel:
        with pytest.raises(AppError):
            AritiesStub(channel).unary_unary("x")
        assert AritiesStub(channel).unary_unary("y") == "y"
    assert seen == ["x", "y"]


def test_a_method_that_is_not_named_is_sent_once() -> None:
    settings = ChannelSettings(retried_methods=(f"{SERVICE}/Another",), max_attempts=3)
    with unavailable_at_first(2) as (url, seen), open_channel(url, settings) as channel:
        with pytest.raises(AppError) as caught:
            AritiesStub(channel).unary_unary("x")
        assert caught.value.kind is Kind.UNAVAILABLE
    assert seen == ["x"]


def test_what_a_tier_itself_says_is_unavailable_is_not_sent_again(serve: Serve) -> None:
    seen: list[str] = []

    def unavailable(text: str, _context: RpcContext) -> str:
        seen.append(text)
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Later.", retry_after=3)

    server = serve(Arities(unavailable))
    settings = ChannelSettings(retried_methods=(f"{SERVICE}/UnaryUnary",), max_attempts=3)
    with (
        open_channel(f"grpc://{server.address}", settings) as channel,
        pytest.raises(AppError) as caught,
    ):
        AritiesStub(channel).unary_unary("x")
    assert (caught.value.kind, caught.value.retry_after) == (Kind.UNAVAILABLE, 3.0)
    assert seen == ["x"]


def test_answers_in_serialized_form_pass_as_they_are(serve: Serve, channel_to: Any) -> None:
    class Serialized(Arities):
        def unary_unary(self, request: StringValue, context: RpcContext) -> Any:
            return request.SerializeToString()

        def unary_stream(self, request: StringValue, context: RpcContext) -> Any:
            yield request
            yield request.SerializeToString()

    stub = AritiesStub(channel_to(serve(Serialized())))
    assert stub.unary_unary("x") == "x"
    assert stub.unary_stream("x") == ["x", "x"]


def test_what_a_servicer_notes_is_told_in_the_line_of_its_rpc(
    serve: Serve, stub_of: Connect, log_lines: list[Any]
) -> None:
    def notes(text: str, context: RpcContext) -> str:
        context.note(items=2, request_ids=["r-1", "r-2"], code="cannot be changed")
        return text

    stub_of(serve(Arities(notes))).unary_unary("x")
    (line,) = eventually(lambda: [line for line in log_lines if line["event"] == "rpc"])
    assert (line["items"], line["request_ids"], line["code"]) == (2, ["r-1", "r-2"], "OK")


def test_calls_go_to_all_addresses_that_are_named(serve: Serve) -> None:
    first, second = Answered(), Answered()
    boards = HealthBoard(), HealthBoard()
    addresses = [
        serve(Arities(each.answer), health=board).address
        for each, board in zip((first, second), boards, strict=True)
    ]
    with open_channel(f"grpc://{','.join(addresses)}") as channel:
        stub = AritiesStub(channel)
        eventually(lambda: [stub.unary_unary("x"), first.count and second.count][1])
        before = first.count, second.count
        for _ in range(20):
            stub.unary_unary("x")
        assert (first.count - before[0], second.count - before[1]) == (10, 10)
        # One that is not well is left alone, and no call fails.
        boards[1].set("", serving=False)
        eventually(lambda: _goes_to_one(stub, first), what="all calls at the healthy one")


class Answered:
    """Counts its answers."""

    def __init__(self) -> None:
        self.count = 0

    def answer(self, text: str, _context: RpcContext) -> str:
        self.count += 1
        return text


def _goes_to_one(stub: AritiesStub, one: Answered) -> bool:
    before = one.count
    for _ in range(4):
        stub.unary_unary("x")
    return one.count == before + 4


def test_a_message_larger_than_agreed_is_refused(serve: Serve, stub_of: Connect) -> None:
    stub = stub_of(serve(max_message_bytes=1000))
    assert stub.unary_unary("x" * 900)
    with pytest.raises(AppError) as caught:
        stub.unary_unary("x" * 1100)
    assert caught.value.kind is Kind.UNAVAILABLE


def test_the_environment_s_proxy_is_not_used_between_tiers(
    serve: Serve, stub_of: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    assert stub_of(serve()).unary_unary("x") == "x"


def test_an_address_in_use_is_not_free_and_a_closed_one_is() -> None:
    with Address("127.0.0.1", 0).listener() as listener:
        listener.listen()
        used = Address("127.0.0.1", listener.getsockname()[1])
        assert not used.is_free()
    assert used.is_free()
    assert not Address("203.0.113.1", used.port).is_free()


def test_a_tier_is_served_in_this_process_and_over_the_wire_at_once(
    serve: Serve, board: HealthBoard, log_lines: list[Any]
) -> None:
    asked: list[str] = []

    def probe() -> bool:
        asked.append("probed")
        return True

    board.add_probe("store.database", probe, interval=3600)
    arities = Arities()
    server = serve(arities, health=board)
    tier = Tier([arities.registration()], board)
    local = LocalServer(tier, server.settings, server.log)
    local.start()
    with (
        open_channel(f"grpc://{server.address}") as wire,
        open_channel("inproc:it", in_process={"it": local}) as here,
    ):
        assert AritiesStub(wire).unary_unary("x") == AritiesStub(here).unary_unary("x")
        for channel in (wire, here):
            stub = health_pb2_grpc.HealthStub(channel)
            assert stub.Check(request("store.database")).status in {SERVING, NOT_SERVING}
    # One board, so one thread for each probe.
    eventually(lambda: board.is_serving("store.database"))
    assert asked == ["probed"]
    server.stop()
    local.stop()
