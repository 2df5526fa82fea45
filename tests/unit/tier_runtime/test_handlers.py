from __future__ import annotations

from typing import Any
from unittest.mock import create_autospec

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.tier.runtime.arities import METHODS, SERVICE, Arities
from tier_runtime.handlers import Registration, collect, guarded
from tier_runtime.health import HEALTH_SERVICE, HealthBoard
from tier_runtime.local_rpc import LocalAbort, LocalContext
from tier_runtime.logs import get_logger
from tier_runtime.server import GrpcServerSettings, make_desk

DESK = make_desk(GrpcServerSettings(bind="127.0.0.1:0"), get_logger("test"))


def test_handlers_are_found_by_the_full_name_of_their_method() -> None:
    health = Registration(HEALTH_SERVICE, HealthBoard().add_to)
    handlers = collect([Arities().registration(), health])
    assert {name for name in handlers if SERVICE in name} == {
        f"/{SERVICE}/{method}" for method in METHODS
    }
    assert f"/{HEALTH_SERVICE}/Check" in handlers


def test_a_service_that_does_not_name_its_methods_is_refused() -> None:
    def add(server: grpc.Server) -> None:
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", {}),))

    with pytest.raises(TypeError, match=r"a\.B adds no methods by name"):
        collect([Registration("a.B", add)])


def test_collecting_serves_nothing() -> None:
    def starts(server: grpc.Server) -> None:
        server.start()

    with pytest.raises(NotImplementedError):
        collect([Registration("a.B", starts)])


def test_guarded_handlers_know_the_call_and_abort_with_our_errors() -> None:
    def fails(_text: str, _context: object) -> str:
        raise RuntimeError("secret")

    handlers = guarded(collect([Arities(fails).registration()]), DESK)
    behaviour = handlers[f"/{SERVICE}/UnaryUnary"].unary_unary
    assert behaviour is not None
    with pytest.raises(LocalAbort) as caught:
        behaviour(StringValue(value="x"), LocalContext())
    assert (caught.value.code, caught.value.details) == (
        grpc.StatusCode.INTERNAL,
        "Internal error.",
    )


def test_health_stays_as_it_is() -> None:
    handlers = collect([Registration(HEALTH_SERVICE, HealthBoard().add_to)])
    assert guarded(handlers, DESK) == handlers


def test_serializers_let_bytes_pass_and_serialize_the_rest() -> None:
    handlers = guarded(collect([Arities().registration()]), DESK)
    serialize = handlers[f"/{SERVICE}/UnaryUnary"].response_serializer
    assert serialize is not None
    message = StringValue(value="x")
    assert serialize(message) == serialize(message.SerializeToString())


def test_a_handler_without_codecs_keeps_none() -> None:
    behaviour = create_autospec(lambda request, context: request)
    handler: Any = grpc.unary_unary_rpc_method_handler(behaviour)
    wrapped = guarded({"/a.B/C": handler}, DESK)["/a.B/C"]
    assert (wrapped.request_deserializer, wrapped.response_serializer) == (None, None)
