"""gRPC statuses as HTTP answers, and what an HTTP answer says as a gRPC status."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from types import MappingProxyType

import grpc
import orjson
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]  # ships no types
    BadRequest,
    ErrorInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from tier_runtime.rest.codec import JsonError, codec_of
from tier_runtime.status import DOMAIN, OVERLOAD_RETRY_SECONDS

# In place of ours where it is HTTP that was spoken wrong: to a tier that calls another such an
# error is a fault in between, never its own caller's.
HTTP_DOMAIN = "http.arcana"

_CODES: Mapping[int, grpc.StatusCode] = MappingProxyType(
    {code.value[0]: code for code in grpc.StatusCode}
)
_HTTP: Mapping[grpc.StatusCode, int] = MappingProxyType(
    {
        grpc.StatusCode.OK: 200,
        grpc.StatusCode.CANCELLED: 499,
        grpc.StatusCode.UNKNOWN: 500,
        grpc.StatusCode.INVALID_ARGUMENT: 400,
        grpc.StatusCode.DEADLINE_EXCEEDED: 504,
        grpc.StatusCode.NOT_FOUND: 404,
        grpc.StatusCode.ALREADY_EXISTS: 409,
        grpc.StatusCode.PERMISSION_DENIED: 403,
        grpc.StatusCode.UNAUTHENTICATED: 401,
        grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
        grpc.StatusCode.FAILED_PRECONDITION: 409,
        grpc.StatusCode.ABORTED: 412,
        grpc.StatusCode.OUT_OF_RANGE: 400,
        grpc.StatusCode.UNIMPLEMENTED: 501,
        grpc.StatusCode.INTERNAL: 500,
        grpc.StatusCode.UNAVAILABLE: 503,
        grpc.StatusCode.DATA_LOSS: 500,
    }
)
# What an answer means that is none of ours, by gRPC's own table:
# https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
_FOREIGN: Mapping[int, grpc.StatusCode] = MappingProxyType(
    {
        400: grpc.StatusCode.INTERNAL,
        401: grpc.StatusCode.UNAUTHENTICATED,
        403: grpc.StatusCode.PERMISSION_DENIED,
        404: grpc.StatusCode.UNIMPLEMENTED,
        429: grpc.StatusCode.UNAVAILABLE,
        502: grpc.StatusCode.UNAVAILABLE,
        503: grpc.StatusCode.UNAVAILABLE,
        504: grpc.StatusCode.UNAVAILABLE,
    }
)


def code_of(number: int) -> grpc.StatusCode:
    """Return gRPC's code by its number; UNKNOWN for one that there is not."""
    return _CODES.get(number, grpc.StatusCode.UNKNOWN)


def status(code: grpc.StatusCode, message: str) -> Status:
    """Return a status without details."""
    return Status(code=code.value[0], message=message)


def http_fault(code: grpc.StatusCode, reason: str, message: str, field: str = "") -> Status:
    """Return the status of a request that HTTP or JSON was spoken wrong in."""
    fault = status(code, message)
    fault.details.add().Pack(ErrorInfo(reason=reason, domain=HTTP_DOMAIN))
    if field:
        violation = BadRequest.FieldViolation(field=field, description="Not a value of this field.")
        fault.details.add().Pack(BadRequest(field_violations=[violation]))
    return fault


def overloaded(message: str) -> Status:
    """Return the status that sheds a request: come again later, this was not your fault."""
    return status(grpc.StatusCode.RESOURCE_EXHAUSTED, message)


def http_status(failure: Status) -> int:
    """Return the HTTP status of a failure."""
    code = code_of(failure.code)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and not _is_ours(failure):
        # Without our reason it is overload, not somebody who asked too often.
        return 503
    return _HTTP[code]


def retry_after(failure: Status) -> int | None:
    """Return the whole seconds after which to come again, where there is something to say."""
    if http_status(failure) not in {429, 503}:
        return None
    retry = RetryInfo()
    for detail in failure.details:
        if detail.Is(RetryInfo.DESCRIPTOR) and detail.Unpack(retry):
            seconds: float = retry.retry_delay.ToTimedelta().total_seconds()
            return max(math.ceil(seconds), 1)
    return math.ceil(OVERLOAD_RETRY_SECONDS)


def status_json(failure: Status) -> bytes:
    """Return a status as JSON, its details as protobuf's mapping has them ("@type")."""
    return codec_of(Status).encode(failure)


def status_from(http: int | None, body: bytes) -> Status:
    """Return what an answer that is no success means, whoever gave it.

    `http` is its status, None where it was found in the middle of a stream.
    """
    try:
        found = codec_of(Status).decode(body, ignore_unknown=True)
    except JsonError:
        found = _known_part(body)
    # Anybody's JSON could have a member "code"; of ours, it fits the answer's status.
    if found.code and http in {None, http_status(found), *_GENERAL}:
        return found
    if http is None:
        return status(grpc.StatusCode.UNKNOWN, "The answer ended with an unknown error.")
    return status(_FOREIGN.get(http, grpc.StatusCode.UNKNOWN), f"The answer was HTTP {http}.")


# Statuses of HTTP itself, which stand for several codes.
_GENERAL = frozenset({404, 405, 413, 414, 415, 431})


def _known_part(body: bytes) -> Status:
    """Return a status without those of its details that cannot be read.

    A peer may tell details of a type that this process does not know; the code and the reason say
    all the same what happened.
    """
    try:
        fields = orjson.loads(body)
        details = fields.pop("details")
        found = codec_of(Status).decode(orjson.dumps(fields), ignore_unknown=True)
    # What is no JSON, no object, or has no details was unreadable for another reason.
    except (AttributeError, KeyError, TypeError, ValueError):
        return Status()
    for detail in details if isinstance(details, list) else ():
        with contextlib.suppress(JsonError):
            text = orjson.dumps({"details": [detail]})
            found.MergeFrom(codec_of(Status).decode(text, ignore_unknown=True))
    return found


def _is_ours(failure: Status) -> bool:
    reason = ErrorInfo()
    return any(
        detail.Is(ErrorInfo.DESCRIPTOR) and detail.Unpack(reason) and reason.domain == DOMAIN
        for detail in failure.details
    )
