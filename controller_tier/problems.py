"""Errors as problem documents (RFC 9457): the only place that knows which status a kind has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import quote

import orjson
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from tier_runtime.catalogue import CATALOGUE
from tier_runtime.errors import PEER_NOT_ALLOWED, AppError, Kind

PROBLEM_TYPE = "application/problem+json"
REALM = "arcana"

# What a peer that is down or overloaded, and did not say for how long, is given.
DEFAULT_RETRY_SECONDS = 1
# Field errors in one document, and characters of a field's name: whoever sends a thousand unknown
# fields needs no list of them.
MAX_FIELDS = 50
MAX_FIELD_NAME = 100

KIND_STATUS: Mapping[Kind, int] = MappingProxyType(
    {
        Kind.INVALID: 400,
        Kind.UNAUTHENTICATED: 401,
        Kind.FORBIDDEN: 403,
        Kind.MISSING: 404,
        Kind.EXISTS: 409,
        Kind.CONFLICT: 409,
        Kind.STALE: 412,
        Kind.THROTTLED: 429,
        Kind.UNAVAILABLE: 503,
        Kind.DEADLINE: 504,
        Kind.INTERNAL: 500,
    }
)

# Where HTTP is finer than the kinds.
CODE_STATUS: Mapping[str, int] = MappingProxyType(
    {
        # Said of this program by the next tier.
        PEER_NOT_ALLOWED: 500,
        "METHOD_NOT_ALLOWED": 405,
        "NOT_ACCEPTABLE": 406,
        "BODY_TOO_LARGE": 413,
        "UNSUPPORTED_MEDIA_TYPE": 415,
        "RANGE_NOT_SATISFIABLE": 416,
        "IDEMPOTENCY_KEY_REUSED": 422,
        "PRECONDITION_REQUIRED": 428,
    }
)

# HTTP itself was spoken wrong, so no route and no tier had a say.
MALFORMED_REQUEST = "MALFORMED_REQUEST"

# Codes of what the framework refuses before any code of ours runs.
_FRAMEWORK_CODES: Mapping[int, str] = MappingProxyType(
    {
        400: "MALFORMED_BODY",
        404: "NOT_FOUND",
        405: "METHOD_NOT_ALLOWED",
        406: "NOT_ACCEPTABLE",
        413: "BODY_TOO_LARGE",
        415: "UNSUPPORTED_MEDIA_TYPE",
        416: "RANGE_NOT_SATISFIABLE",
        500: "INTERNAL_ERROR",
        503: "SERVICE_UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    }
)

# RFC 9110's names, which the standard library has only from Python 3.13 on.
_PHRASES: Mapping[int, str] = MappingProxyType(
    {
        413: "Content Too Large",
        414: "URI Too Long",
        416: "Range Not Satisfiable",
        422: "Unprocessable Content",
    }
)

# The service tier names fields as its contract does.
_EDGE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "created_after_time": "created_after",
        "created_before_time": "created_before",
        "currency_code": "currency",
        # As a filter it is a parameter of its own, and elsewhere the id in the path.
        "file_id": "id",
        "filename": "file",
        "filter.user_id": "user_id",
        "max_price_minor": "max_price",
        "min_price_minor": "min_price",
        "order_id": "id",
        "page_size": "size",
        "price_minor": "price",
        "product_id": "id",
        "query": "q",
        "request_id": "Idempotency-Key",
        "session_id": "id",
        "user_id": "id",
    }
)

# RFC 6750, section 3.1: these mean that a token was presented and is no good.
_TOKEN_CODES = frozenset({"INVALID_TOKEN", "TOKEN_EXPIRED", "TOKEN_REVOKED"})


class FieldsError(AppError):
    """Field errors that the edge found itself, by the names that its consumers know."""

    def __init__(self, field_errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__(
            Kind.INVALID,
            "VALIDATION_FAILED",
            "One or more fields are not valid.",
            field_errors=field_errors,
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """One answer that is an error: its status, code, sentence, and what goes with it."""

    status: int
    code: str
    detail: str
    field_errors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    retry_after: float | None = None
    allow: str = ""

    def document(self, *, instance: str, request_id: str, now: datetime) -> bytes:
        """Return the JSON text. `instance` is the request's path."""
        members: dict[str, object] = {
            "type": problem_type(self.code),
            "title": phrase_of(self.status),
            "status": self.status,
            "detail": self.detail,
            "instance": quote(instance, safe="/:@!$&'()*+,;=~"),
            "code": self.code,
            "request_id": request_id,
            "timestamp": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        if self.field_errors:
            members["errors"] = dict(self.field_errors)
        return orjson.dumps(members)

    def headers(self) -> dict[str, str]:
        """Return the headers that the status or the code ask for."""
        headers = {"Content-Type": PROBLEM_TYPE, "Cache-Control": "no-store"}
        if self.status == 401:
            headers["WWW-Authenticate"] = _challenge(self.code, self.detail)
        if self.status in {429, 503}:
            seconds = DEFAULT_RETRY_SECONDS if self.retry_after is None else self.retry_after
            headers["Retry-After"] = str(max(math.ceil(seconds), 1))
        if self.allow:
            headers["Allow"] = self.allow
        return headers


def problem_from(error: AppError) -> Problem:
    """Return the problem that an error of ours is to an API consumer."""
    status = CODE_STATUS.get(error.code, KIND_STATUS[error.kind])
    if status == KIND_STATUS[Kind.INTERNAL]:
        return internal_problem()
    name_of = _cut if isinstance(error, FieldsError) else edge_field_name
    return Problem(
        status=status,
        code=error.code,
        detail=error.message,
        field_errors={
            name_of(field): messages
            for field, messages in list(error.field_errors.items())[:MAX_FIELDS]
        },
        retry_after=error.retry_after,
    )


def problem_from_http(error: HTTPException) -> Problem:
    """Return the problem for something that the framework refused."""
    status = error.code or 500
    code = _FRAMEWORK_CODES.get(status, MALFORMED_REQUEST if status < 500 else "INTERNAL_ERROR")
    if code == "INTERNAL_ERROR":
        return internal_problem()
    allow = ""
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        allow = ", ".join(sorted(error.valid_methods))
    return Problem(status, code, CATALOGUE[code].description, allow=allow)


def unreadable_problem() -> Problem:
    """Return the problem of a body that breaks off, or breaks HTTP's rules, on the way."""
    return Problem(400, "MALFORMED_BODY", "The body could not be read to its end.")


def internal_problem() -> Problem:
    """Return the problem that says nothing."""
    return Problem(500, "INTERNAL_ERROR", "Something went wrong on our side.")


def status_of(code: str) -> int:
    """Return the status that a code of the catalogue usually has."""
    return CODE_STATUS.get(code) or KIND_STATUS[CATALOGUE[code].kind]


def phrase_of(status: int) -> str:
    """Return the reason phrase of a status, as RFC 9110 has it."""
    return _PHRASES.get(status) or HTTPStatus(status).phrase


def problem_type(code: str) -> str:
    """Return the URN that stands for a code."""
    return f"urn:arcana:problem:{code.lower().replace('_', '-')}"


def edge_field_name(path: str) -> str:
    """Return a field path of the service tier's contract as the edge's consumers know it."""
    head, dot, rest = path.partition(".")
    short = rest if dot and head in {"page", "filter"} else path
    return _cut(_EDGE_NAMES.get(path) or _EDGE_NAMES.get(short, short))


def _cut(name: str) -> str:
    return name[:MAX_FIELD_NAME]


def _challenge(code: str, detail: str) -> str:
    challenge = f'Bearer realm="{REALM}"'
    if code not in _TOKEN_CODES:
        return challenge
    # RFC 6750, section 3: printable ASCII without quote and backslash.
    text = "".join(c if " " <= c <= "~" and c not in '"\\' else " " for c in detail)
    return f'{challenge}, error="invalid_token", error_description="{text}"'
