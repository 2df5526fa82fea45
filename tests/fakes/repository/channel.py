"""A channel whose servicers are in this process: stubs on it open no socket."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any
from unittest.mock import Mock

import grpc

from tests.fakes.streams import Receiving, Sending
from tier_runtime.call import Actor, Call, call_scope, current_call
from tier_runtime.context import RpcContext
from tier_runtime.deadline import Deadline
from tier_runtime.server import Registration

Hook = Callable[[Any], None]


class InPlaceChannel(grpc.Channel):
    """Calls servicers directly, through their messages' bytes. AppErrors come through as raised.

    Servicers may answer in serialized form, and stubs may ask for it.

    `calls` lists the methods called, in order, and `timeouts` has the last one that a unary method
    was called with. A hook in `before`, by method name, is called with
    the request first: it may raise, wait, or change what the servicer will find.
    """

    def __init__(self, registrations: Iterable[Registration]) -> None:
        self.calls: list[str] = []
        self.timeouts: dict[str, float | None] = {}
        self.before: dict[str, Hook] = {}
        self._handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        for registration in registrations:
            registration.add(_Collector(self._handlers))

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        **kwargs: Any,
    ) -> Any:
        def invoke(request: Any, timeout: float | None = None, **_: Any) -> Any:
            self.timeouts[method.rpartition("/")[2]] = timeout
            handler, given, context, scope = self._opened(method, request)
            with scope:
                assert handler.unary_unary is not None
                answer = handler.unary_unary(given, context)
            return _read(answer, response_deserializer)

        return invoke

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        **kwargs: Any,
    ) -> Any:
        def invoke(request: Any, timeout: float | None = None, **_: Any) -> Receiving:
            self.timeouts[method.rpartition("/")[2]] = timeout
            return Receiving(answers(request))

        def answers(request: Any) -> Generator[Any]:
            handler, given, context, _ = self._opened(method, request)
            assert handler.unary_stream is not None
            stream = handler.unary_stream(given, context)
            while True:
                # Its call is the handler's alone, and not that of who reads between two answers.
                with call_scope(context.call):
                    try:
                        answer = next(stream)
                    except StopIteration:
                        return
                yield _read(answer, response_deserializer)

        return invoke

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        **kwargs: Any,
    ) -> Any:
        def invoke(requests: Iterable[Any]) -> Any:
            # No hook sees a stream, which is there only when the servicer has asked for it.
            handler, context, scope = self._found(method)
            with scope:
                assert handler.stream_unary is not None
                answer = handler.stream_unary((_copied(request) for request in requests), context)
            return _read(answer, response_deserializer)

        return Sending(invoke)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def subscribe(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def unsubscribe(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Hold nothing that needs closing."""

    def __enter__(self) -> InPlaceChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self, method: str, request: Any) -> tuple[Any, Any, RpcContext, Any]:
        name = method.rpartition("/")[2]
        handler, context, scope = self._found(method)
        if name in self.before:
            self.before[name](request)
        return handler, _copied(request), context, scope

    def _found(self, method: str) -> tuple[Any, RpcContext, Any]:
        self.calls.append(method.rpartition("/")[2])
        call = current_call() or Call(Actor(), "no-call", Deadline.after(5.0))
        context = RpcContext(Mock(spec=grpc.ServicerContext), call)
        return self._handlers[method], context, call_scope(call)


class _Collector(grpc.Server):
    """Takes handlers the way a server does."""

    def __init__(self, handlers: dict[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._handlers = handlers

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        for name, handler in method_handlers.items():
            self._handlers[f"/{service_name}/{name}"] = handler

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[Any]) -> None:
        """Take none: the registered ones are the same."""

    def add_insecure_port(self, address: str) -> int:
        raise NotImplementedError

    def add_secure_port(self, address: str, server_credentials: Any) -> int:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def stop(self, grace: float | None) -> Any:
        raise NotImplementedError

    def wait_for_termination(self, timeout: float | None = None) -> bool:
        raise NotImplementedError


def _read(answer: Any, deserializer: Any) -> Any:
    serialized = answer if isinstance(answer, bytes) else answer.SerializeToString()
    return serialized if deserializer is None else deserializer(serialized)


def _copied(message: Any) -> Any:
    return type(message).FromString(message.SerializeToString())
