"""What a tier answered to a sequence of requests, in a form that can be compared."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tests.tier.transports.asking import of_app_error
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError

# Made of randomness or of the machine's own time, so no two tiers agree on them.
UNEQUAL = frozenset(
    {
        "refresh_token",
        "reset_after",
        # How far the relay has come by then, and where Redis has put an event.
        "delivery_id",
        "dead_time",
        "oldest_age",
        "oldest_unpublished_age",
        "unpublished",
        "unsettled",
    }
)

SECONDS = 20.0


def methods_of(package: str) -> dict[str, MethodDescriptor]:
    """Return every RPC of a package of contracts, as "Service/Method"."""
    folder = import_module(package).__path__
    modules = [
        import_module(f"{package}.{module.name}")
        for module in pkgutil.iter_modules(folder)
        if module.name.endswith("_pb2")
    ]
    return {
        f"{service.name}/{method.name}": method
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }


class Transcript:
    """Calls a tier's methods by name and writes down how each call ended."""

    def __init__(self, channel: grpc.Channel, package: str) -> None:
        self._channel = channel
        self._methods = methods_of(package)
        self.lines: list[tuple[str, tuple[object, ...]]] = []
        # What a call may take; a stream that has no end of its own takes it.
        self.seconds = SECONDS

    def call(self, method: str, actor: Actor | None = None, /, **fields: Any) -> Any:
        """Return the answer (a list of a stream's) or the error; the fields are the request's."""
        (request,) = self._requests(method, fields)
        return self._ended(method, actor, request)

    def send(self, method: str, actor: Actor | None = None, /, *requests: dict[str, Any]) -> Any:
        """Return the answer to a stream of requests, told by their fields, or the error."""
        return self._ended(method, actor, iter(self._requests(method, *requests)))

    def _requests(self, method: str, *requests: dict[str, Any]) -> list[Message]:
        request_type = message_factory.GetMessageClass(self._methods[method].input_type)
        return [request_type(**fields) for fields in requests]

    def _ended(self, method: str, actor: Actor | None, sent: Message | Iterator[Message]) -> Any:
        descriptor = self._methods[method]
        call = getattr(self._channel, _arity(descriptor))(
            f"/{descriptor.containing_service.full_name}/{descriptor.name}",
            message_factory.GetMessageClass(descriptor.input_type).SerializeToString,
            message_factory.GetMessageClass(descriptor.output_type).FromString,
        )
        try:
            with call_scope(Call(actor or Actor(), "request-1", Deadline.after(self.seconds))):
                answer = call(sent)
                if descriptor.server_streaming:
                    answer = list(answer)
        except AppError as error:
            self.lines.append((method, ("ERROR", *of_app_error(error))))
            return error
        told = answer if descriptor.server_streaming else [answer]
        self.lines.append((method, ("OK", [comparable(one) for one in told])))
        return answer

    def well_answered(self) -> set[str]:
        """Return the methods that answered at least once without an error."""
        return {method for method, outcome in self.lines if outcome[0] == "OK"}

    def refused(self) -> set[str]:
        """Return the methods that failed at least once."""
        return {method for method, outcome in self.lines if outcome[0] != "OK"}

    def kinds(self) -> set[object]:
        """Return the kinds of error that came."""
        return {outcome[1] for _, outcome in self.lines if outcome[0] != "OK"}


def _arity(method: MethodDescriptor) -> str:
    sent = "stream" if method.client_streaming else "unary"
    return f"{sent}_{'stream' if method.server_streaming else 'unary'}"


def comparable(message: Message) -> object:
    """Return a message as plain values, without what two tiers cannot agree on."""
    copy = type(message)()
    copy.CopyFrom(message)
    for one in _with_all_inside(copy):
        for field, _ in one.ListFields():
            if field.name in UNEQUAL:
                one.ClearField(field.name)
    # Presence is kept: what is set to its zero is there, and what is not set is not.
    return json_format.MessageToDict(copy, preserving_proto_field_name=True)


def _with_all_inside(message: Message) -> Iterator[Message]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for inner in value if field.is_repeated else [value]:
            yield from _with_all_inside(inner)
