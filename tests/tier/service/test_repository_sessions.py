"""What the service tier relies on about sessions and tokens: the fake and the real one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.protobuf.duration_pb2 import Duration

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import (
    event_repository_pb2,
    rate_limit_repository_pb2,
    session_repository_pb2,
    user_repository_pb2,
)
from tests.tier.service.contract_requests import (
    OTHER_HASH,
    RESET,
    UNKNOWN,
    VERIFICATION,
    Kept,
    code_of,
    digest,
)
from tier_runtime.errors import AppError


def test_a_replaced_password_ends_other_sessions_and_is_replaced_once(kept: Kept) -> None:
    user = kept.user()
    mine, other = kept.session(user.id, "a"), kept.session(user.id, "b")
    request = user_repository_pb2.ReplacePasswordRequest(
        user_id=user.id,
        expected_credential_version=1,
        password_hash=OTHER_HASH,
        kept_session_id=mine,
    )
    kept.users.ReplacePassword(request)
    credentials = kept.credentials(user.id)
    assert (credentials.password_hash, credentials.credential_version) == (OTHER_HASH, 2)
    assert kept.lives(mine).session.id == mine
    assert code_of(lambda: kept.lives(other)) == "NOT_FOUND"
    assert code_of(lambda: kept.users.ReplacePassword(request)) == "PRECONDITION_FAILED"
    old = kept.session_request(user.id, "c")
    assert code_of(lambda: kept.sessions.CreateSession(old)) == "PRECONDITION_FAILED"


def test_a_reset_token_works_once_and_takes_the_others_with_it(kept: Kept) -> None:
    user = kept.user()
    session_id = kept.session(user.id)
    kept.keep_token(user.id, "one", RESET)
    kept.keep_token(user.id, "two", RESET)
    assert kept.owner("one", RESET) == user.id
    kept.reset("one")
    credentials = kept.credentials(user.id)
    assert (credentials.password_hash, credentials.credential_version) == (OTHER_HASH, 2)
    assert code_of(lambda: kept.lives(session_id)) == "NOT_FOUND"
    assert {code_of(lambda: kept.reset("one")), code_of(lambda: kept.reset("two"))} == {
        "INVALID_TOKEN"
    }


def test_one_time_tokens_are_bound_to_purpose_and_time(kept: Kept) -> None:
    user = kept.user()
    kept.keep_token(user.id, "reset", RESET, 60)
    kept.keep_token(user.id, "verify", VERIFICATION, 60)
    assert code_of(lambda: kept.owner("reset", VERIFICATION)) == "INVALID_TOKEN"
    assert code_of(lambda: kept.verify("reset")) == "INVALID_TOKEN"
    assert code_of(lambda: kept.owner("unknown", RESET)) == "INVALID_TOKEN"
    kept.clock.advance(60)
    late: list[Callable[[], object]] = [
        lambda: kept.owner("reset", RESET),
        lambda: kept.reset("reset"),
        lambda: kept.verify("verify"),
    ]
    assert {code_of(call) for call in late} == {"TOKEN_EXPIRED"}


def test_a_decoy_is_taken_and_allows_nothing(kept: Kept) -> None:
    kept.keep_token("", "decoy", RESET)
    assert code_of(lambda: kept.owner("decoy", RESET)) == "INVALID_TOKEN"
    assert code_of(lambda: kept.reset("decoy")) == "INVALID_TOKEN"


def test_a_session_is_started_once_by_its_id_and_notes_the_sign_in(kept: Kept) -> None:
    user = kept.user()
    request = kept.session_request(user.id)
    request.rehashed_password_hash = OTHER_HASH
    made = kept.sessions.CreateSession(request)
    again = kept.sessions.CreateSession(request)
    assert again.session == made.session
    assert made.session.id == request.session_id
    assert (made.session.client_address, made.session.user_agent) == ("203.0.113.7", "Test/1")
    assert made.user.HasField("last_login_time")
    assert (made.user.version, made.user.updated_time) == (2, user.updated_time)
    assert kept.read(user.id) == made.user
    credentials = kept.credentials(user.id)
    assert (credentials.password_hash, credentials.credential_version) == (OTHER_HASH, 1)


def test_a_rotation_kills_the_token_and_a_dead_one_ends_the_session(kept: Kept) -> None:
    user = kept.user()
    session_id = kept.session(user.id, "one")
    kept.clock.advance(1)
    rotated = kept.rotate("one", "two")
    assert (rotated.session.id, rotated.user.id) == (session_id, user.id)
    assert rotated.session.refreshed_time != rotated.session.created_time
    kept.rotate("two", "three")
    with pytest.raises(AppError, match="TOKEN_REVOKED") as ended:
        kept.rotate("one", "four")
    assert ended.value.metadata == {"user_id": user.id, "session_id": session_id}
    with pytest.raises(AppError, match="TOKEN_REVOKED") as over:
        kept.rotate("three", "five")
    assert over.value.metadata == {}
    assert code_of(lambda: kept.lives(session_id)) == "NOT_FOUND"


def test_refresh_tokens_are_refused_for_what_they_are(kept: Kept) -> None:
    user = kept.user()
    kept.session(user.id, "late", 60)
    assert code_of(lambda: kept.rotate("unknown", "x")) == "INVALID_TOKEN"
    kept.clock.advance(60)
    assert code_of(lambda: kept.rotate("late", "y")) == "TOKEN_EXPIRED"


def test_any_token_of_a_session_ends_it_and_an_unknown_one_is_no_error(kept: Kept) -> None:
    user = kept.user()
    session_id = kept.session(user.id, "one")
    kept.rotate("one", "two")
    for token in ("one", "one", "unknown"):
        kept.sessions.EndSessionByRefreshToken(
            session_repository_pb2.EndSessionByRefreshTokenRequest(
                refresh_token_sha256=digest(token)
            )
        )
    assert code_of(lambda: kept.lives(session_id)) == "NOT_FOUND"
    assert code_of(lambda: kept.rotate("two", "three")) == "TOKEN_REVOKED"


def test_a_session_is_ended_by_its_user_only_and_once(kept: Kept) -> None:
    user, other = kept.user(), kept.user("other@example.org")
    session_id = kept.session(user.id)
    assert code_of(lambda: kept.end(other.id, session_id)) == "NOT_FOUND"
    kept.end(user.id, session_id)
    assert code_of(lambda: kept.end(user.id, session_id)) == "NOT_FOUND"
    assert code_of(lambda: kept.end(user.id, UNKNOWN)) == "NOT_FOUND"


def test_sessions_are_listed_newest_first_while_they_live(kept: Kept) -> None:
    user = kept.user()
    made = []
    for number in range(3):
        kept.clock.advance(1)
        made.append(kept.session(user.id, f"t{number}"))
    kept.clock.advance(1)
    kept.end(user.id, kept.session(user.id, "ended"))
    kept.session(user.id, "short", 5)
    kept.clock.advance(5)
    page = paging_pb2.PageRequest(page_size=2)
    request = session_repository_pb2.ListSessionsRequest(user_id=user.id, page=page)
    first = kept.sessions.ListSessions(request)
    request.page.cursor = first.page.next_cursor
    second = kept.sessions.ListSessions(request)
    found = [one.id for one in (*first.sessions, *second.sessions)]
    assert found == list(reversed(made))
    assert (first.page.total, second.page.next_cursor) == (3, "")


def test_all_sessions_of_a_user_end_together(kept: Kept) -> None:
    user = kept.user()
    ids = {kept.session(user.id, "a"), kept.session(user.id, "b")}
    for _ in range(2):
        kept.sessions.EndUserSessions(
            session_repository_pb2.EndUserSessionsRequest(user_id=user.id)
        )
    changes = kept.changes()
    assert {one.session_id for one in changes.ended_sessions} == ids
    assert changes.next_page_token == ""
    assert changes.read_time == kept.after(0)


def test_the_feed_begins_with_its_time_and_not_before(kept: Kept) -> None:
    user = kept.user()
    kept.end(user.id, kept.session(user.id))
    assert len(kept.changes(0).ended_sessions) == 1
    kept.clock.advance(1)
    assert len(kept.changes(0).ended_sessions) == 0
    without = session_repository_pb2.ListAccessChangesRequest()
    assert code_of(lambda: kept.sessions.ListAccessChanges(without)) == "VALIDATION_FAILED"


def test_events_may_be_appended_twice(kept: Kept) -> None:
    request = event_repository_pb2.AppendEventsRequest(events=[kept.event("auth.login_failed")])
    kept.events.AppendEvents(request)
    kept.events.AppendEvents(request)


def test_an_empty_bucket_refuses_and_the_others_are_charged(kept: Kept) -> None:
    def bucket(key: str, limit: int) -> rate_limit_repository_pb2.RateLimitBucket:
        return rate_limit_repository_pb2.RateLimitBucket(
            key=f"{key}:{suffix}", limit=limit, window=Duration(seconds=3600)
        )

    suffix = kept.new_id()
    request = rate_limit_repository_pb2.TakeRateLimitRequest(
        buckets=[bucket("a", 1), bucket("b", 3)]
    )
    first = kept.rate_limits.TakeRateLimit(request).states
    second = kept.rate_limits.TakeRateLimit(request).states
    assert [(state.allowed, state.remaining) for state in first] == [(True, 0), (True, 2)]
    assert [(state.allowed, state.remaining) for state in second] == [(False, 0), (True, 1)]
    assert second[0].key == f"a:{suffix}"
    assert 0 < second[0].reset_after.seconds <= 3600
