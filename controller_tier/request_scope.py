"""What every request has: an id, a deadline, and a line in the log."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

from flask import Flask, Response, g, request

from controller_tier.metrics import HttpMeter
from tier_runtime.call import Actor, Call, call_scope, current_call
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import IdSource
from tier_runtime.logs import get_logger
from tier_runtime.metadata import (
    TRACEPARENT_KEY,
    TRACESTATE_KEY,
    is_request_id,
    is_traceparent,
    is_tracestate,
)
from tier_runtime.tracing.spans import (
    NO_SPAN,
    NO_TRACING,
    NOTHING_CARRIED,
    Carried,
    EdgeSpan,
    Tracing,
)
from tier_runtime.wsgi_environ import WAITED_SECONDS

REQUEST_ID_HEADER = "X-Request-ID"
_UNTRACED = "/health"


@dataclass(slots=True)
class Exchange:
    """One request on its way, and what is to be said about it at the end."""

    request_id: str
    started_at: float
    closing: ExitStack
    # Set where an error became an answer.
    problem_code: str | None = None
    span: EdgeSpan = NO_SPAN
    # Headers that every answer to this request gets from here on.
    headers: dict[str, str] = field(default_factory=dict)


def current_exchange() -> Exchange:
    """Return the exchange of the current request."""
    exchange: Exchange = g.exchange
    return exchange


def call_of_request() -> Call:
    """Return the call that was opened for the current request.

    Raises:
        RuntimeError: there is none, which is a mistake of the edge's own.
    """
    call = current_call()
    if call is None:
        raise RuntimeError("A view runs inside the call that the edge opened for its request.")
    return call


class RequestScope:
    """Opens a call for each request and closes it with its line in the access log."""

    def __init__(
        self,
        clock: Clock,
        ids: IdSource,
        *,
        timeout_seconds: float,
        meter: HttpMeter | None = None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._timeout = timeout_seconds
        self._meter = meter
        self._tracing = tracing
        self._log = get_logger("controller_tier.access")

    def install(self, app: Flask) -> None:
        """Add the hooks. Call it before any others are added: the first to open closes last."""
        app.before_request(self._open)
        app.after_request(self._finish)
        app.teardown_request(self._close)

    def _open(self) -> None:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        carried = _carried()
        span = self._begin_span(carried)
        call = Call(
            actor=Actor(),
            request_id=given if is_request_id(given) else self._ids.new_id(),
            deadline=Deadline.after(self._timeout, self._clock.monotonic),
            # One who does not trace passes on what came.
            traceparent=span.traceparent or carried.traceparent,
            tracestate=carried.tracestate,
        )
        closing = ExitStack()
        closing.callback(span.end)
        closing.enter_context(call_scope(call))
        g.exchange = Exchange(call.request_id, self._clock.monotonic(), closing, span=span)
        if self._meter is not None:
            self._meter.opened()
        if request.environ.get(WAITED_SECONDS, 0.0) > self._timeout:
            # Its client has most likely gone, and the ones behind it wait for this thread. Those
            # that waited less get their whole time: to take the wait off it would leave every
            # request of a long queue too little to succeed.
            if self._meter is not None:
                self._meter.refused("waited_too_long")
            raise AppError(
                Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Too many requests are waiting."
            )

    def _begin_span(self, carried: Carried) -> EdgeSpan:
        rule = request.url_rule.rule if request.url_rule else ""
        # Who asks every second how the edge is would fill any collector.
        if not self._tracing.is_on or rule.startswith(_UNTRACED):
            return NO_SPAN
        return self._tracing.edge(request.method, rule, carried)

    def _finish(self, response: Response) -> Response:
        exchange = current_exchange()
        if exchange.headers:
            response.headers.update(exchange.headers)
        response.headers[REQUEST_ID_HEADER] = exchange.request_id
        exchange.span.answered(response.status_code, exchange.problem_code)
        rule = request.url_rule
        fields = {} if exchange.problem_code is None else {"code": exchange.problem_code}
        elapsed = self._clock.monotonic() - exchange.started_at
        # The rule, not the path: a path may hold anything, a mistyped secret included.
        route = rule.rule if rule else None
        if self._meter is not None:
            self._meter.answered(request.method, route, response.status_code, elapsed)
        self._log.info(
            "request",
            method=request.method,
            route=route,
            status=response.status_code,
            duration_ms=round(elapsed * 1000, 2),
            **fields,
        )
        return response

    def _close(self, _error: BaseException | None) -> None:
        exchange: Exchange | None = g.pop("exchange", None)
        if exchange is not None:
            exchange.closing.close()
            if self._meter is not None:
                self._meter.closed()


def _carried() -> Carried:
    """Return the trace that the request came with; baggage is a stranger's word and not read."""
    traceparent = request.headers.get(TRACEPARENT_KEY, "")
    if not is_traceparent(traceparent):
        return NOTHING_CARRIED
    tracestate = request.headers.get(TRACESTATE_KEY, "")
    return Carried(traceparent, tracestate if is_tracestate(tracestate) else "")
