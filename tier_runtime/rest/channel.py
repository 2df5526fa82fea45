"""The client's side of a REST hop: a grpc.Channel whose calls are HTTP requests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc

from tier_runtime.channel_settings import ChannelSettings
from tier_runtime.local_rpc import Codec
from tier_runtime.rest.calls import RestCall, RestFuture, RestStream
from tier_runtime.rest.connections import Connections, Incoming, Outgoing, PooledConnections, late
from tier_runtime.rest.flight import Flight
from tier_runtime.rest.method import RestMethod

if TYPE_CHECKING:
    from grpc import _Metadata

# Calls made with `future` at the same time; further ones wait for a thread.
FUTURE_THREADS = 64


class RestChannel(grpc.Channel):
    """A channel to a peer that is served by `RestApp`, at one or several addresses.

    Each target is "host:port"; calls go to each address in turn. Nothing is connected until the
    first RPC. Streams in both directions are UNIMPLEMENTED. `connections` replaces what sends
    the requests; the channel closes it.
    """

    def __init__(
        self,
        targets: Sequence[str],
        settings: ChannelSettings,
        connections: Connections | None = None,
    ) -> None:
        self._settings = settings
        self._connections = connections or PooledConnections(
            targets, settings.max_connection_age_seconds, tls=settings.tls
        )
        self._lock = threading.Lock()
        self._flights: set[Flight] = set()
        self._executor: Executor | None = None
        self._is_closed = False
        self.max_message_bytes = settings.max_message_bytes

    def unary_unary(
        self,
        method: str,
        request_serializer: Codec = None,
        response_deserializer: Codec = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return _UnaryUnary(
            self, RestMethod(self, method, request_serializer, response_deserializer)
        )

    def stream_unary(
        self,
        method: str,
        request_serializer: Codec = None,
        response_deserializer: Codec = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return _StreamUnary(
            self, RestMethod(self, method, request_serializer, response_deserializer)
        )

    def unary_stream(
        self,
        method: str,
        request_serializer: Codec = None,
        response_deserializer: Codec = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return _ManyAnswers(
            self, RestMethod(self, method, request_serializer, response_deserializer)
        )

    def stream_stream(
        self,
        method: str,
        request_serializer: Codec = None,
        response_deserializer: Codec = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return _ManyAnswers(
            self, RestMethod(self, method, request_serializer, response_deserializer)
        )

    def send(self, request: Outgoing, flight: Flight, method: str) -> Incoming:
        """Send one request, as often as its method allows.

        Raises:
            LocalRpcError: there is no answer.
        """
        if flight.is_late:
            raise late()
        attempts = 1
        if isinstance(request.body, (bytes, type(None))) and self._is_retried(method):
            attempts = self._settings.max_attempts
        return self._connections.send(request, flight, attempts)

    def take_off(self, timeout: float | None) -> Flight:
        """Begin a call."""
        flight = Flight(timeout)
        with self._lock:
            if self._is_closed:
                # What gRPC's own channel raises.
                raise ValueError("Cannot invoke RPC: Channel closed!")
            self._flights.add(flight)
        return flight

    def land(self, flight: Flight) -> None:
        """Forget a call that is over."""
        with self._lock:
            self._flights.discard(flight)

    def executor(self) -> Executor:
        """Return the threads of calls whose caller goes on meanwhile."""
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(FUTURE_THREADS, "rest")
            return self._executor

    def subscribe(
        self,
        callback: Callable[[grpc.ChannelConnectivity], None],
        try_to_connect: bool | None = None,
    ) -> None:
        """Tell the one state there is: what connects for each request is idle between them."""
        del try_to_connect
        callback(grpc.ChannelConnectivity.IDLE)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """Do nothing: nobody is told a second time."""

    def close(self) -> None:
        """Cancel the calls in flight, refuse further ones, and close all connections."""
        with self._lock:
            self._is_closed = True
            flights, executor = list(self._flights), self._executor
        for flight in flights:
            flight.cancel()
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
        self._connections.close()

    def __enter__(self) -> RestChannel:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _is_retried(self, method: str) -> bool:
        name = method.removeprefix("/")
        retried = self._settings.retried_methods
        return name in retried or name.partition("/")[0] in retried


class _UnaryUnary:
    """A method with one message each way, as a stub calls it; in gRPC's words a multi-callable."""

    def __init__(self, channel: RestChannel, method: RestMethod) -> None:
        self._channel = channel
        self._method = method

    def __call__(
        self,
        argument: Any,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        **_grpc_only: object,
    ) -> Any:
        return self.with_call(argument, timeout, metadata)[0]

    def with_call(
        self,
        argument: Any,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        **_grpc_only: object,
    ) -> tuple[Any, RestCall]:
        call = RestCall(self._channel.take_off(timeout), self._channel.land)
        try:
            return self._method.answer(argument, metadata, call), call
        finally:
            call.end()

    def future(
        self,
        argument: Any,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        **_grpc_only: object,
    ) -> RestFuture:
        future = RestFuture(self._channel.take_off(timeout), self._channel.land)
        self._channel.executor().submit(
            future.run, lambda call: self._method.answer(argument, metadata, call)
        )
        return future


class _StreamUnary(_UnaryUnary):
    """A method that takes many messages.

    Its caller's thread only waits: what it iterates may take longer than the call.
    """

    def with_call(
        self,
        argument: Any,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        **_grpc_only: object,
    ) -> tuple[Any, RestCall]:
        future = self.future(argument, timeout, metadata)
        return future.settled(), future


class _ManyAnswers:
    """A method with many answers, as a stub calls it; in gRPC's words a multi-callable."""

    def __init__(self, channel: RestChannel, method: RestMethod) -> None:
        self._channel = channel
        self._method = method

    def __call__(
        self,
        argument: Any,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        **_grpc_only: object,
    ) -> RestStream:
        method = self._method
        return RestStream(
            self._channel.take_off(timeout),
            self._channel.land,
            lambda call: method.open(argument, metadata, call),
            method.messages,
        )
