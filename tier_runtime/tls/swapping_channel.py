"""A gRPC channel that takes a new certificate without losing a call.

gRPC's own channels keep the credentials that they were made with. Here a new one takes over when
the files have changed; calls in flight end on the old one, which is closed after the last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc

from tier_runtime.tls.credentials import channel_credentials
from tier_runtime.tls.files import Reloaded, TlsFiles

Open = Callable[[grpc.ChannelCredentials], grpc.Channel]


class _Generation:
    """One of gRPC's own channels, and how many calls are on it."""

    def __init__(self, credentials: grpc.ChannelCredentials, channel: grpc.Channel) -> None:
        self.credentials = credentials
        self.channel = channel
        self.calls = 0
        self.is_retired = False


class SwappingChannel(grpc.Channel):
    """A channel by `open_one`, which is called again whenever the files have changed.

    Raises:
        TlsFilesError: the files cannot be used to begin with.
    """

    def __init__(self, files: TlsFiles, open_one: Open) -> None:
        self._open = open_one
        self._reloaded = Reloaded(files, channel_credentials)
        self._lock = threading.Lock()
        self._is_closed = False
        credentials = self._reloaded.current()
        self._current = _Generation(credentials, open_one(credentials))
        self._retired: set[_Generation] = set()

    def unary_unary(self, *arguments: Any, **options: Any) -> Any:
        return _OneAnswer(self, lambda channel: channel.unary_unary(*arguments, **options))

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        return _ManyAnswers(self, lambda channel: channel.unary_stream(*arguments, **options))

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        return _OneAnswer(self, lambda channel: channel.stream_unary(*arguments, **options))

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        return _ManyAnswers(self, lambda channel: channel.stream_stream(*arguments, **options))

    def board(self) -> _Generation:
        """Return the channel for one more call, which leaves it by `leave`."""
        credentials = self._reloaded.current()
        with self._lock:
            if self._is_closed:
                # What gRPC's own channel raises.
                raise ValueError("Cannot invoke RPC: Channel closed!")
            if credentials is not self._current.credentials:
                # Another thread may have found newer ones meanwhile, and have them in use.
                credentials = self._reloaded.current()
            if credentials is not self._current.credentials:
                self._retire(self._current)
                self._current = _Generation(credentials, self._open(credentials))
            self._current.calls += 1
            return self._current

    def leave(self, generation: _Generation) -> None:
        """Say that a call is over."""
        with self._lock:
            generation.calls -= 1
            if generation.is_retired and not generation.calls:
                self._close(generation)

    def subscribe(
        self,
        callback: Callable[[grpc.ChannelConnectivity], None],
        try_to_connect: bool | None = None,
    ) -> None:
        """Have `callback` told of the connectivity of the channel of the moment."""
        self._current.channel.subscribe(callback, bool(try_to_connect))

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """End what `subscribe` began."""
        self._current.channel.unsubscribe(callback)

    def close(self) -> None:
        """Cancel the calls in flight, and close all connections."""
        with self._lock:
            self._is_closed = True
            generations, self._retired = [self._current, *self._retired], set()
        for generation in generations:
            generation.channel.close()

    def __enter__(self) -> SwappingChannel:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _retire(self, generation: _Generation) -> None:
        generation.is_retired = True
        if generation.calls:
            self._retired.add(generation)
        else:
            self._close(generation)

    def _close(self, generation: _Generation) -> None:
        self._retired.discard(generation)
        # The one who left last may be the channel's own thread, which a close waits for.
        threading.Thread(target=generation.channel.close, name="old channel", daemon=True).start()


class _Method:
    """One method of a stub, on whichever channel is the current one."""

    def __init__(self, channel: SwappingChannel, make: Callable[[grpc.Channel], Any]) -> None:
        self._channel = channel
        self._make = make
        self._made: tuple[_Generation, Any] | None = None

    def _begin(self) -> tuple[_Generation, Any]:
        generation = self._channel.board()
        made = self._made
        if made is None or made[0] is not generation:
            self._made = made = generation, self._make(generation.channel)
        return made

    def _going_on(self, name: str, arguments: Any, options: Any) -> Any:
        """Begin a call that goes on when this returns, and return it."""
        generation, method = self._begin()
        try:
            call = getattr(method, name)(*arguments, **options)
        except BaseException:
            self._channel.leave(generation)
            raise
        if not call.add_callback(lambda: self._channel.leave(generation)):
            self._channel.leave(generation)
        return call


class _OneAnswer(_Method):
    """A method with one answer; in gRPC's words a multi-callable."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.with_call(*arguments, **options)[0]

    def with_call(self, *arguments: Any, **options: Any) -> Any:
        generation, method = self._begin()
        try:
            return method.with_call(*arguments, **options)
        finally:
            self._channel.leave(generation)

    def future(self, *arguments: Any, **options: Any) -> Any:
        return self._going_on("future", arguments, options)


class _ManyAnswers(_Method):
    """A method with many answers; in gRPC's words a multi-callable."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self._going_on("__call__", arguments, options)
