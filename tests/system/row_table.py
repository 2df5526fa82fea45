"""The rows of the edge's contract that this version serves, each with a request that succeeds."""

from __future__ import annotations

from tests.system.client import Json, new_email, new_password
from tests.system.file_rows import FILE_ROWS
from tests.system.job_rows import JOB_ROWS
from tests.system.rows import Prepare, Row
from tests.system.shop_rows import SHOP_ROWS
from tests.system.world import World


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
    *SHOP_ROWS,
    *JOB_ROWS,
    *FILE_ROWS,
    Row(
        "GET",
        "/settings/account-info",
        "signed in",
        200,
        _resident("/settings/account-info"),
        etag=True,
    ),
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
