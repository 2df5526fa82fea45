"""What a row of the edge's contract is, and what follows from it; `row_table` has the rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import requests

from tests.system.client import Edge, Json
from tests.system.world import World

# Who may ask; "anybody" may do it without a token, and must not with a bad one.
Who: TypeAlias = Literal["all", "anybody", "signed in", "self or admin", "admin"]

# The status of every code, from the contract's table of errors.
STATUS_OF = {
    "MALFORMED_BODY": 400,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "BODY_TOO_LARGE": 413,
    "VALIDATION_FAILED": 400,
    "UNAUTHENTICATED": 401,
    "INVALID_TOKEN": 401,
    "TOKEN_EXPIRED": 401,
    "TOKEN_REVOKED": 401,
    "INVALID_CREDENTIALS": 401,
    "ACCOUNT_NOT_ACTIVE": 403,
    "FORBIDDEN": 403,
    "USER_NOT_FOUND": 404,
    "PRODUCT_NOT_FOUND": 404,
    "ORDER_NOT_FOUND": 404,
    "JOB_NOT_FOUND": 404,
    "FILE_NOT_FOUND": 404,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "EMAIL_EXISTS": 409,
    "INVALID_STATE": 409,
    "INSUFFICIENT_STOCK": 409,
    "QUOTA_EXCEEDED": 409,
    "IDEMPOTENCY_IN_PROGRESS": 409,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "PRECONDITION_FAILED": 412,
    "RANGE_NOT_SATISFIABLE": 416,
    "PRECONDITION_REQUIRED": 428,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
    "SERVICE_UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
BODY_CODES = frozenset(
    {"MALFORMED_BODY", "UNSUPPORTED_MEDIA_TYPE", "BODY_TOO_LARGE", "VALIDATION_FAILED"}
)
# What else an idempotency key can end in, where a request makes something.
MAKES = frozenset({"IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_KEY_REUSED"})
# What takes a query.
LISTS = frozenset(
    {"/users", "/auth/sessions", "/products", "/products/search", "/orders", "/jobs", "/events"}
)
TOKEN_CODES = frozenset({"UNAUTHENTICATED", "INVALID_TOKEN", "TOKEN_EXPIRED", "TOKEN_REVOKED"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request, ready to be sent or to be spoilt first."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: Json | None = None
    raw: bytes | None = None

    def send(self, edge: Edge) -> requests.Response:
        return edge.call(self.method, self.path, self.body, headers=self.headers, data=self.raw)

    def with_headers(self, **headers: str) -> Call:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return dataclasses.replace(self, headers=self.headers | named)

    def with_token(self, token: str) -> Call:
        return self.with_headers(Authorization=f"Bearer {token}")

    def without_token(self) -> Call:
        kept = {name: value for name, value in self.headers.items() if name != "Authorization"}
        return dataclasses.replace(self, headers=kept)

    def with_fields(self, **fields: object) -> Call:
        return dataclasses.replace(self, body=(self.body or {}) | fields)

    def with_path(self, path: str) -> Call:
        return dataclasses.replace(self, path=path)

    def with_raw(self, raw: bytes, media_type: str = "application/json") -> Call:
        spoilt = dataclasses.replace(self, body=None, raw=raw)
        return spoilt.with_headers(Content_Type=media_type)


# What a row needs to be asked, the path's parameters among it.
# Path, headers and body of a request.
Prepared: TypeAlias = tuple[str, dict[str, str], Json | None]
Prepare: TypeAlias = Callable[[World], Prepared]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the contract.

    Attributes:
        path: as the contract writes it.
        prepare: makes path, headers and body of a request that succeeds, once.
        codes: the codes of its own, besides those that `who` and its kind bring.
        etag: whether it takes If-Match or gives an ETag.
        no_body: whether it takes no body though its method could have one.
    """

    method: str
    path: str
    who: Who
    status: int
    prepare: Prepare
    codes: frozenset[str] = frozenset()
    etag: bool = False
    no_body: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def call(self, world: World) -> Call:
        path, headers, body = self.prepare(world)
        return Call(self.method, path, headers, body)

    @property
    def missing_code(self) -> str:
        """What there is none of where the path's id is unknown; "" where it names nothing."""
        for kind in ("user", "product", "order", "job", "file"):
            if f"/{kind}s/{{id}}" in self.path:
                return f"{kind.upper()}_NOT_FOUND"
        return ""

    @property
    def takes_body(self) -> bool:
        return self.method in {"POST", "PUT", "PATCH"} and not self.no_body

    @property
    def hops(self) -> bool:
        """Whether the answer needs the tiers behind the edge."""
        return not self.path.startswith(("/health", "/docs", "/openapi", "/.well-known"))

    @property
    def keeps_its_answer(self) -> bool:
        """Whether an edge that has had the answer once goes on giving it."""
        return self.path == "/.well-known/jwks.json"

    def required_codes(self) -> frozenset[str]:
        """Give every code that the contract says this row can answer with."""
        codes = set(self.codes)
        if self.takes_body:
            codes |= BODY_CODES
        if self.who != "all":
            codes |= TOKEN_CODES
        if self.who == "anybody":
            codes.remove("UNAUTHENTICATED")
        if self.who in {"admin", "self or admin"}:
            codes.add("FORBIDDEN")
        if self.missing_code:
            codes |= {self.missing_code, "VALIDATION_FAILED"}
        if self.etag and self.method != "GET":
            codes |= {"PRECONDITION_FAILED", "PRECONDITION_REQUIRED"}
        if self.hops:
            codes |= {"SERVICE_UNAVAILABLE", "DEADLINE_EXCEEDED"}
        if self.path in LISTS:
            codes.add("VALIDATION_FAILED")
        return frozenset(codes)
