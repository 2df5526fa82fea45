"""A sequence of requests to the repository tier that calls every RPC of its contract."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

from tests.fakes.clock import FakeClock
from tests.tier.transports import (
    repository_event_story,
    repository_file_story,
    repository_job_story,
    repository_shop_story,
)
from tests.tier.transports.plans import numbered_id
from tests.tier.transports.transcript import Transcript

PACKAGE = "arcana.repository.v1"

HASH = "scrypt:1024:8:1$salt$" + "ab" * 64
NAME = 'Zoë 日本 \U0001f600 "\\/ %2F'
NOBODY = numbered_id(1, family=0xFFFF)
NOW = int(FakeClock().now().timestamp())
ADA, BOB = numbered_id(1, family=1), numbered_id(2, family=1)
RESET, VERIFICATION = 1, 2

_event_numbers = itertools.count(1)


def tell(transcript: Transcript) -> None:
    """Call every RPC, well and badly."""
    _users(transcript)
    _changes(transcript)
    _sessions(transcript)
    _tokens(transcript)
    _lists(transcript)
    repository_job_story.tell(transcript)
    _ends(transcript)
    repository_shop_story.tell(transcript)
    repository_event_story.tell(transcript)
    repository_file_story.tell(transcript, (_event("file.uploaded") for _ in itertools.count()))


def digest(text: str) -> bytes:
    """Return the digest under which a token is known."""
    return hashlib.sha256(text.encode()).digest()


def _event(event_type: str, user_id: str = ADA) -> dict[str, Any]:
    return {
        "id": numbered_id(next(_event_numbers), family=2),
        "type": event_type,
        "aggregate_type": "user",
        "aggregate_id": user_id,
        "payload": {"status": "active", "name": NAME},
        "occurred_time": {"seconds": NOW, "nanos": 123_456_000},
        "request_id": "r-1",
    }


def _token(number: int, text: str, purpose: int, seconds: int = 3600) -> dict[str, Any]:
    return {
        "id": numbered_id(number, family=3),
        "token_sha256": digest(text),
        "purpose": purpose,
        "expire_time": {"seconds": NOW + seconds},
    }


def _users(transcript: Transcript) -> None:
    call = transcript.call
    ada: dict[str, Any] = {
        "user_id": ADA,
        "email": "Ada@example.org",
        "name": NAME,
        "password_hash": HASH,
        "roles": ["user"],
        "status": 1,
        "verification_token": _token(1, "verify ada", VERIFICATION),
        "events": [_event("user.created")],
        "idempotency_key": {"scope": "s", "key": "k", "fingerprint": digest("one")},
    }
    other_key = {"scope": "s", "key": "k", "fingerprint": digest("other")}
    call("UserRepository/CreateUser", **ada)
    call("UserRepository/CreateUser", **ada)
    call("UserRepository/CreateUser", **ada | {"idempotency_key": other_key})
    bob = {"user_id": BOB, "email": "bob@example.org", "name": "Bob", "password_hash": HASH}
    call(
        "UserRepository/CreateUser", status=1, roles=["user"], **bob | {"email": "ADA@example.org"}
    )
    call("UserRepository/CreateUser", status=99, roles=["emperor"], **bob)
    call("UserRepository/CreateUser")
    call("UserRepository/CreateUser", status=1, roles=["admin", "user"], **bob)
    for user_id in (ADA, NOBODY, "a/b c?d=%20é", ""):
        call("UserRepository/GetUser", user_id=user_id)
    call("UserRepository/BatchGetUsers", user_ids=[ADA, NOBODY, BOB, ADA, "nonsense"])
    call("UserRepository/BatchGetUsers", user_ids=[ADA, BOB], request_ids=["r-1", "r-2"])
    call("UserRepository/BatchGetUsers")
    call("UserRepository/GetCredentials", email="ada@EXAMPLE.org")
    call("UserRepository/GetCredentials", user_id=ADA)
    call("UserRepository/GetCredentials", user_id=NOBODY)
    call("UserRepository/GetCredentials", email="nobody@example.org")
    call("UserRepository/GetCredentials")


def _changes(transcript: Transcript) -> None:
    call = transcript.call
    update = {"user_id": ADA, "events": [_event("user.updated")]}
    call("UserRepository/UpdateUser", name="Ada", expected_version=1, **update)
    call("UserRepository/UpdateUser", name="Ada", expected_version=1, user_id=ADA)
    call("UserRepository/UpdateUser", email="bob@example.org", user_id=ADA)
    call("UserRepository/UpdateUser", email="ada2@example.org", user_id=ADA)
    call("UserRepository/UpdateUser", name="", user_id=ADA)
    call("UserRepository/UpdateUser", user_id=NOBODY, name="x")
    status = {"user_id": BOB, "status": 3, "events": [_event("user.suspended", BOB)]}
    call("UserRepository/UpdateUserStatus", **status)
    call("UserRepository/UpdateUserStatus", user_id=BOB, status=99)
    call("UserRepository/UpdateUserStatus", user_id=BOB)
    call("UserRepository/UpdateUserStatus", user_id=BOB, status=1)
    call("UserRepository/ReplaceUserRoles", user_id=ADA, roles=["premium", "user"])
    call("UserRepository/ReplaceUserRoles", user_id=ADA, roles=["emperor"])
    call("UserRepository/ReplaceUserRoles", user_id=NOBODY, roles=["user"])
    call("UserRepository/GetUserProfile", user_id=ADA)
    call("UserRepository/GetUserProfile", user_id=NOBODY)
    profile = {"user_id": ADA, "bio": NAME, "phone": "+4930123456"}
    call("UserRepository/ReplaceUserProfile", expected_version=0, **profile)
    call("UserRepository/ReplaceUserProfile", expected_version=0, **profile)
    call("UserRepository/ReplaceUserProfile", user_id=ADA)
    call("UserRepository/ReplaceUserProfile", user_id=NOBODY)
    call("UserRepository/GetUserProfile", user_id=ADA)


def _session(number: int, token: str, **fields: Any) -> dict[str, Any]:
    return {
        "session_id": numbered_id(number, family=4),
        "user_id": ADA,
        "expected_credential_version": 1,
        "refresh_token_sha256": digest(token),
        "expire_time": {"seconds": NOW + 3600},
        "client_address": "203.0.113.7",
        "user_agent": f"Test/1 {NAME}",
        **fields,
    }


def _sessions(transcript: Transcript) -> None:
    call = transcript.call
    login = [_event("auth.login_success")]
    call("SessionRepository/CreateSession", **_session(1, "r1", events=login))
    call("SessionRepository/CreateSession", **_session(2, "r2", rehashed_password_hash=HASH))
    call("SessionRepository/CreateSession", **_session(3, "r3"))
    call("SessionRepository/CreateSession", **_session(4, "r4", expected_credential_version=9))
    call("SessionRepository/CreateSession", **_session(5, "r5", user_id=NOBODY))
    call("SessionRepository/CreateSession", session_id="nonsense")
    listed = {"user_id": ADA}
    call("SessionRepository/ListSessions", **listed)
    part = call("SessionRepository/ListSessions", page={"page_size": 2}, **listed)
    cursor = part.page.next_cursor
    call("SessionRepository/ListSessions", page={"page_size": 2, "cursor": cursor}, **listed)
    call("SessionRepository/ListSessions", page={"page_size": 2, "cursor": "nonsense"}, **listed)
    call("SessionRepository/ListSessions", page={"page_size": 2, "page": 1}, **listed)
    call("SessionRepository/ListSessions")
    rotation = {"expire_time": {"seconds": NOW + 7200}}
    pair = {"presented_sha256": digest("r1"), "successor_sha256": digest("r1b")}
    call("SessionRepository/RotateRefreshToken", **pair, **rotation)
    unknown = {"presented_sha256": digest("r9"), "successor_sha256": digest("r9b")}
    call("SessionRepository/RotateRefreshToken", **unknown, **rotation)
    call("SessionRepository/RotateRefreshToken", presented_sha256=b"short")
    first, second = numbered_id(1, family=4), numbered_id(2, family=4)
    call("SessionRepository/GetSession", session_id=first)
    # A used token that comes again ends the session.
    call("SessionRepository/RotateRefreshToken", **pair, **rotation)
    call("SessionRepository/GetSession", session_id=first)
    call("SessionRepository/GetSession", session_id=NOBODY)
    call("SessionRepository/EndSession", user_id=ADA, session_id=second)
    call("SessionRepository/EndSession", user_id=ADA, session_id=second)
    call("SessionRepository/EndSession", user_id=BOB, session_id=numbered_id(3, family=4))
    call("SessionRepository/EndSessionByRefreshToken", refresh_token_sha256=digest("r3"))
    call("SessionRepository/EndSessionByRefreshToken", refresh_token_sha256=digest("none"))
    call("SessionRepository/EndSessionByRefreshToken")
    call("SessionRepository/CreateSession", **_session(6, "r6"))
    call("SessionRepository/EndUserSessions", user_id=ADA)
    call("SessionRepository/EndUserSessions", user_id=NOBODY)
    call("SessionRepository/EndUserSessions")


def _tokens(transcript: Transcript) -> None:
    call = transcript.call
    made = {"user_id": ADA, "events": [_event("auth.password_reset_requested")]}
    call("UserRepository/CreateOneTimeToken", token=_token(2, "reset", RESET), **made)
    call("UserRepository/CreateOneTimeToken", token=_token(3, "x", 99), user_id=ADA)
    call("UserRepository/CreateOneTimeToken", token=_token(4, "x", RESET), user_id=NOBODY)
    call("UserRepository/GetOneTimeToken", token_sha256=digest("reset"), purpose=RESET)
    call("UserRepository/GetOneTimeToken", token_sha256=digest("reset"), purpose=VERIFICATION)
    call("UserRepository/GetOneTimeToken", token_sha256=digest("none"), purpose=RESET)
    call("UserRepository/GetOneTimeToken")
    reset = {"token_sha256": digest("reset"), "password_hash": HASH}
    call("UserRepository/ResetPassword", events=[_event("auth.password_changed")], **reset)
    call("UserRepository/ResetPassword", **reset)
    verify = _token(5, "verify again", VERIFICATION)
    call("UserRepository/CreateOneTimeToken", token=verify, user_id=ADA)
    call("UserRepository/VerifyEmail", token_sha256=digest("verify again"))
    call("UserRepository/VerifyEmail", token_sha256=digest("verify again"))
    replaced = {"user_id": ADA, "password_hash": HASH, "expected_credential_version": 2}
    call("UserRepository/ReplacePassword", **replaced)
    call("UserRepository/ReplacePassword", **replaced)
    call("UserRepository/ReplacePassword", **replaced | {"user_id": NOBODY})
    call("EventRepository/AppendEvents", events=[_event("auth.login_failed")])
    call("EventRepository/AppendEvents", events=[{"type": "x"}])
    call("EventRepository/AppendEvents")


def _lists(transcript: Transcript) -> None:
    call = transcript.call
    for number in range(3, 8):
        call(
            "UserRepository/CreateUser",
            user_id=numbered_id(number, family=1),
            email=f"user{number}@example.org",
            name=f"User {number}",
            password_hash=HASH,
            roles=["user"],
            status=1,
        )
    call("UserRepository/ListUsers")
    listed = {"filter": {"search": "user", "role": "user", "status": 1}, "sort": 4}
    page: dict[str, Any] = {"page_size": 2, "descending": True}
    while True:
        part = call("UserRepository/ListUsers", page=page, **listed)
        if not part.page.next_cursor:
            break
        page["cursor"] = part.page.next_cursor
    call("UserRepository/ListUsers", page={"page_size": 2, "page": 2}, **listed)
    call("UserRepository/ListUsers", page={"cursor": "nonsense"})
    call("UserRepository/ListUsers", sort=99)
    call("UserRepository/ListUsers", filter={"search": NAME[:3], "status": 99})
    call("UserRepository/ListUsers", filter={"created_before_time": {"seconds": NOW}})
    call("UserRepository/ListUsers", filter={"created_after_time": {"seconds": NOW}})
    bucket = {"key": f"login:{NAME}", "limit": 2, "window": {"seconds": 3600}}
    other = {"key": "other", "limit": 10**6, "window": {"seconds": 60}}
    for _ in range(3):
        call("RateLimitRepository/TakeRateLimit", buckets=[bucket, other])
    call("RateLimitRepository/TakeRateLimit", buckets=[bucket | {"limit": -1}])
    call("RateLimitRepository/TakeRateLimit")


def _ends(transcript: Transcript) -> None:
    call = transcript.call
    deleted = {"user_id": ADA, "events": [_event("user.deleted")]}
    call("UserRepository/DeleteUser", expected_version=1, **deleted)
    call("UserRepository/DeleteUser", **deleted)
    call("UserRepository/DeleteUser", user_id=ADA)
    call("UserRepository/DeleteUser", user_id=BOB)
    call("UserRepository/GetUser", user_id=ADA)
    call("SessionRepository/ListAccessChanges", since_time={"seconds": NOW - 60})
    call("SessionRepository/ListAccessChanges", since_time={"seconds": NOW + 60})
    call("SessionRepository/ListAccessChanges", page_token="nonsense")
    call("SessionRepository/ListAccessChanges")
