"""Sends a request to one of a peer's addresses, and again where that is safe."""

from __future__ import annotations

import logging
import random
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import grpc
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from tier_runtime.local_rpc import LocalRpcError
from tier_runtime.rest.addresses import Addresses, NoAddressError
from tier_runtime.rest.flight import Flight, FlightCancelledError
from tier_runtime.rest.pools import (
    AddressPool,
    HandshakeError,
    TlsAddressPool,
    client_context,
)
from tier_runtime.tls.files import Reloaded, TlsFiles

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

# gRPC's own, as our service configs have them.
FIRST_BACKOFF_SECONDS = 0.05
LONGEST_BACKOFF_SECONDS = 0.5
MAX_TOKENS = 10.0
TOKEN_RATIO = 0.1

_CHUNK = 64 * 1024
_TLS = "TLS failed: the peer's certificate is refused here, or ours there."


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request. A body that is no bytes is sent as it comes."""

    verb: str
    target: str
    headers: Mapping[str, str]
    body: bytes | Iterable[bytes] | None


class Incoming(Protocol):
    """An answer that has begun."""

    @property
    def status(self) -> int:
        """Its HTTP status."""

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """Its headers."""

    def read(self, max_bytes: int) -> bytes:
        """Return the whole body.

        Raises:
            LocalRpcError: it is larger, breaks off, or comes too late.
        """

    def lines(self, max_bytes: int) -> Iterator[bytes]:
        """Yield the body line by line as it comes.

        Raises:
            LocalRpcError: a line is larger, or the body breaks off or comes too late.
        """

    def close(self) -> None:
        """Give up what has not been read."""


class Connections(Protocol):
    """What a channel sends by."""

    def send(self, request: Outgoing, flight: Flight, attempts: int) -> Incoming:
        """Return the answer to a request that may be sent so many times.

        Raises:
            LocalRpcError: there is none.
        """

    def close(self) -> None:
        """Close all connections."""


class PooledConnections:
    """Kept-alive connections by urllib3, a pool for each address, each address in its turn."""

    def __init__(
        self,
        targets: Sequence[str],
        max_age_seconds: float,
        addresses: Addresses | None = None,
        tls: TlsFiles | None = None,
    ) -> None:
        self._tls = None if tls is None else Reloaded(tls, client_context)
        # What the pools were made with, None without TLS.
        self._context: ssl.SSLContext | None = None
        self._max_age = max_age_seconds
        # At debug level it writes each request's path and query, which may hold anything.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
        self._addresses = addresses or Addresses(targets)
        self._targets = ", ".join(targets)
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, int], AddressPool | TlsAddressPool] = {}
        self._throttle = RetryThrottle()

    def send(self, request: Outgoing, flight: Flight, attempts: int) -> Incoming:
        """Return the answer, once it has begun."""
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            attempts -= 1
            try:
                answer = self._send_once(request, flight)
            except _NoAnswerError as error:
                failure = error
            else:
                self._throttle.succeeded()
                return _Answer(answer, flight)
            may_retry = self._throttle.failed()
            if attempts <= 0 or not may_retry or flight.is_late:
                raise unavailable(f"{failure} ({self._targets})") from failure
            flight.wait(random.uniform(0.8, 1.2) * backoff)  # noqa: S311 - spreads callers, guards nothing.
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
            if flight.is_late:
                raise late() from failure

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()

    def _send_once(self, request: Outgoing, flight: Flight) -> BaseHTTPResponse:
        """Send to one address; to the next where nothing could be sent."""
        tried: list[tuple[str, int]] = []
        reason = "The name has no address."
        while True:
            address = self._next_address(tried, flight, reason)
            try:
                answer = self._pool(address).send(
                    request.verb, request.target, request.headers, request.body, flight
                )
            except FlightCancelledError:
                raise cancelled() from None
            except ClosedPoolError:
                if flight.is_cancelled:
                    raise cancelled() from None
                # Another thread has replaced it since it was picked, and nothing was sent.
                continue
            except HTTPError as error:
                if flight.is_cancelled:
                    raise cancelled() from error
                if isinstance(error, (NewConnectionError, ConnectTimeoutError)):
                    # Who came with hardly any time left has learnt nothing about the peer.
                    if flight.is_late:
                        raise late() from error
                    self._addresses.failed(address)
                    tried.append(address)
                    reason = _TLS if isinstance(error, HandshakeError) else "No address answers."
                    continue
                raise _failure_of(error) from error
            self._addresses.reached(address)
            return answer

    def _next_address(
        self, tried: Sequence[tuple[str, int]], flight: Flight, reason: str
    ) -> tuple[str, int]:
        try:
            return self._addresses.next(tried, flight.remaining())
        except NoAddressError:
            if flight.is_cancelled:
                raise cancelled() from None
            if flight.is_late:
                raise late() from None
            raise _NoAnswerError(reason) from None

    def _pool(self, address: tuple[str, int]) -> AddressPool | TlsAddressPool:
        pool = self._pools.get(address)
        if pool is not None and self._current_context() is self._context:
            return pool
        known = self._addresses.known()
        with self._lock:
            # Asked again: another thread may have found a newer one meanwhile.
            context = self._current_context()
            is_changed = context is not self._context
            self._context = context
            gone = [
                self._pools.pop(one) for one in list(self._pools) if is_changed or one not in known
            ]
            if context is None:
                pool = AddressPool(*address, self._max_age)
            else:
                name = self._addresses.name_of(address)
                pool = TlsAddressPool(*address, self._max_age, context, name)
            pool = self._pools.setdefault(address, pool)
        for old in gone:
            # Requests in flight keep their connections, which close when they come back.
            old.close()
        return pool

    def _current_context(self) -> ssl.SSLContext | None:
        return None if self._tls is None else self._tls.current()


class RetryThrottle:
    """Keeps a peer that fails most calls from getting more of them.

    gRPC's own rule (gRFC A6): each failure costs a token, each success gives a tenth back, and
    nothing is sent again while half of the tokens or more are gone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = MAX_TOKENS

    def succeeded(self) -> None:
        """Note that a peer answered."""
        if self._tokens < MAX_TOKENS:
            with self._lock:
                self._tokens = min(self._tokens + TOKEN_RATIO, MAX_TOKENS)

    def failed(self) -> bool:
        """Note that a peer did not answer, and return whether to send again."""
        with self._lock:
            self._tokens = max(self._tokens - 1, 0.0)
            return self._tokens > MAX_TOKENS / 2


class _NoAnswerError(Exception):
    """Not a byte of an answer came."""


class _Answer:
    """urllib3's answer, as an Incoming."""

    def __init__(self, response: BaseHTTPResponse, flight: Flight) -> None:
        self._response = response
        self._flight = flight

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        return tuple(self._response.headers.items())

    def read(self, max_bytes: int) -> bytes:
        try:
            if int(self._response.headers.get("Content-Length", 0)) > max_bytes:
                raise self._too_large(max_bytes)
            if "Content-Length" in self._response.headers:
                return self._response.read()
            body = self._response.read(max_bytes + 1)
        except HTTPError as error:
            raise self._broken(error) from error
        if len(body) > max_bytes:
            raise self._too_large(max_bytes)
        self._response.release_conn()
        return body

    def lines(self, max_bytes: int) -> Iterator[bytes]:
        rest = b""
        try:
            for part in self._response.stream(_CHUNK):
                *lines, rest = (rest + part).split(b"\n")
                yield from lines
                if len(rest) > max_bytes:
                    raise self._too_large(max_bytes)
        except HTTPError as error:
            raise self._broken(error) from error
        if rest:
            yield rest

    def close(self) -> None:
        self._response.close()

    def _too_large(self, max_bytes: int) -> LocalRpcError:
        self.close()
        return LocalRpcError(
            grpc.StatusCode.RESOURCE_EXHAUSTED, f"The answer is larger than {max_bytes} bytes."
        )

    def _broken(self, error: HTTPError) -> LocalRpcError:
        self.close()
        if self._flight.is_cancelled:
            return cancelled()
        if isinstance(error, ReadTimeoutError) or self._flight.is_late:
            return late()
        return unavailable("The answer broke off.")


def unavailable(details: str) -> LocalRpcError:
    """Return the error of a peer that cannot be reached."""
    return LocalRpcError(grpc.StatusCode.UNAVAILABLE, details)


def late() -> LocalRpcError:
    """Return the error of a call whose time is over."""
    return LocalRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")


def cancelled() -> LocalRpcError:
    """Return the error of a call that its caller has ended."""
    return LocalRpcError(grpc.StatusCode.CANCELLED, "Locally cancelled by application!")


def _failure_of(error: HTTPError) -> Exception:
    if isinstance(error, ReadTimeoutError):
        return late()
    if isinstance(error, SSLError):
        # With TLS 1.3 the peer refuses our certificate only after our side is done.
        return _NoAnswerError(_TLS)
    if isinstance(error, ProtocolError):
        return _NoAnswerError("The connection was closed before an answer came.")
    return unavailable("The answer cannot be read.")
