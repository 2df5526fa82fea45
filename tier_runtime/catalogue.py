"""Every error code that a tier may raise or an API consumer may see.

Codes are stable: clients branch on them. Titles and descriptions feed the documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tier_runtime.kinds import Kind


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One entry of the catalogue. The first of `kinds` is the usual one."""

    code: str
    kinds: tuple[Kind, ...]
    title: str
    description: str

    @property
    def kind(self) -> Kind:
        """The kind this code usually comes with."""
        return self.kinds[0]


_ENTRIES = (
    ErrorCode(
        "MALFORMED_BODY",
        (Kind.INVALID,),
        "Malformed body",
        "The body is not well-formed JSON, or JSON that this API refuses: duplicate keys, NaN, "
        "too deep a nesting, broken Unicode; or a form that breaks off. Over gRPC: bytes that are "
        "no message of the RPC, or a stream without its end.",
    ),
    ErrorCode(
        "MALFORMED_REQUEST",
        (Kind.INVALID,),
        "Malformed request",
        "HTTP itself was spoken wrong: no well-formed request line or header fields, or too large "
        "ones (then with status 414 or 431).",
    ),
    ErrorCode(
        "UNSUPPORTED_MEDIA_TYPE",
        (Kind.INVALID,),
        "Unsupported media type",
        "The body's media type is not one that this route takes.",
    ),
    ErrorCode(
        "BODY_TOO_LARGE",
        (Kind.INVALID,),
        "Body too large",
        "The body is larger than this route takes.",
    ),
    ErrorCode(
        "RANGE_NOT_SATISFIABLE",
        (Kind.INVALID,),
        "Range not satisfiable",
        "No part of the file is within the range asked for; its size is told in Content-Range.",
    ),
    ErrorCode(
        "METHOD_NOT_ALLOWED",
        (Kind.INVALID,),
        "Method not allowed",
        "The path exists, but not with this method; the allowed ones are named.",
    ),
    ErrorCode(
        "NOT_ACCEPTABLE",
        (Kind.INVALID,),
        "Not acceptable",
        "No representation that the request accepts can be made.",
    ),
    ErrorCode(
        "VALIDATION_FAILED",
        (Kind.INVALID,),
        "Validation failed",
        "One or more fields are missing, unknown or wrong; each is named with its faults.",
    ),
    ErrorCode(
        "IDEMPOTENCY_KEY_REUSED",
        (Kind.INVALID,),
        "Idempotency key reused",
        "The same idempotency key was used within 24 hours with a different request.",
    ),
    ErrorCode(
        "PRECONDITION_REQUIRED",
        (Kind.INVALID,),
        "Precondition required",
        "This write must say which version it is based on, and does not.",
    ),
    ErrorCode(
        "UNAUTHENTICATED",
        (Kind.UNAUTHENTICATED,),
        "Not signed in",
        "The call needs a signed-in user and names none that can be read.",
    ),
    ErrorCode(
        "INVALID_TOKEN",
        (Kind.UNAUTHENTICATED, Kind.INVALID),
        "Invalid token",
        "The token is malformed, not signed by us, of the wrong type, unknown or already used.",
    ),
    ErrorCode(
        "TOKEN_EXPIRED",
        (Kind.UNAUTHENTICATED, Kind.INVALID),
        "Token expired",
        "The token was valid once and its time is over.",
    ),
    ErrorCode(
        "TOKEN_REVOKED",
        (Kind.UNAUTHENTICATED,),
        "Token revoked",
        "The session behind the token has ended: by logout, by a change of password or status, "
        "or because a used refresh token came again.",
    ),
    ErrorCode(
        "INVALID_CREDENTIALS",
        (Kind.UNAUTHENTICATED,),
        "Invalid credentials",
        "The e-mail address or the password is wrong; which of the two is not told.",
    ),
    ErrorCode(
        "ACCOUNT_NOT_ACTIVE",
        (Kind.FORBIDDEN,),
        "Account not active",
        "The password was right, but the account is inactive or suspended.",
    ),
    ErrorCode(
        "FORBIDDEN",
        (Kind.FORBIDDEN,),
        "Forbidden",
        "The caller is known, and has neither the role nor the ownership that this needs.",
    ),
    ErrorCode(
        "PEER_NOT_ALLOWED",
        (Kind.FORBIDDEN,),
        "Peer not allowed",
        "A program called a tier that does not serve the names in its certificate. Between tiers "
        "only: a deployment is wired wrong, or somebody tries.",
    ),
    ErrorCode(
        "NOT_FOUND",
        (Kind.MISSING,),
        "Not found",
        "There is no such thing, or it is not the caller's and its existence is private.",
    ),
    ErrorCode("USER_NOT_FOUND", (Kind.MISSING,), "User not found", "There is no such user."),
    ErrorCode(
        "PRODUCT_NOT_FOUND",
        (Kind.MISSING,),
        "Product not found",
        "There is no such product, or the caller may not see it.",
    ),
    ErrorCode(
        "ORDER_NOT_FOUND",
        (Kind.MISSING,),
        "Order not found",
        "There is no such order, or it is not the caller's.",
    ),
    ErrorCode(
        "FILE_NOT_FOUND",
        (Kind.MISSING,),
        "File not found",
        "There is no such file, or it is not the caller's.",
    ),
    ErrorCode("JOB_NOT_FOUND", (Kind.MISSING,), "Job not found", "There is no such job."),
    ErrorCode(
        "EMAIL_EXISTS",
        (Kind.EXISTS,),
        "E-mail address taken",
        "Another account already has this e-mail address.",
    ),
    ErrorCode(
        "ALREADY_EXISTS",
        (Kind.EXISTS,),
        "Already exists",
        "A thing with this identity already exists.",
    ),
    ErrorCode(
        "INSUFFICIENT_STOCK",
        (Kind.CONFLICT,),
        "Not enough stock",
        "There are fewer units than asked for; each product is named with what is available.",
    ),
    ErrorCode(
        "INVALID_STATE",
        (Kind.CONFLICT,),
        "State does not allow it",
        "The thing is in a state that does not allow this, such as the last admin's removal.",
    ),
    ErrorCode(
        "QUOTA_EXCEEDED",
        (Kind.CONFLICT,),
        "Quota exceeded",
        "All files of a user may have so many bytes together; delete one to make room.",
    ),
    ErrorCode(
        "IDEMPOTENCY_IN_PROGRESS",
        (Kind.CONFLICT,),
        "Request in progress",
        "A request with the same idempotency key is still running; try again shortly.",
    ),
    ErrorCode(
        "PRECONDITION_FAILED",
        (Kind.STALE,),
        "Precondition failed",
        "The thing has changed since the version that this write is based on.",
    ),
    ErrorCode(
        "RATE_LIMITED",
        (Kind.THROTTLED,),
        "Too many requests",
        "The caller's quota is used up; when to come again is told in seconds.",
    ),
    ErrorCode(
        "SERVICE_UNAVAILABLE",
        (Kind.UNAVAILABLE,),
        "Service unavailable",
        "A tier or a store behind this one is down or overloaded; try again later.",
    ),
    ErrorCode(
        "DEADLINE_EXCEEDED",
        (Kind.DEADLINE,),
        "Deadline exceeded",
        "The answer did not come in the time that the request had. Whether a write happened "
        "is not known; its idempotency key makes it safe to ask again.",
    ),
    ErrorCode(
        "INTERNAL_ERROR",
        (Kind.INTERNAL,),
        "Internal error",
        "A fault of ours. Nothing more is told but the request id, which finds it in the logs.",
    ),
)

CATALOGUE: Mapping[str, ErrorCode] = MappingProxyType({entry.code: entry for entry in _ENTRIES})

# What stands for a kind when a newer peer sends a code that this build does not know.
GENERAL_CODES: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.INVALID: "VALIDATION_FAILED",
        Kind.UNAUTHENTICATED: "UNAUTHENTICATED",
        Kind.FORBIDDEN: "FORBIDDEN",
        Kind.MISSING: "NOT_FOUND",
        Kind.EXISTS: "ALREADY_EXISTS",
        Kind.CONFLICT: "INVALID_STATE",
        Kind.STALE: "PRECONDITION_FAILED",
        Kind.THROTTLED: "RATE_LIMITED",
        Kind.UNAVAILABLE: "SERVICE_UNAVAILABLE",
        Kind.DEADLINE: "DEADLINE_EXCEEDED",
        Kind.INTERNAL: "INTERNAL_ERROR",
    }
)
