"""A sequence of requests to the service tier that calls every RPC of `arcana.service.v1`."""

from __future__ import annotations

from typing import Any

from tests.system.mailbox import Mailbox
from tests.tier.transports import file_story, job_story, shop_story
from tests.tier.transports.plans import numbered_id
from tests.tier.transports.transcript import Transcript
from tier_runtime.call import Actor

PACKAGE = "arcana.service.v1"

SYSTEM = Actor("system", frozenset({"admin"}))
PASSWORD = "Quiet-River-42-Stones"
OTHER_PASSWORD = "Loud-Mountain-77-Trees"
NAME = 'Zoë 日本 \U0001f600 "\\/ %2F'
NOBODY = numbered_id(1, family=0xFFFF)


def tell(transcript: Transcript, mailbox: Mailbox) -> None:
    """Call every RPC, well and badly."""
    ada = _registration(transcript, mailbox)
    session = _sessions(transcript, ada)
    _passwords(transcript, mailbox, ada, session)
    _accounts(transcript, ada)
    _lists(transcript, ada)
    shop_story.tell(transcript, Actor(ada, frozenset({"user"})))
    job_story.tell(transcript, Actor(ada, frozenset({"user"})))
    _events(transcript, ada)
    file_story.tell(transcript, Actor(ada, frozenset({"user"})))
    _ends(transcript, ada)


def _registration(transcript: Transcript, mailbox: Mailbox) -> str:
    call = transcript.call
    account = {"email": "Ada@example.org", "name": NAME, "password": PASSWORD}
    ada: str = call("AuthService/Register", request_id="key-1", **account).user.id
    call("AuthService/Register", request_id="key-1", **account)
    call("AuthService/Register", request_id="key-1", **account | {"name": "Other"})
    call("AuthService/Register", **account | {"email": "ada@EXAMPLE.org"})
    call("AuthService/Register", email="nobody", password="short")
    call("AuthService/Register")
    call("AuthService/VerifyEmail", token="x")
    token = mailbox.verification_token(ada)
    call("AuthService/VerifyEmail", token=token)
    call("AuthService/VerifyEmail", token=token)
    call("AuthService/GetJwks")
    return ada


def _sessions(transcript: Transcript, ada: str) -> Actor:
    call = transcript.call
    login = {"email": "ada@example.org", "password": PASSWORD, "client_address": "203.0.113.7"}
    call("AuthService/Login", **login | {"password": "wrong"})
    call("AuthService/Login")
    first = call("AuthService/Login", user_agent=f"Test/1 {NAME}", **login).tokens
    call("AuthService/Login", **login)
    actor = Actor(ada, frozenset({"user"}))
    call("AuthService/ListSessions")
    sessions = call("AuthService/ListSessions", actor).sessions
    first_page = call("AuthService/ListSessions", actor, page={"page_size": 1})
    cursor = first_page.page.next_cursor
    call("AuthService/ListSessions", actor, page={"page_size": 1, "cursor": cursor})
    call("AuthService/ListSessions", actor, page={"page_size": 1, "cursor": "nonsense"})
    second = call("AuthService/RefreshSession", refresh_token=first.refresh_token).tokens
    call("AuthService/RefreshSession", refresh_token="nonsense")
    for session in sessions:
        call("AuthService/CheckSession", SYSTEM, session_id=session.id)
    call("AuthService/CheckSession", SYSTEM, session_id=NOBODY)
    call("AuthService/CheckSession", SYSTEM)
    # What was used once ends the session when it is used again.
    call("AuthService/RefreshSession", refresh_token=first.refresh_token)
    call("AuthService/RefreshSession", refresh_token=second.refresh_token)
    call("AuthService/Logout", refresh_token=second.refresh_token)
    call("AuthService/Logout")
    (left,) = call("AuthService/ListSessions", actor).sessions
    call("AuthService/EndSession", actor, session_id=NOBODY)
    call("AuthService/EndSession", actor)
    call("AuthService/EndSession", actor, session_id=left.id)
    call("AuthService/ListSessions", actor)
    call("AuthService/Login", **login)
    (own,) = call("AuthService/ListSessions", actor).sessions
    return Actor(ada, frozenset({"user"}), own.id)


def _passwords(transcript: Transcript, mailbox: Mailbox, ada: str, actor: Actor) -> None:
    call = transcript.call
    change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    call("AuthService/ChangePassword", **change)
    call("AuthService/ChangePassword", actor, **change | {"current_password": "wrong"})
    call("AuthService/ChangePassword", actor, **change | {"new_password": "short"})
    call("AuthService/ChangePassword", actor, **change)
    call("AuthService/RequestPasswordReset", email="nobody@example.org")
    call("AuthService/RequestPasswordReset")
    call("AuthService/RequestPasswordReset", email="ada@example.org")
    token = mailbox.reset_token(ada)
    call("AuthService/ConfirmPasswordReset", token=token, new_password="short")
    call("AuthService/ConfirmPasswordReset", token=token, new_password=PASSWORD)
    call("AuthService/ConfirmPasswordReset", token=token, new_password=PASSWORD)
    call("AuthService/ResendVerification", actor)
    call("AuthService/ResendVerification")


def _accounts(transcript: Transcript, ada: str) -> None:
    call = transcript.call
    actor, stranger = Actor(ada, frozenset({"user"})), Actor(NOBODY, frozenset({"user"}))
    account = {"email": "bob@example.org", "name": "Bob", "password": PASSWORD}
    call("UserService/CreateUser", actor, **account)
    call("UserService/CreateUser", SYSTEM, roles=["emperor"], **account)
    bob = call("UserService/CreateUser", SYSTEM, request_id="key-2", roles=["premium"], **account)
    call("UserService/CreateUser", SYSTEM, request_id="key-2", roles=["premium"], **account)
    call("AuthService/ResendVerification", Actor(bob.user.id, frozenset({"user"})))
    for asking in (actor, SYSTEM, stranger, None):
        call("UserService/GetUser", asking, user_id=ada)
    call("UserService/GetUser", SYSTEM, user_id=NOBODY)
    call("UserService/GetUser", SYSTEM, user_id="a/b c?d=%20é")
    call("UserService/GetUser", SYSTEM)
    admin = {"subject": "system", "roles": ["admin"]}
    wanted: list[dict[str, Any]] = [
        {"actor": admin, "user_id": ada},
        {"actor": admin, "user_id": NOBODY},
        {"actor": {"subject": bob.user.id, "roles": ["user"]}, "user_id": ada},
        {"user_id": ada},
        {"actor": admin, "user_id": bob.user.id},
        {"actor": admin, "user_id": bob.user.id},
    ]
    call("UserService/BatchGetUsers", items=wanted)
    call("UserService/BatchGetUsers")
    version = call("UserService/UpdateUser", actor, user_id=ada, name="Ada").user.version
    call("UserService/UpdateUser", actor, user_id=ada, expected_version=version, name="")
    call("UserService/UpdateUser", actor, user_id=ada, expected_version=version, email="a@b.org")
    call("UserService/UpdateUser", actor, user_id=ada, expected_version=version, name=NAME)
    call("UserService/UpdateUser", actor, user_id=ada, email="bob@example.org")
    call("UserService/UpdateUser", stranger, user_id=ada, name="Mallory")
    status = {"user_id": bob.user.id, "status": 3}
    call("UserService/UpdateUserStatus", actor, **status)
    call("UserService/UpdateUserStatus", SYSTEM, **status | {"status": 0})
    call("UserService/UpdateUserStatus", SYSTEM, **status | {"status": 99})
    call("UserService/UpdateUserStatus", SYSTEM, **status)
    replaced = {"user_id": bob.user.id, "roles": ["user", "admin"]}
    call("UserService/ReplaceUserRoles", actor, **replaced)
    call("UserService/ReplaceUserRoles", SYSTEM, **replaced | {"roles": []})
    call("UserService/ReplaceUserRoles", SYSTEM, **replaced)
    call("UserService/GetUserProfile", actor, user_id=ada)
    profile = {"user_id": ada, "bio": NAME, "avatar_url": "https://example.org/a?b=c&d"}
    call("UserService/ReplaceUserProfile", actor, expected_version=0, **profile)
    call("UserService/ReplaceUserProfile", actor, expected_version=0, **profile)
    call("UserService/ReplaceUserProfile", actor, **profile | {"phone": "+4930123456"})
    call("UserService/ReplaceUserProfile", actor, **profile | {"avatar_url": "javascript:x"})
    call("UserService/ReplaceUserProfile", stranger, **profile)
    call("UserService/GetUserProfile", SYSTEM, user_id=ada)
    call("UserService/GetUserProfile", SYSTEM, user_id=NOBODY)


def _lists(transcript: Transcript, ada: str) -> None:
    call = transcript.call
    for number in range(5):
        account = {"email": f"user{number}@example.org", "name": f"User {number}"}
        call("UserService/CreateUser", SYSTEM, password=PASSWORD, **account)
    call("UserService/ListUsers", Actor(ada, frozenset({"user"})))
    call("UserService/ListUsers", SYSTEM)
    listed = {"filter": {"search": "user", "role": "user", "status": 1}, "sort": 4}
    page: dict[str, Any] = {"page_size": 2, "descending": True}
    while True:
        part = call("UserService/ListUsers", SYSTEM, page=page, **listed)
        if not part.page.next_cursor:
            break
        page["cursor"] = part.page.next_cursor
    call("UserService/ListUsers", SYSTEM, page={"page_size": 2, "page": 2}, **listed)
    call("UserService/ListUsers", SYSTEM, page={"page_size": 2, "cursor": "nonsense"})
    call("UserService/ListUsers", SYSTEM, sort=99)
    call("UserService/ListUsers", SYSTEM, filter={"search": NAME[:3]})
    call("UserService/ListUsers", SYSTEM, filter={"created_before_time": {"seconds": 1}})
    call("UserService/ListUsers", SYSTEM, filter={"created_after_time": {"nanos": 1000}})
    call("UserService/StreamUsers", SYSTEM)
    call("UserService/StreamUsers", SYSTEM, filter={"search": "user1@"})
    call("UserService/StreamUsers", SYSTEM, filter={"status": 99})
    call("UserService/StreamUsers", Actor(ada, frozenset({"user"})))
    bucket = {"key": f"login:{NAME}", "limit": 2, "window": {"seconds": 3600}}
    other = {"key": "other", "limit": 10**6, "window": {"seconds": 60}}
    for _ in range(3):
        call("RateLimitService/TakeRateLimit", buckets=[bucket, other])
    call("RateLimitService/TakeRateLimit", buckets=[bucket | {"limit": -1}])
    call("RateLimitService/TakeRateLimit")


def _events(transcript: Transcript, ada: str) -> None:
    call = transcript.call
    call("EventService/StreamEvents", Actor(ada, frozenset({"user"})))
    call("EventService/StreamEvents")
    # A stream has no end of its own.
    transcript.seconds, usual = 1.5, transcript.seconds
    call("EventService/StreamEvents", SYSTEM, types=["none.of_this"])
    call("EventService/StreamEvents", SYSTEM, types=["None of this"])
    transcript.seconds = usual


def _ends(transcript: Transcript, ada: str) -> None:
    call = transcript.call
    actor = Actor(ada, frozenset({"user"}))
    call("AuthService/Login", email="ada@example.org", password=PASSWORD)
    call("AuthService/Login", email="bob@example.org", password=PASSWORD)
    call("AuthService/LogoutAll")
    call("AuthService/LogoutAll", actor)
    changes = call("AuthService/ListAccessChanges", SYSTEM)
    call("AuthService/ListAccessChanges", SYSTEM, since_time=changes.next_since_time)
    call("AuthService/ListAccessChanges", SYSTEM, page_token="nonsense")
    call("UserService/DeleteUser", Actor(NOBODY, frozenset({"user"})), user_id=ada)
    call("UserService/DeleteUser", SYSTEM, user_id=ada, expected_version=1)
    call("UserService/DeleteUser", SYSTEM, user_id=ada)
    call("UserService/DeleteUser", SYSTEM, user_id=ada)
    call("UserService/GetUser", SYSTEM, user_id=ada)
    call("AuthService/Login", email="ada@example.org", password=PASSWORD)
