"""Counts RPCs: those that a process answers, and those that it makes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from tier_runtime.errors import AppError
from tier_runtime.health import HEALTH_SERVICE
from tier_runtime.metrics import series
from tier_runtime.status import STATUS_CODES

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters

OutcomeT = TypeVar("OutcomeT")
# Is told, once, how an RPC ended.
Ended = Callable[[grpc.StatusCode], None]

# Polled all the time, and about nothing but itself.
_HEALTH = f"/{HEALTH_SERVICE}/"


class ServedMeter:
    """Counts the RPCs of a server. Methods are those that it has, so there are only so many."""

    def __init__(self, meters: Meters) -> None:
        self._handled = meters.counter(series.SERVED)
        self._seconds = meters.histogram(series.SERVED_SECONDS)
        self._in_flight = meters.gauge(series.SERVED_IN_FLIGHT).of()
        self._left = meters.histogram(series.SERVED_DEADLINE_LEFT)
        self._arrived = meters.counter(series.SERVED_ARRIVED).of()
        self._refused = meters.counter(series.SERVED_REFUSED)

    def arrived(self) -> None:
        """Count an RPC in that may have to wait for a thread, or be refused without a word."""
        self._arrived.inc()

    def opened(self, method: str, seconds_left: float | None) -> None:
        """Count an RPC in whose turn has come, with what its caller left it, if it said that."""
        self._in_flight.inc()
        if seconds_left is not None:
            self._left.of(_parts(method)[0]).observe(seconds_left)

    def closed(self, method: str, code: str, seconds: float) -> None:
        """Count an RPC out."""
        service, name = _parts(method)
        self._in_flight.dec()
        self._handled.of(service, name, code).inc()
        self._seconds.of(service, name).observe(seconds)

    def refused(self, reason: str) -> None:
        """Count an RPC that never reaches its servicer; the reason is one of few words."""
        self._refused.of(reason.replace(" ", "_")).inc()


class CalledMeter:
    """Counts the RPCs that stubs make, but for health."""

    def __init__(self, meters: Meters, clock: Callable[[], float] = time.monotonic) -> None:
        self._handled = meters.counter(series.CALLED)
        self._seconds = meters.histogram(series.CALLED_SECONDS)
        self._clock = clock

    def one_answer(self, method: str, send: Callable[[], OutcomeT]) -> OutcomeT:
        """Send an RPC with one answer and count it once that is there."""
        outcome, began = self._sent(method, send)
        if began is not None:
            future: Any = outcome
            # At once, in this thread, where it has ended already.
            future.add_done_callback(lambda _: self._ended(method, _code_of(future), began))
        return outcome

    def many_answers(self, method: str, send: Callable[[], OutcomeT]) -> tuple[OutcomeT, Ended]:
        """Send an RPC with a stream of answers; also return what is to be told how it ended."""
        outcome, began = self._sent(method, send)
        if began is None:
            return outcome, lambda _code: None
        return outcome, lambda code: self._ended(method, code, began)

    def _sent(self, method: str, send: Callable[[], OutcomeT]) -> tuple[OutcomeT, float | None]:
        if method.startswith(_HEALTH):
            return send(), None
        began = self._clock()
        try:
            return send(), began
        except AppError as error:
            # It was not sent: there is no time left, or the breaker is open.
            self._ended(method, STATUS_CODES[error.kind], began)
            raise

    def _ended(self, method: str, code: grpc.StatusCode, began: float) -> None:
        service, name = _parts(method)
        self._handled.of(service, name, code.name).inc()
        self._seconds.of(service, name).observe(self._clock() - began)


def _code_of(outcome: Any) -> grpc.StatusCode:
    code: grpc.StatusCode = outcome.code()
    if code is grpc.StatusCode.INTERNAL:
        # So gRPC says of what an interceptor further in has raised.
        error = outcome.exception() if hasattr(outcome, "exception") else None
        if isinstance(error, AppError):
            return STATUS_CODES[error.kind]
    return code


def _parts(method: str) -> tuple[str, str]:
    """Return the service and the name in "/package.Service/Method"."""
    service, _, name = method[1:].partition("/")
    return service, name
