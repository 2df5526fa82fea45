"""AppError to and from google.rpc.Status, the form in which errors cross a hop.

Google's AIP-193: ErrorInfo names the reason, BadRequest the fields, RetryInfo the wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]  # ships no types
    BadRequest,
    ErrorInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from tier_runtime.catalogue import CATALOGUE, GENERAL_CODES
from tier_runtime.deadline import deadline_exceeded
from tier_runtime.errors import AppError, Kind

DOMAIN = "arcana"
DETAILS_KEY = "grpc-status-details-bin"

# Details of about 16 kB kill the stream with a misleading RESOURCE_EXHAUSTED.
MAX_STATUS_BYTES = 4096
MAX_MESSAGE_BYTES = 1024

# Type URLs, the reason, RetryInfo and all outer tags and lengths, rounded up.
_FIXED_BYTES = 400
# Tags and lengths of one metadata entry or one field violation, rounded up.
_ENTRY_BYTES = 16

# How long to stay away from a peer that is overloaded and did not say for how long.
OVERLOAD_RETRY_SECONDS = 1.0

STATUS_CODES: Mapping[Kind, grpc.StatusCode] = MappingProxyType(
    {
        Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
        Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
        Kind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
        Kind.MISSING: grpc.StatusCode.NOT_FOUND,
        Kind.EXISTS: grpc.StatusCode.ALREADY_EXISTS,
        Kind.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
        Kind.STALE: grpc.StatusCode.ABORTED,
        Kind.THROTTLED: grpc.StatusCode.RESOURCE_EXHAUSTED,
        Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
        Kind.DEADLINE: grpc.StatusCode.DEADLINE_EXCEEDED,
        Kind.INTERNAL: grpc.StatusCode.INTERNAL,
    }
)
_KINDS = {code: kind for kind, code in STATUS_CODES.items()}
_KINDS_BY_NUMBER: Mapping[int, Kind] = MappingProxyType(
    {code.value[0]: kind for code, kind in _KINDS.items()}
)


def to_status(error: AppError) -> Status:
    """Return the error as a status of at most 4 kB.

    Where it would be larger, field errors go last, then metadata, then the message is cut; the
    reason and the time to wait always stay. An internal error keeps its code only.
    """
    number: int = STATUS_CODES[error.kind].value[0]
    if error.kind is Kind.INTERNAL:
        reason = ErrorInfo(reason=error.code, domain=DOMAIN)
        return Status(code=number, message="Internal error.", details=[_packed(reason)])

    message = _cut(error.message, MAX_MESSAGE_BYTES)
    # What the parts that always stay leave for the others.
    room = _Room(MAX_STATUS_BYTES - len(message.encode()) - _FIXED_BYTES)
    reason = ErrorInfo(
        reason=error.code, domain=DOMAIN, metadata=dict(room.fitting(error.metadata.items()))
    )
    violations = [
        BadRequest.FieldViolation(field=field, description=text)
        for field, text in room.fitting(
            (field, text) for field, texts in error.field_errors.items() for text in texts
        )
    ]
    details = [_packed(reason)]
    if violations:
        details.append(_packed(BadRequest(field_violations=violations)))
    if error.retry_after is not None:
        details.append(_packed(RetryInfo(retry_delay=_duration(error.retry_after))))
    return Status(code=number, message=message, details=details)


def from_rpc_error(error: grpc.RpcError) -> AppError:
    """Return what a failed RPC means to its caller.

    A status without our ErrorInfo comes from gRPC itself or from a proxy, and never is the
    caller's fault: overload, absence and lateness keep their meaning, all else is internal.
    """
    code, status = _code_of(error), _status_of(error)
    # A status that contradicts the code it came with was made by somebody in between.
    if status is not None and status.code == code.value[0] and code in _KINDS:
        ours = _from_status(_KINDS[code], status)
        if ours is not None:
            return ours
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return deadline_exceeded()
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
        # A peer that is shutting down cancels what it has not begun; who cancels a call of its
        # own never comes here, but gets grpc's FutureCancelledError.
        return _unavailable(None)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return _unavailable(OVERLOAD_RETRY_SECONDS)
    return internal_error()


def from_status(status: Status) -> AppError:
    """Return what a status means that stands in a message, such as one item's of a batch.

    One that no tier of ours made is internal.
    """
    kind = _KINDS_BY_NUMBER.get(status.code)
    ours = None if kind is None else _from_status(kind, status)
    return internal_error() if ours is None else ours


def internal_error() -> AppError:
    """Return the error that tells nothing."""
    return AppError(Kind.INTERNAL, "INTERNAL_ERROR", "Internal error.")


def _unavailable(retry_after: float | None) -> AppError:
    return AppError(
        Kind.UNAVAILABLE,
        "SERVICE_UNAVAILABLE",
        "A part of the service is not available.",
        retry_after=retry_after,
    )


def _code_of(error: grpc.RpcError) -> grpc.StatusCode:
    # A bare RpcError has none of a call's methods.
    code = getattr(error, "code", None)
    return code() if callable(code) else grpc.StatusCode.UNKNOWN


def _status_of(error: grpc.RpcError) -> Status | None:
    trailing_metadata = getattr(error, "trailing_metadata", None)
    for key, value in (trailing_metadata() if callable(trailing_metadata) else None) or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return Status.FromString(value)
            except DecodeError:
                return None
    return None


def _from_status(kind: Kind, status: Status) -> AppError | None:
    reason, bad_request, retry = ErrorInfo(), BadRequest(), RetryInfo()
    try:
        for detail in status.details:
            for message in (reason, bad_request, retry):
                if detail.Is(message.DESCRIPTOR):
                    detail.Unpack(message)
    except DecodeError:
        return None
    if reason.domain != DOMAIN:
        return None
    field_errors: dict[str, list[str]] = {}
    for violation in bad_request.field_violations:
        field_errors.setdefault(violation.field, []).append(violation.description)
    error = AppError(
        kind,
        reason.reason if reason.reason in CATALOGUE else GENERAL_CODES[kind],
        status.message,
        field_errors=field_errors,
        retry_after=_seconds(retry.retry_delay) if retry.HasField("retry_delay") else None,
    )
    # Not through the constructor: a key from the wire could be the name of a parameter.
    error.metadata.update(reason.metadata)
    return error


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))


def _seconds(duration: Duration) -> float:
    return max(duration.seconds + duration.nanos / 1e9, 0.0)


class _Room:
    """Bytes that are left in a status, handed out first come, first served."""

    def __init__(self, size: int) -> None:
        self._left = size

    def fitting(self, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Yield pairs until one does not fit; nothing fits after that."""
        for name, text in ((_clean(name), _clean(text)) for name, text in pairs):
            self._left -= len(name.encode()) + len(text.encode()) + _ENTRY_BYTES
            if self._left < 0:
                return
            yield name, text


def _packed(message: ErrorInfo | BadRequest | RetryInfo) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


def _clean(text: str) -> str:
    # A lone surrogate has no UTF-8 form, and protobuf would raise in the middle of an error.
    return text.encode("utf-8", "replace").decode()


def _cut(text: str, size: int) -> str:
    return text.encode("utf-8", "replace")[:size].decode("utf-8", "ignore")
