"""How a consumer gets each error code out of a row of the contract."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import requests
from sqlalchemy import text

from tests.stores.waiting import eventually
from tests.system.client import Edge, Json, new_email, new_password
from tests.system.mailbox import as_stored
from tests.system.rows import Call, Row
from tests.system.world import World

MAX_BODY_BYTES = 1_048_576
# Long past for every kind of token.
LONG_AGO = "2001-01-01 00:00:00.000000"


# By the row that was asked, and what it was to answer.
Answers: TypeAlias = dict[tuple[Row, str], requests.Response]


@dataclass(frozen=True, slots=True)
class Edges:
    """Where rows are asked: the usual edge, and one that forgives nothing.

    Attributes:
        strict: an edge of the same system that requires If-Match and allows one call a minute.
        lost: the answers of all rows while the service tier was gone, and while it stood still.
    """

    world: World
    strict: Edge
    lost: Answers


Provocation: TypeAlias = Callable[[Edges, Row], requests.Response]


def _send(edges: Edges, call: Call) -> requests.Response:
    return call.send(edges.world.edge)


def _malformed_body(edges: Edges, row: Row) -> requests.Response:
    return _send(edges, row.call(edges.world).with_raw(b'{"name": "cut o'))


def _unsupported_media_type(edges: Edges, row: Row) -> requests.Response:
    call = row.call(edges.world).with_raw(b"name=Ada", "application/x-www-form-urlencoded")
    return _send(edges, call)


def _body_too_large(edges: Edges, row: Row) -> requests.Response:
    raw = b'{"name": "' + b"x" * MAX_BODY_BYTES + b'"}'
    return _send(edges, row.call(edges.world).with_raw(raw))


def _validation_failed(edges: Edges, row: Row) -> requests.Response:
    call = row.call(edges.world)
    if row.takes_body:
        answer = _send(edges, call.with_fields(surprise=1))
        assert "surprise" in answer.json()["errors"], answer.text
        return answer
    if "{id}" in row.path:
        return _send(edges, call.with_path(row.path.format(id="not-an-id")))
    if "{date}" in row.path:
        return _send(edges, call.with_path(row.path.format(date="not-a-day")))
    if "IDEMPOTENCY_IN_PROGRESS" in row.codes:
        return _send(edges, call.with_headers(Idempotency_Key="k" * 256))
    if row.etag:
        return _send(edges, call.with_headers(If_None_Match="no entity tag"))
    return _send(edges, call.with_path(f"{call.path}?size=101&surprise=1"))


def _unauthenticated(edges: Edges, row: Row) -> requests.Response:
    return _send(edges, row.call(edges.world).without_token())


def _invalid_token(edges: Edges, row: Row) -> requests.Response:
    call = row.call(edges.world)
    if row.who != "all":
        return _send(edges, call.with_token(edges.world.resident.tokens.access + "x"))
    name = "refresh_token" if "refresh_token" in (call.body or {}) else "token"
    return _send(edges, call.with_fields(**{name: secrets.token_urlsafe(48)}))


def _token_expired(edges: Edges, row: Row) -> requests.Response:
    world, call = edges.world, row.call(edges.world)
    if row.who != "all":
        return _send(edges, call.with_token(world.expired(world.resident.tokens)))
    # Time is not ours to wait for; the stored tokens that the call may use are made older.
    table = "refresh_tokens" if "refresh_token" in (call.body or {}) else "one_time_tokens"
    with world.mailbox.database() as database:
        database.execute(text(f"UPDATE {table} SET expire_time = :past"), {"past": LONG_AGO})  # noqa: S608 - one of our two words.
    return _send(edges, call)


def _token_revoked(edges: Edges, row: Row) -> requests.Response:
    world, call = edges.world, row.call(edges.world)
    if row.who != "all":
        call = call.with_token(world.signed_out.tokens.access)
        (answer,) = eventually(lambda: _revoked(_send(edges, call)), 1, "the end of the session")
        return answer
    _send(edges, call)
    return _send(edges, call)


def _revoked(answer: requests.Response) -> list[requests.Response]:
    refused = answer.status_code == 401 and answer.json()["code"] == "TOKEN_REVOKED"
    return [answer] if refused else []


def _invalid_credentials(edges: Edges, row: Row) -> requests.Response:
    call = row.call(edges.world)
    name = "password" if "password" in (call.body or {}) else "current_password"
    return _send(edges, call.with_fields(**{name: new_password()}))


def _account_not_active(edges: Edges, row: Row) -> requests.Response:
    """Suspend somebody without ending their sessions, which only the database allows."""
    world, account = edges.world, edges.world.newcomer()
    with world.mailbox.database() as database:
        database.execute(
            text("UPDATE users SET status = 'suspended' WHERE id = :id"),
            {"id": as_stored(account.id)},
        )
    bodies = {
        "/auth/login": {"email": account.email, "password": account.password},
        "/auth/refresh": {"refresh_token": account.tokens.refresh},
    }
    return world.edge.post(row.path, bodies[row.path])


def _forbidden(edges: Edges, row: Row) -> requests.Response:
    return _send(edges, row.call(edges.world).with_token(edges.world.newcomer().tokens.access))


def _missing(edges: Edges, row: Row) -> requests.Response:
    """Ask as an admin, to whom nothing is hidden, about something that there is not."""
    world = edges.world
    call, unknown = row.call(world), f"{uuid.uuid4()}"[:14] + "7" + f"{uuid.uuid4()}"[15:]
    if row.path == "/orders":
        return _send(edges, call.with_fields(items=[{"product_id": unknown, "quantity": 1}]))
    call = call.with_token(world.admin.tokens.access)
    return _send(edges, call.with_path(row.path.format(id=unknown)))


def _not_found(edges: Edges, row: Row) -> requests.Response:
    """Ask for a session that is somebody else's, or a report that nobody has made."""
    if "{date}" in row.path:
        return _send(edges, row.call(edges.world).with_path(row.path.format(date="2001-01-01")))
    other = edges.world.newcomer()
    theirs = edges.world.edge.get("/auth/sessions", headers=other.bearer).json()["data"][0]["id"]
    return _send(edges, row.call(edges.world).with_path(row.path.format(id=theirs)))


def _email_exists(edges: Edges, row: Row) -> requests.Response:
    taken = edges.world.resident.email.upper()
    return _send(edges, row.call(edges.world).with_fields(email=taken))


def _insufficient_stock(edges: Edges, row: Row) -> requests.Response:
    """Ask for one unit more than there is, and look whether it is told what there is."""
    call = row.call(edges.world)
    if row.path == "/orders":
        product_id = (call.body or {})["items"][1]["product_id"]
        lines = [{"product_id": product_id, "quantity": n} for n in (9, 2)]
        call, fields = call.with_fields(items=lines), {"items.0.quantity", "items.1.quantity"}
    else:
        call, fields = call.with_fields(quantity_change=-11), {"quantity_change"}
        product_id = call.path.split("/")[2]
    answer = _send(edges, call)
    errors = answer.json()["errors"]
    assert errors.keys() == fields, answer.text
    for [message] in errors.values():
        assert product_id in message
        assert "10 available" in message
    return answer


def _invalid_state(edges: Edges, row: Row) -> requests.Response:
    if row.missing_code in {"ORDER_NOT_FOUND", "JOB_NOT_FOUND"}:
        return _out_of_step(edges, row)
    return _without_admin(edges, row)


def _out_of_step(edges: Edges, row: Row) -> requests.Response:
    """Do with an order or a job what has just been done, which was the next thing only once."""
    call = row.call(edges.world)
    assert _send(edges, call).status_code == row.status
    return _send(edges, call)


def _without_admin(edges: Edges, row: Row) -> requests.Response:
    """Take the only admin away."""
    call = row.call(edges.world).with_path(row.path.format(id=edges.world.admin.id))
    if row.path.endswith("/roles"):
        call = call.with_fields(roles=["user"])
    return _send(edges, call)


def _idempotency_key_reused(edges: Edges, row: Row) -> requests.Response:
    call = row.call(edges.world).with_headers(Idempotency_Key=secrets.token_hex(8))
    assert _send(edges, call).status_code == row.status
    return _send(edges, call.with_fields(**_another(call.body or {})))


def _another(body: Json) -> Json:
    """Give the fields that make another request of this one, as good as it."""
    for name in ("changes", "items"):
        if name in body:
            return {name: body[name][:1]}
    if "date" in body:
        return {"date": "2026-11-19"}
    if "subject" in body:
        return {"subject": "We stay"}
    if "quantity_change" in body:
        return {"quantity_change": body["quantity_change"] + 1}
    return {"name": "Another"} if "price" in body else {"email": new_email()}


def _precondition_failed(edges: Edges, row: Row) -> requests.Response:
    return _send(edges, row.call(edges.world).with_headers(If_Match='"v987654"'))


def _precondition_required(edges: Edges, row: Row) -> requests.Response:
    return row.call(edges.world).send(edges.strict)


def _rate_limited(edges: Edges, row: Row) -> requests.Response:
    call = row.call(edges.world)
    answer = call.send(edges.strict)
    for _ in range(3):
        if answer.status_code == 429:
            break
        answer = call.send(edges.strict)
    assert answer.headers["RateLimit-Policy"]
    assert answer.headers["RateLimit"]
    return answer


def _while_lost(code: str) -> Provocation:
    return lambda edges, row: edges.lost[row, code]


PROVOCATIONS: dict[str, Provocation] = {
    "MALFORMED_BODY": _malformed_body,
    "UNSUPPORTED_MEDIA_TYPE": _unsupported_media_type,
    "BODY_TOO_LARGE": _body_too_large,
    "VALIDATION_FAILED": _validation_failed,
    "UNAUTHENTICATED": _unauthenticated,
    "INVALID_TOKEN": _invalid_token,
    "TOKEN_EXPIRED": _token_expired,
    "TOKEN_REVOKED": _token_revoked,
    "INVALID_CREDENTIALS": _invalid_credentials,
    "ACCOUNT_NOT_ACTIVE": _account_not_active,
    "FORBIDDEN": _forbidden,
    "USER_NOT_FOUND": _missing,
    "PRODUCT_NOT_FOUND": _missing,
    "ORDER_NOT_FOUND": _missing,
    "JOB_NOT_FOUND": _missing,
    "FILE_NOT_FOUND": _missing,
    "NOT_FOUND": _not_found,
    "EMAIL_EXISTS": _email_exists,
    "INVALID_STATE": _invalid_state,
    "INSUFFICIENT_STOCK": _insufficient_stock,
    "IDEMPOTENCY_KEY_REUSED": _idempotency_key_reused,
    "PRECONDITION_FAILED": _precondition_failed,
    "PRECONDITION_REQUIRED": _precondition_required,
    "RATE_LIMITED": _rate_limited,
    "SERVICE_UNAVAILABLE": _while_lost("SERVICE_UNAVAILABLE"),
    "DEADLINE_EXCEEDED": _while_lost("DEADLINE_EXCEEDED"),
}
