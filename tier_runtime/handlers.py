"""The handlers of a tier's services by method: what every kind of server serves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Never

import grpc

from tier_runtime.rpc_desk import RpcDesk
from tier_runtime.server_interceptors import CallServerInterceptor

# By "/package.Service/Method".
Handlers = dict[str, "grpc.RpcMethodHandler[Any, Any]"]


@dataclass(frozen=True, slots=True)
class Registration:
    """One service: its full name, and what adds its servicer to a server."""

    service_full_name: str
    add: Callable[[grpc.Server], None]


def collect(registrations: Sequence[Registration]) -> Handlers:
    """Return the handlers of these services by "/package.Service/Method".

    Raises:
        TypeError: a service does not add its methods by name, as generated code does.
    """
    collector = _Collector()
    for registration in registrations:
        registration.add(collector)
        if registration.service_full_name not in collector.services:
            raise TypeError(f"{registration.service_full_name} adds no methods by name.")
    return collector.handlers


def guarded(handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]], desk: RpcDesk) -> Handlers:
    """Return the handlers as a gRPC server of ours would run them.

    Errors, actor, deadline and log line are the business of the same interceptor there and here;
    what is polled, such as health, stays as it is.
    """
    interceptor = CallServerInterceptor(desk)
    return {method: interceptor.wrapped(method, handler) for method, handler in handlers.items()}


class _Collector(grpc.Server):
    """Takes services as a server does, and serves none of them."""

    def __init__(self) -> None:
        self.handlers: Handlers = {}
        self.services: set[str] = set()

    def add_generic_rpc_handlers(
        self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]
    ) -> None:
        """Do nothing: such a handler answers for names, but names none."""

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        self.services.add(service_name)
        for name, handler in method_handlers.items():
            self.handlers[f"/{service_name}/{name}"] = handler

    def add_insecure_port(self, address: str) -> Never:
        raise NotImplementedError

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> Never:
        raise NotImplementedError

    def start(self) -> Never:
        raise NotImplementedError

    def stop(self, grace: float | None) -> Never:
        raise NotImplementedError
