"""Every RPC is recorded as its rule says, and nothing that only admins may do is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from arcana.service.v1 import (
    auth_service_pb2,
    event_service_pb2,
    file_service_pb2,
    job_service_pb2,
    order_service_pb2,
    product_service_pb2,
    rate_limit_service_pb2,
    user_service_pb2,
)
from controller_tier.access_table import INTERNAL_RPCS, Access, access_table
from controller_tier.settings import ControllerSettings
from service_tier.auditing.handlers import audited
from service_tier.auditing.rules import PACKAGE, RULES, When
from tests.fakes.audit import KeptActs
from tests.fakes.repository import InPlaceChannel
from tests.unit.service_tier.harness import ADMIN, Harness
from tier_runtime.audit import Outcome
from tier_runtime.call import Actor
from tier_runtime.errors import AppError
from tier_runtime.handlers import Registration

USER = Actor(
    "019aa000-0000-7000-8000-00000000000b",
    frozenset({"user"}),
    "019aa000-0000-7000-8000-0000000000b1",
)
FILES = (
    auth_service_pb2,
    event_service_pb2,
    file_service_pb2,
    job_service_pb2,
    order_service_pb2,
    product_service_pb2,
    rate_limit_service_pb2,
    user_service_pb2,
)
METHODS: dict[str, MethodDescriptor] = {
    f"{service.name}/{method.name}": method
    for module in FILES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
# What the worker asks for in the system's name, many times a second.
WORKERS_OWN = {"JobService/RunJob", "JobService/ScheduleJob"}


def filled(descriptor: Descriptor) -> Any:
    """Make a message that has everything, and speaks of the plain user."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if field.containing_oneof is None or field.containing_oneof.fields[0] is field:
            _fill(message, field)
    return message


def _fill(message: Message, field: FieldDescriptor) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return
    if field.name in {"cursor", "page_token"}:
        # Nobody has come so far in a list.
        return
    value: Any
    if field.message_type is not None:
        value = filled(field.message_type)
    elif field.cpp_type == field.CPPTYPE_STRING:
        value = USER.subject.encode() if field.type == field.TYPE_BYTES else USER.subject
    else:
        value = 1
    if field.is_repeated:
        getattr(message, field.name).append(value)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


def called(harness: Harness, name: str, actor: Actor) -> str:
    """Call an RPC with all there is to say, and return the code that it ended in."""
    method = METHODS[name]
    channel: Any = InPlaceChannel(harness.services)
    path = f"/{PACKAGE}.{name}"
    request = filled(method.input_type)
    coding = {"response_deserializer": GetMessageClass(method.output_type).FromString}
    with harness.acting(actor):
        try:
            if method.client_streaming:
                channel.stream_unary(path, **coding)(iter([request]))
            elif method.server_streaming:
                with suppress(StopIteration):
                    next(iter(channel.unary_stream(path, **coding)(request)))
            else:
                channel.unary_unary(path, **coding)(request)
        except AppError as error:
            return error.code
    return ""


def test_every_rpc_of_the_contract_has_a_rule() -> None:
    assert RULES.keys() == METHODS.keys()


@pytest.mark.parametrize("name", RULES)
def test_what_is_told_of_an_rpc_is_in_its_messages(name: str) -> None:
    rule, method = RULES[name], METHODS[name]
    assert set(rule.asked) <= set(method.input_type.fields_by_name)
    for path in rule.answered:
        message: Descriptor | None = method.output_type
        *outer, last = path.split(".")
        for step in outer:
            assert message is not None
            message = message.fields_by_name[step].message_type
        assert message is not None
        assert last in message.fields_by_name


def test_what_only_admins_may_do_over_the_edge_is_always_recorded() -> None:
    rows = access_table(ControllerSettings())
    admin_rows = {
        row.name.removeprefix(f"{PACKAGE}.") for row in rows if row.access is Access.ADMIN
    }
    assert len(admin_rows) > 20
    assert {name for name in admin_rows if RULES[name].when is not When.ALWAYS} == set()


def test_what_the_service_tier_refuses_to_a_plain_user_is_recorded_and_always_so_for_admins(
    harness: Harness,
) -> None:
    admin_only = {name for name in METHODS if called(harness, name, USER) == "FORBIDDEN"}
    assert len(admin_only) > 20
    denied = [act for act in harness.audit.acts if act.code == "FORBIDDEN"]
    assert sorted(act.name for act in denied) == sorted(admin_only)
    assert {(act.outcome, act.actor, act.request_id) for act in denied} == {
        (Outcome.DENIED, USER, "request-1")
    }
    internal = {name.removeprefix(f"{PACKAGE}.") for name in INTERNAL_RPCS}
    assert {name for name in admin_only if RULES[name].when is not When.ALWAYS} == WORKERS_OWN
    assert internal >= WORKERS_OWN


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.when is When.ALWAYS])
def test_what_is_always_recorded_is_recorded_once_however_it_ends(
    harness: Harness, name: str
) -> None:
    code = called(harness, name, ADMIN)
    (act,) = harness.audit.acts
    assert (act.name, act.actor, act.code) == (name, ADMIN, code)
    assert (act.outcome is Outcome.DONE) is (code == "")


def test_what_the_worker_asks_for_is_not_recorded(harness: Harness) -> None:
    for name in WORKERS_OWN:
        assert called(harness, name, ADMIN) != "FORBIDDEN"
    assert harness.audit.acts == []


def test_an_rpc_without_a_rule_is_no_service_of_ours() -> None:
    def add(server: grpc.Server) -> None:
        handler: Any = grpc.unary_unary_rpc_method_handler(lambda _request, _context: None)
        server.add_registered_method_handlers(f"{PACKAGE}.UserService", {"Befriend": handler})

    with pytest.raises(KeyError):
        InPlaceChannel([audited(Registration(f"{PACKAGE}.UserService", add), KeptActs())])


def _service(name: str, behaviour: Callable[..., Any]) -> tuple[InPlaceChannel, KeptActs]:
    """Serve one RPC whose servicer does this."""
    method, trail = METHODS[name], KeptActs()
    kind = "stream" if method.client_streaming else "unary"
    answers = "stream" if method.server_streaming else "unary"
    handler = getattr(grpc, f"{kind}_{answers}_rpc_method_handler")(behaviour)
    service, _, short = name.partition("/")

    def add(server: grpc.Server) -> None:
        server.add_registered_method_handlers(f"{PACKAGE}.{service}", {short: handler})

    return InPlaceChannel([audited(Registration(f"{PACKAGE}.{service}", add), trail)]), trail


def test_a_crash_is_recorded_as_a_failure_of_ours() -> None:
    def crash(_request: Any, _context: Any) -> Any:
        raise ZeroDivisionError

    channel, trail = _service("UserService/DeleteUser", crash)
    delete = channel.unary_unary(f"/{PACKAGE}.UserService/DeleteUser")
    with pytest.raises(ZeroDivisionError):
        delete(user_service_pb2.DeleteUserRequest(user_id="019b"))
    (act,) = trail.acts
    assert (act.outcome, act.code, act.target) == (
        Outcome.FAILED,
        "INTERNAL_ERROR",
        {"user_id": "019b"},
    )


def test_a_caller_that_leaves_midway_is_recorded_as_that() -> None:
    def left(_requests: Any, _context: Any) -> Any:
        raise grpc.RpcError

    channel, trail = _service("ProductService/BatchUpdateStock", left)
    with pytest.raises(grpc.RpcError):
        channel.stream_unary(f"/{PACKAGE}.ProductService/BatchUpdateStock")(iter(()))
    (act,) = trail.acts
    assert (act.outcome, act.code, act.target) == (Outcome.FAILED, "CANCELLED", {})


def test_a_stream_is_recorded_before_its_first_answer_leaves_and_once() -> None:
    def stream(_request: Any, _context: Any) -> Any:
        for _ in range(3):
            yield user_service_pb2.StreamUsersResponse()

    channel, trail = _service("UserService/StreamUsers", stream)
    answers = channel.unary_stream(f"/{PACKAGE}.UserService/StreamUsers")(
        user_service_pb2.StreamUsersRequest()
    )
    next(answers)
    assert [act.outcome for act in trail.acts] == [Outcome.DONE]
    assert len(list(answers)) == 2
    assert len(trail.acts) == 1


def test_an_empty_stream_is_recorded_too() -> None:
    channel, trail = _service("UserService/StreamUsers", lambda _request, _context: iter(()))
    request = user_service_pb2.StreamUsersRequest()
    assert list(channel.unary_stream(f"/{PACKAGE}.UserService/StreamUsers")(request)) == []
    assert [act.outcome for act in trail.acts] == [Outcome.DONE]


def test_a_stream_that_nobody_waited_for_is_recorded_as_left() -> None:
    def left(_request: Any, _context: Any) -> Any:
        yield from ()
        raise grpc.RpcError

    channel, trail = _service("EventService/StreamEvents", left)
    request = event_service_pb2.StreamEventsRequest(types=["order.paid"])
    with pytest.raises(grpc.RpcError):
        list(channel.unary_stream(f"/{PACKAGE}.EventService/StreamEvents")(request))
    (act,) = trail.acts
    assert (act.outcome, act.code, act.target) == (
        Outcome.FAILED,
        "CANCELLED",
        {"types": ["order.paid"]},
    )


def test_an_rpc_that_streams_both_ways_would_need_a_way_of_its_own() -> None:
    handler: Any = grpc.stream_stream_rpc_method_handler(lambda _requests, _context: iter(()))

    def add(server: grpc.Server) -> None:
        server.add_registered_method_handlers(f"{PACKAGE}.UserService", {"GetUser": handler})

    service = audited(Registration(f"{PACKAGE}.UserService", add), KeptActs())
    with pytest.raises(TypeError):
        InPlaceChannel([service])
