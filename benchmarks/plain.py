"""gRPC with nothing but gRPC: every message decoded and encoded at both ends of every hop.

As shipped, a tier that reads no field of a message passes its bytes on. Here each handler's answer
becomes a message before gRPC encodes it, as it would in a tier that knows nothing of bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import grpc
from google.protobuf import descriptor_pool, message_factory

from tier_runtime.handlers import Registration, collect
from tier_runtime.tier import Tier


def plain(tier: Tier) -> Tier:
    """Return the tier with handlers that answer by messages only."""
    return replace(
        tier, services=[_plain_registration(registration) for registration in tier.services]
    )


def _plain_registration(registration: Registration) -> Registration:
    name = registration.service_full_name
    prefix = f"/{name}/"
    handlers = {
        method.removeprefix(prefix): _decoding(handler, method)
        for method, handler in collect([registration]).items()
    }
    return Registration(name, partial(_add, name, handlers))


def _add(service: str, handlers: dict[str, Any], server: grpc.Server) -> None:
    # What generated code does.
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_registered_method_handlers(service, handlers)


def _decoding(handler: Any, method: str) -> Any:
    if handler.request_streaming or handler.response_streaming:
        return handler
    answer: Callable[[Any, grpc.ServicerContext], Any] = handler.unary_unary
    parse = _answer_class(method).FromString

    def behaviour(request: Any, context: grpc.ServicerContext) -> Any:
        given = answer(request, context)
        return parse(given) if isinstance(given, bytes) else given

    return grpc.unary_unary_rpc_method_handler(
        behaviour, handler.request_deserializer, handler.response_serializer
    )


def _answer_class(method: str) -> Any:
    service, _, name = method.removeprefix("/").rpartition("/")
    described = (
        descriptor_pool.Default().FindServiceByName(service).methods_by_name[name].output_type
    )
    return message_factory.GetMessageClass(described)
