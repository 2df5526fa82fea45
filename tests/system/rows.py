"""The rows of the edge's contract that this version serves, each with a request that succeeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import requests

from tests.system.client import Edge, Json, new_email, new_password
from tests.system.world import World

Who: TypeAlias = Literal["all", "signed in", "self or admin", "admin"]

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
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "EMAIL_EXISTS": 409,
    "INVALID_STATE": 409,
    "IDEMPOTENCY_IN_PROGRESS": 409,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "PRECONDITION_FAILED": 412,
    "PRECONDITION_REQUIRED": 428,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
    "SERVICE_UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
BODY_CODES = frozenset(
    {"MALFORMED_BODY", "UNSUPPORTED_MEDIA_TYPE", "BODY_TOO_LARGE", "VALIDATION_FAILED"}
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
Prepare: TypeAlias = Callable[[World], tuple[str, dict[str, str], Json | None]]


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
    def about_a_user(self) -> bool:
        return "/users/{id}" in self.path

    @property
    def takes_body(self) -> bool:
        return self.method in {"POST", "PUT", "PATCH"} and not self.no_body

    @property
    def hops(self) -> bool:
        """Whether the answer needs the tiers behind the edge."""
        return not self.path.startswith(("/health", "/docs", "/openapi", "/.well-known"))

    def required_codes(self) -> frozenset[str]:
        """Give every code that the contract says this row can answer with."""
        codes = set(self.codes)
        if self.takes_body:
            codes |= BODY_CODES
        if self.who != "all":
            codes |= TOKEN_CODES
        if self.who in {"admin", "self or admin"}:
            codes.add("FORBIDDEN")
        if self.about_a_user:
            codes |= {"USER_NOT_FOUND", "VALIDATION_FAILED"}
        if self.etag and self.method != "GET":
            codes |= {"PRECONDITION_FAILED", "PRECONDITION_REQUIRED"}
        if self.hops:
            codes |= {"SERVICE_UNAVAILABLE", "DEADLINE_EXCEEDED"}
        if self.path in {"/users", "/auth/sessions"}:
            codes.add("VALIDATION_FAILED")
        return frozenset(codes)


def _public(path: str, body: Json | None = None) -> Prepare:
    return lambda world: (path, {}, body)


def _resident(path: str) -> Prepare:
    return lambda world: (path.format(id=world.resident.id), world.resident.bearer, None)


def _newcomer(path: str, body: Json | None = None) -> Prepare:
    def prepare(world: World) -> tuple[str, dict[str, str], Json | None]:
        account = world.newcomer()
        return path.format(id=account.id), account.bearer, body

    return prepare


def _admin(path: str, body: Json | None = None) -> Prepare:
    """Ask as the admin, about somebody new where the path names a user."""

    def prepare(world: World) -> tuple[str, dict[str, str], Json | None]:
        user_id = world.newcomer().id if "{id}" in path else ""
        return path.format(id=user_id), world.admin.bearer, body

    return prepare


def _create(path: str) -> Prepare:
    def prepare(world: World) -> tuple[str, dict[str, str], Json | None]:
        headers = world.admin.bearer if path == "/users" else {}
        body = {"name": "Ada", "email": new_email(), "password": new_password()}
        return path, headers, body

    return prepare


def _login(world: World) -> tuple[str, dict[str, str], Json | None]:
    body = {"email": world.resident.email, "password": world.resident.password}
    return "/auth/login", {}, body


def _with_refresh_token(path: str) -> Prepare:
    return lambda world: (path, {}, {"refresh_token": world.newcomer().tokens.refresh})


def _change_password(path: str) -> Prepare:
    def prepare(world: World) -> tuple[str, dict[str, str], Json | None]:
        account = world.newcomer()
        body = {"current_password": account.password, "new_password": new_password()}
        return path, account.bearer, body

    return prepare


def _reset(world: World) -> tuple[str, dict[str, str], Json | None]:
    return "/auth/password-reset", {}, {"email": world.resident.email}


def _confirm_reset(world: World) -> tuple[str, dict[str, str], Json | None]:
    account = world.newcomer()
    world.edge.post("/auth/password-reset", {"email": account.email})
    body = {"token": world.mailbox.reset_token(account.id), "new_password": new_password()}
    return "/auth/password-reset/confirm", {}, body


def _verify(world: World) -> tuple[str, dict[str, str], Json | None]:
    token = world.mailbox.verification_token(world.newcomer().id)
    return "/auth/verify-email", {}, {"token": token}


def _end_session(world: World) -> tuple[str, dict[str, str], Json | None]:
    account = world.newcomer()
    world.edge.sign_in(account.email, account.password)
    sessions = world.edge.get("/auth/sessions", headers=account.bearer).json()["data"]
    return f"/auth/sessions/{sessions[0]['id']}", account.bearer, None


PROFILE: Json = {
    "avatar_url": "https://people.example/ada.png",
    "bio": "Wrote the first program.",
    "phone": "+4915112345678",
}


def _put_user(world: World) -> tuple[str, dict[str, str], Json | None]:
    account = world.newcomer()
    return f"/users/{account.id}", account.bearer, {"name": "Ada King", "email": new_email()}


_MAKES = frozenset({"EMAIL_EXISTS", "IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_KEY_REUSED"})
_LIMITED = frozenset({"RATE_LIMITED"})
_MAILED = frozenset({"INVALID_TOKEN", "TOKEN_EXPIRED"})
_REFRESHES = frozenset({"INVALID_TOKEN", "TOKEN_EXPIRED", "TOKEN_REVOKED"})
_SIGNS_IN = frozenset({"INVALID_CREDENTIALS", "ACCOUNT_NOT_ACTIVE"})
_CHECKS_PASSWORD = frozenset({"INVALID_CREDENTIALS"})
_RENAMES = frozenset({"EMAIL_EXISTS"})
_GUARDS_ADMINS = frozenset({"INVALID_STATE"})

ROWS: tuple[Row, ...] = (
    Row("POST", "/auth/register", "all", 201, _create("/auth/register"), _MAKES | _LIMITED),
    Row("POST", "/auth/login", "all", 200, _login, _SIGNS_IN | _LIMITED),
    Row(
        "POST",
        "/auth/refresh",
        "all",
        200,
        _with_refresh_token("/auth/refresh"),
        _REFRESHES | _LIMITED,
    ),
    Row("POST", "/auth/logout", "all", 204, _with_refresh_token("/auth/logout")),
    Row("POST", "/auth/logout-all", "signed in", 204, _newcomer("/auth/logout-all"), no_body=True),
    Row(
        "POST",
        "/auth/change-password",
        "signed in",
        204,
        _change_password("/auth/change-password"),
        _CHECKS_PASSWORD,
    ),
    Row("POST", "/auth/password-reset", "all", 202, _reset, _LIMITED),
    Row("POST", "/auth/password-reset/confirm", "all", 204, _confirm_reset, _MAILED),
    Row("POST", "/auth/verify-email", "all", 204, _verify, _MAILED),
    Row(
        "POST",
        "/auth/verify-email/resend",
        "signed in",
        202,
        _newcomer("/auth/verify-email/resend"),
        _LIMITED,
        no_body=True,
    ),
    Row("GET", "/auth/me", "signed in", 200, _resident("/auth/me"), etag=True),
    Row("GET", "/auth/sessions", "signed in", 200, _resident("/auth/sessions")),
    Row(
        "DELETE",
        "/auth/sessions/{id}",
        "signed in",
        204,
        _end_session,
        frozenset({"NOT_FOUND"}),
    ),
    Row("GET", "/.well-known/jwks.json", "all", 200, _public("/.well-known/jwks.json")),
    Row("GET", "/users", "admin", 200, _admin("/users")),
    Row("POST", "/users", "admin", 201, _create("/users"), _MAKES),
    Row("GET", "/users/{id}", "self or admin", 200, _resident("/users/{id}"), etag=True),
    Row("GET", "/users/me", "signed in", 200, _resident("/users/me"), etag=True),
    Row("PUT", "/users/{id}", "self or admin", 200, _put_user, _RENAMES, etag=True),
    Row(
        "PATCH",
        "/users/{id}",
        "self or admin",
        200,
        _newcomer("/users/{id}", {"name": "Countess"}),
        _RENAMES,
        etag=True,
    ),
    Row(
        "PATCH",
        "/users/{id}/status",
        "admin",
        200,
        _admin("/users/{id}/status", {"status": "inactive"}),
        _GUARDS_ADMINS,
        etag=True,
    ),
    Row(
        "PUT",
        "/users/{id}/roles",
        "admin",
        200,
        _admin("/users/{id}/roles", {"roles": ["user", "premium"]}),
        _GUARDS_ADMINS,
        etag=True,
    ),
    Row("DELETE", "/users/{id}", "admin", 204, _admin("/users/{id}"), _GUARDS_ADMINS, etag=True),
    Row(
        "GET",
        "/users/{id}/profile",
        "self or admin",
        200,
        _resident("/users/{id}/profile"),
        etag=True,
    ),
    Row(
        "PUT",
        "/users/{id}/profile",
        "self or admin",
        200,
        _newcomer("/users/{id}/profile", PROFILE),
        etag=True,
    ),
    Row("GET", "/settings/account-info", "signed in", 200, _resident("/settings/account-info")),
    Row(
        "POST",
        "/settings/change-password",
        "signed in",
        204,
        _change_password("/settings/change-password"),
        _CHECKS_PASSWORD,
    ),
    Row("GET", "/health", "all", 200, _public("/health")),
    Row("GET", "/health/live", "all", 200, _public("/health/live")),
    Row("GET", "/health/ready", "all", 200, _public("/health/ready")),
    Row("GET", "/docs", "all", 200, _public("/docs")),
    Row("GET", "/openapi.json", "all", 200, _public("/openapi.json")),
)
