"""A tier served inside this process, and the channel to it: calls without a wire.

The same handlers run behind the same interceptors as on a gRPC server. A call runs in its caller's
thread and the message itself is handed over, so neither side changes a message that it passed on.
The time is looked at when the handler returns or looks itself: a caller may wait longer than it
meant to, but never gets an answer that came too late.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import structlog

from tier_runtime.clock import Clock
from tier_runtime.handlers import Registration, collect, guarded
from tier_runtime.health import HEALTH_SERVICE
from tier_runtime.ids import IdSource
from tier_runtime.inproc_calls import LocalCall, LocalFuture, LocalStream
from tier_runtime.inproc_method import LocalMethod
from tier_runtime.local_rpc import Codec, LocalAbort, LocalContext
from tier_runtime.server import GrpcServerSettings, make_desk

if TYPE_CHECKING:
    from grpc import _Metadata

    from tier_runtime.tier import Tier

PEER = "inproc"


class LocalServer:
    """A tier as this process calls it. `stop` gives back what the tier holds."""

    def __init__(
        self,
        tier: Tier,
        settings: GrpcServerSettings,
        log: structlog.stdlib.BoundLogger,
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
    ) -> None:
        self._tier = tier
        self._settings = settings
        desk = make_desk(
            settings,
            log,
            clock=clock,
            ids=ids,
            telemetry=tier.telemetry,
            transport=PEER,
        )
        health = Registration(HEALTH_SERVICE, tier.health.add_to)
        self._handlers = guarded(collect([*tier.services, health]), desk)
        self._changed = threading.Condition()
        self._running = 0
        self._is_stopped = False
        self._executor: Executor | None = None

    def start(self) -> None:
        """Begin to poll the tier's probes, and say that it serves."""
        self._tier.open()

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Take no new RPC, wait for those in flight, and give back what the tier holds."""
        self._tier.health.drain()
        with self._changed:
            self._is_stopped = True
            self._changed.wait_for(lambda: not self._running, grace_seconds)
            executor = self._executor
        if executor is not None:
            # What still waits for a thread runs, and finds that the server has stopped.
            executor.shutdown(wait=False)
        self._tier.close()

    def method(self, name: str, serialize: Codec, deserialize: Codec) -> LocalMethod:
        """Return the method "/package.Service/Method"; one that is unknown fails when called."""
        return LocalMethod(self, self._handlers.get(name), serialize, deserialize)

    def enter(self) -> None:
        """Count one RPC in.

        Raises:
            LocalAbort: the server takes none any more, or none at the moment.
        """
        with self._changed:
            if self._is_stopped:
                raise LocalAbort(grpc.StatusCode.UNAVAILABLE, "The server has stopped.", ())
            if self._running >= self._settings.max_concurrent_rpcs:
                raise LocalAbort(
                    grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", ()
                )
            self._running += 1

    def leave(self) -> None:
        """Count one RPC out."""
        with self._changed:
            self._running -= 1
            if self._is_stopped:
                self._changed.notify_all()

    def run(self, work: Callable[[], None]) -> None:
        """Do the work in another thread; in this one when the server has stopped, to find that."""
        with self._changed:
            if not self._is_stopped:
                if self._executor is None:
                    self._executor = ThreadPoolExecutor(self._settings.threads, "inproc")
                self._executor.submit(work)
                return
        work()


class InprocChannel(grpc.Channel):
    """The channel to a server in this process; closing it does not stop the server."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._is_closed = False

    def unary_unary(
        self,
        method: str,
        request_serializer: Codec = None,
        response_deserializer: Codec = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._one_answer(method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Codec = None,
        response_deserializer: Codec = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._many_answers(method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: Codec = None,
        response_deserializer: Codec = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._one_answer(method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Codec = None,
        response_deserializer: Codec = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._many_answers(method, request_serializer, response_deserializer)

    def subscribe(
        self,
        callback: Callable[[grpc.ChannelConnectivity], None],
        try_to_connect: bool | None = None,
    ) -> None:
        """Tell the one state there is."""
        del try_to_connect
        callback(grpc.ChannelConnectivity.READY)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """Do nothing: nobody is told a second time."""

    def close(self) -> None:
        """Refuse further calls."""
        self._is_closed = True

    def __enter__(self) -> InprocChannel:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _one_answer(self, method: str, serialize: Codec, deserialize: Codec) -> _OneAnswer:
        return _OneAnswer(self._begin, self._server.method(method, serialize, deserialize))

    def _many_answers(self, method: str, serialize: Codec, deserialize: Codec) -> _ManyAnswers:
        return _ManyAnswers(self._begin, self._server.method(method, serialize, deserialize))

    def _begin(self, timeout: float | None, metadata: _Metadata | None) -> LocalContext:
        if self._is_closed:
            # What gRPC's own channel raises.
            raise ValueError("Cannot invoke RPC: Channel closed!")
        return LocalContext(metadata or (), timeout, peer=PEER)


Begin = Callable[["float | None", "_Metadata | None"], LocalContext]


class _OneAnswer:
    """A method with one answer, as a stub calls it; in gRPC's words a multi-callable."""

    def __init__(self, begin: Begin, method: LocalMethod) -> None:
        self._begin = begin
        self._method = method

    def __call__(
        self,
        argument: Any,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        **_grpc_only: object,
    ) -> Any:
        return self._method.answer(argument, self._begin(timeout, metadata))

    def with_call(
        self,
        argument: Any,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        **_grpc_only: object,
    ) -> tuple[Any, LocalCall]:
        context = self._begin(timeout, metadata)
        return self._method.answer(argument, context), LocalCall(context)

    def future(
        self,
        argument: Any,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        **_grpc_only: object,
    ) -> LocalFuture:
        return self._method.submit(argument, self._begin(timeout, metadata))


class _ManyAnswers:
    """A method with many answers, as a stub calls it; in gRPC's words a multi-callable."""

    def __init__(self, begin: Begin, method: LocalMethod) -> None:
        self._begin = begin
        self._method = method

    def __call__(
        self,
        argument: Any,
        timeout: float | None = None,
        metadata: _Metadata | None = None,
        **_grpc_only: object,
    ) -> LocalStream:
        context = self._begin(timeout, metadata)
        return LocalStream(context, self._method.answers(argument, context))
