"""A service without a contract: one method of each arity, whose behaviour a test decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from tier_runtime.context import RpcContext
from tier_runtime.server import Registration

SERVICE = "test.v1.Arities"

Unary = Callable[[str, RpcContext], str]
Behaviour = Callable[[Any, RpcContext], Any]

METHODS = ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")


def _echo(text: str, _context: RpcContext) -> str:
    return text


@dataclass
class Arities:
    """The servicer. Each of its methods asks `answer` about each message that comes."""

    answer: Unary = _echo
    # Wins over `answer` for the method of that name.
    behaviours: dict[str, Behaviour] = field(default_factory=dict)

    def registration(self) -> Registration:
        return Registration(SERVICE, self._add)

    def _add(self, server: grpc.Server) -> None:
        handlers = {
            "UnaryUnary": grpc.unary_unary_rpc_method_handler(self.unary_unary, *_CODEC),
            "UnaryStream": grpc.unary_stream_rpc_method_handler(self.unary_stream, *_CODEC),
            "StreamUnary": grpc.stream_unary_rpc_method_handler(self.stream_unary, *_CODEC),
            "StreamStream": grpc.stream_stream_rpc_method_handler(self.stream_stream, *_CODEC),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        server.add_registered_method_handlers(SERVICE, handlers)

    def unary_unary(self, request: StringValue, context: RpcContext) -> StringValue:
        behaviour = self.behaviours.get("UnaryUnary", self.answer)
        return StringValue(value=behaviour(request.value, context))

    def unary_stream(self, request: StringValue, context: RpcContext) -> Iterator[StringValue]:
        behaviour = self.behaviours.get("UnaryStream", self._twice)
        for text in behaviour(request.value, context):
            yield StringValue(value=text)

    def stream_unary(self, requests: Iterator[StringValue], context: RpcContext) -> StringValue:
        behaviour = self.behaviours.get("StreamUnary", self._joined)
        return StringValue(value=behaviour((one.value for one in requests), context))

    def stream_stream(
        self, requests: Iterator[StringValue], context: RpcContext
    ) -> Iterator[StringValue]:
        behaviour = self.behaviours.get("StreamStream", self._each)
        for text in behaviour((one.value for one in requests), context):
            yield StringValue(value=text)

    def _twice(self, text: str, context: RpcContext) -> Iterator[str]:
        yield self.answer(text, context)
        yield self.answer(text, context)

    def _joined(self, texts: Iterator[str], context: RpcContext) -> str:
        return "+".join(self.answer(text, context) for text in texts)

    def _each(self, texts: Iterator[str], context: RpcContext) -> Iterator[str]:
        for text in texts:
            yield self.answer(text, context)


_CODEC = (StringValue.FromString, StringValue.SerializeToString)


class AritiesStub:
    """Calls the service with text, as a generated stub would with messages."""

    def __init__(self, channel: grpc.Channel, service: str = SERVICE) -> None:
        codec = (StringValue.SerializeToString, StringValue.FromString)
        self.unary_unary_call = channel.unary_unary(f"/{service}/UnaryUnary", *codec)
        self.unary_stream_call = channel.unary_stream(f"/{service}/UnaryStream", *codec)
        self.stream_unary_call = channel.stream_unary(f"/{service}/StreamUnary", *codec)
        self.stream_stream_call = channel.stream_stream(f"/{service}/StreamStream", *codec)

    def unary_unary(self, text: str, **options: Any) -> str:
        return str(self.unary_unary_call(StringValue(value=text), **options).value)

    def unary_stream(self, text: str, **options: Any) -> list[str]:
        answers = self.unary_stream_call(StringValue(value=text), **options)
        return [answer.value for answer in answers]

    def stream_unary(self, texts: Iterable[str], **options: Any) -> str:
        return str(self.stream_unary_call(messages(texts), **options).value)

    def stream_stream(self, texts: Iterable[str], **options: Any) -> list[str]:
        return [answer.value for answer in self.stream_stream_call(messages(texts), **options)]

    def call(self, method: str, text: str, **options: Any) -> list[str]:
        """Send one message by the method of that name and return the answers."""
        if method == "UnaryUnary":
            return [self.unary_unary(text, **options)]
        if method == "UnaryStream":
            return self.unary_stream(text, **options)
        if method == "StreamUnary":
            return [self.stream_unary([text], **options)]
        return self.stream_stream([text], **options)


def messages(texts: Iterable[str]) -> Iterator[StringValue]:
    """Return the texts as messages, each made when it is asked for."""
    return (StringValue(value=text) for text in texts)
