"""Spans of RPCs that go out: begun in the current call, and ended as the RPC ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc

from tier_runtime.call import Call
from tier_runtime.errors import AppError
from tier_runtime.status import STATUS_CODES, from_rpc_error
from tier_runtime.tracing.spans import NO_SPAN, NO_TRACING, RpcSpan, Tracing


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a channel knows about the spans of its RPCs: what carries them, and to whom."""

    tracing: Tracing = NO_TRACING
    transport: str = "grpc"
    peer: str = ""

    def begin(self, method: str, call: Call | None) -> RpcSpan:
        """Begin the span of an RPC; there is none outside of a call that is traced."""
        if call is None or not self.tracing.is_on:
            return NO_SPAN
        return self.tracing.called(method, self.transport, self.peer, call.carried, call.links)


def end_with(span: RpcSpan, outcome: Any) -> None:
    """End the span when this future does; at once, in this thread, where it has."""
    outcome.add_done_callback(lambda _: span.end(*_ending(outcome)))


def ending_of(error: Exception) -> tuple[str, str]:
    """Return the name of the gRPC status that an RPC failed with, and the error code of ours."""
    if isinstance(error, AppError):
        return STATUS_CODES[error.kind].name, error.code
    if isinstance(error, grpc.RpcError):
        shown = from_rpc_error(error)
        return STATUS_CODES[shown.kind].name, shown.code
    return grpc.StatusCode.UNKNOWN.name, ""


def _ending(outcome: Any) -> tuple[str, str]:
    if outcome.cancelled():
        return grpc.StatusCode.CANCELLED.name, ""
    error = outcome.exception()
    return (grpc.StatusCode.OK.name, "") if error is None else ending_of(error)
