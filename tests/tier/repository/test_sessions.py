from __future__ import annotations

import pytest
from sqlalchemy import select, update

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import session_repository_pb2 as messages
from arcana.repository.v1 import user_pb2, user_repository_pb2
from repository_tier.tables import outbox_events, refresh_tokens, sessions, users
from tests.fakes.clock import FakeClock
from tests.tier.repository.requests import HASH, Requests, sha256
from tests.tier.repository.running_tier import (
    RunningTier,
    all_at_once,
    bad_fields,
    failure,
    outcomes,
)
from tier_runtime.errors import Kind
from tier_runtime.timestamps import timestamp_from

INVALID_TOKEN = (Kind.UNAUTHENTICATED, "INVALID_TOKEN")
REVOKED = (Kind.UNAUTHENTICATED, "TOKEN_REVOKED")
NOT_FOUND = (Kind.MISSING, "NOT_FOUND")


@pytest.fixture
def user(tier: RunningTier, make: Requests) -> user_pb2.User:
    return tier.users.CreateUser(make.user()).user


def is_living(tier: RunningTier, session_id: str) -> bool:
    (row,) = tier.rows(select(sessions).where(sessions.c.id == session_id))
    return row["ended_time"] is None


def test_a_sign_in_is_noted_with_the_user(
    tier: RunningTier, make: Requests, user: user_pb2.User, clock: FakeClock
) -> None:
    clock.advance(60)
    request = make.session(user.id, events=[make.event()])
    made = tier.sessions.CreateSession(request)
    assert made.session == messages.Session(
        id=request.session_id,
        user_id=user.id,
        created_time=timestamp_from(clock.now()),
        refreshed_time=timestamp_from(clock.now()),
        expire_time=request.expire_time,
        client_address="192.0.2.7",
        user_agent="a browser",
    )
    assert (made.user.version, made.user.last_login_time) == (2, timestamp_from(clock.now()))
    assert made.user.updated_time == user.updated_time
    get = user_repository_pb2.GetUserRequest(user_id=user.id)
    assert tier.users.GetUser(get).user == made.user
    assert len(tier.rows(select(outbox_events))) == 1


def test_the_same_session_again_is_the_one_that_was_made(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    request = make.session(user.id, events=[make.event()])
    assert tier.sessions.CreateSession(request) == tier.sessions.CreateSession(request)
    assert len(tier.rows(select(outbox_events))) == 1


def test_a_session_id_that_is_taken_is_refused(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    exists = (Kind.EXISTS, "ALREADY_EXISTS")
    # What MySQL says of a duplicate holds the value, with whatever quotes are in it.
    first = make.session(user.id, refresh_token_sha256=b"'\"\\`" * 8)
    tier.sessions.CreateSession(first)
    other_token = make.session(user.id, session_id=first.session_id)
    assert failure(tier.sessions.CreateSession, other_token) == exists
    other = tier.users.CreateUser(make.user()).user
    assert (
        failure(
            tier.sessions.CreateSession,
            make.session(
                other.id,
                session_id=first.session_id,
                refresh_token_sha256=first.refresh_token_sha256,
            ),
        )
        == exists
    )
    same_token = make.session(user.id, refresh_token_sha256=first.refresh_token_sha256)
    assert failure(tier.sessions.CreateSession, same_token) == exists
    assert len(tier.rows(select(sessions))) == 1


@pytest.mark.usefixtures("warm_tier")
def test_of_users_who_race_for_one_session_id_one_gets_it(
    tier: RunningTier, make: Requests
) -> None:
    session_id = make.new_id()
    users_ids = [tier.users.CreateUser(make.user()).user.id for _ in range(12)]
    answers = all_at_once(
        12,
        lambda number: tier.sessions.CreateSession(
            make.session(users_ids[number], session_id=session_id)
        ),
    )
    assert outcomes(answers) == {"OK": 1, "ALREADY_EXISTS": 11}
    assert len(tier.rows(select(refresh_tokens))) == 1


def test_credentials_that_changed_since_the_check_make_no_session(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    change = user_repository_pb2.ReplacePasswordRequest(
        user_id=user.id, expected_credential_version=1, password_hash=HASH
    )
    tier.users.ReplacePassword(change)
    stale = (Kind.STALE, "PRECONDITION_FAILED")
    assert failure(tier.sessions.CreateSession, make.session(user.id)) == stale
    tier.sessions.CreateSession(make.session(user.id, expected_credential_version=2))


@pytest.mark.parametrize("status", [user_pb2.USER_STATUS_INACTIVE, user_pb2.USER_STATUS_SUSPENDED])
def test_who_is_not_active_gets_no_session(
    tier: RunningTier, make: Requests, status: user_pb2.UserStatus.ValueType
) -> None:
    user = tier.users.CreateUser(make.user(status=status)).user
    refused = (Kind.FORBIDDEN, "ACCOUNT_NOT_ACTIVE")
    assert failure(tier.sessions.CreateSession, make.session(user.id)) == refused


def test_an_unknown_user_gets_no_session(tier: RunningTier, make: Requests) -> None:
    missing = (Kind.MISSING, "USER_NOT_FOUND")
    assert failure(tier.sessions.CreateSession, make.session(make.new_id())) == missing


def test_a_rehashed_password_takes_the_old_ones_place(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    newer = HASH.replace("1024", "2048")
    tier.sessions.CreateSession(make.session(user.id, rehashed_password_hash=newer))
    owner = user_repository_pb2.GetCredentialsRequest(user_id=user.id)
    credentials = tier.users.GetCredentials(owner).credentials
    assert (credentials.password_hash, credentials.credential_version) == (newer, 1)


def test_a_refresh_token_is_traded_for_its_successor(
    tier: RunningTier, make: Requests, user: user_pb2.User, clock: FakeClock
) -> None:
    made = tier.sessions.CreateSession(make.session(user.id, "first"))
    clock.advance(60)
    rotation = make.rotation("first", "second")
    rotated = tier.sessions.RotateRefreshToken(rotation)
    expected = messages.Session()
    expected.CopyFrom(made.session)
    expected.refreshed_time.CopyFrom(timestamp_from(clock.now()))
    expected.expire_time.CopyFrom(rotation.expire_time)
    assert rotated.session == expected
    assert rotated.user == made.user
    tier.sessions.RotateRefreshToken(make.rotation("second", "third"))


def test_second_use_of_a_refresh_token_ends_the_session(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    session = tier.sessions.CreateSession(make.session(user.id, "first")).session
    tier.sessions.RotateRefreshToken(make.rotation("first", "second"))
    again = make.rotation("first", "another")
    assert failure(tier.sessions.RotateRefreshToken, again) == REVOKED
    assert not is_living(tier, session.id)
    living = make.rotation("second", "third")
    assert failure(tier.sessions.RotateRefreshToken, living) == REVOKED


@pytest.mark.usefixtures("warm_tier")
def test_of_a_hundred_rotations_of_one_token_one_wins(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    session = tier.sessions.CreateSession(make.session(user.id, "first")).session
    answers = all_at_once(
        100,
        lambda number: tier.sessions.RotateRefreshToken(make.rotation("first", f"next {number}")),
    )
    assert outcomes(answers) == {"OK": 1, "TOKEN_REVOKED": 99}
    assert not is_living(tier, session.id)
    assert len(tier.rows(select(refresh_tokens))) == 2


def test_an_unknown_refresh_token_is_not_valid(tier: RunningTier, make: Requests) -> None:
    rotation = make.rotation("nobody's", "next")
    assert failure(tier.sessions.RotateRefreshToken, rotation) == INVALID_TOKEN


def test_a_refresh_token_whose_time_is_over_is_refused(
    tier: RunningTier, make: Requests, user: user_pb2.User, clock: FakeClock
) -> None:
    tier.sessions.CreateSession(make.session(user.id, "first", expire_time=make.after(hours=1)))
    clock.advance(3600)
    expired = (Kind.UNAUTHENTICATED, "TOKEN_EXPIRED")
    assert failure(tier.sessions.RotateRefreshToken, make.rotation("first", "next")) == expired


def test_a_successor_that_is_known_already_is_refused(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    tier.sessions.CreateSession(make.session(user.id, "first"))
    tier.sessions.CreateSession(make.session(user.id, "other"))
    exists = (Kind.EXISTS, "ALREADY_EXISTS")
    assert failure(tier.sessions.RotateRefreshToken, make.rotation("first", "other")) == exists
    tier.sessions.RotateRefreshToken(make.rotation("first", "next"))
    same = make.rotation("next", "next")
    assert bad_fields(tier.sessions.RotateRefreshToken, same) == {"successor_sha256"}


def test_no_token_is_traded_for_who_is_not_active(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    tier.sessions.CreateSession(make.session(user.id, "first"))
    # The tier itself ends the sessions; a status set by hand must bite all the same.
    tier.change(update(users).where(users.c.id == user.id).values(status="suspended"))
    refused = (Kind.FORBIDDEN, "ACCOUNT_NOT_ACTIVE")
    assert failure(tier.sessions.RotateRefreshToken, make.rotation("first", "next")) == refused
    tier.change(users.delete().where(users.c.id == user.id))
    assert failure(tier.sessions.RotateRefreshToken, make.rotation("first", "next")) == REVOKED


def test_a_session_ends_by_any_of_its_refresh_tokens(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    session = tier.sessions.CreateSession(make.session(user.id, "first")).session
    tier.sessions.RotateRefreshToken(make.rotation("first", "second"))
    for token in ("nobody's", "first", "second"):
        request = messages.EndSessionByRefreshTokenRequest(refresh_token_sha256=sha256(token))
        tier.sessions.EndSessionByRefreshToken(request)
        assert is_living(tier, session.id) is (token == "nobody's")
    rotation = make.rotation("second", "third")
    assert failure(tier.sessions.RotateRefreshToken, rotation) == REVOKED


def test_one_session_ends_and_the_others_stay(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    first = tier.sessions.CreateSession(make.session(user.id)).session
    second = tier.sessions.CreateSession(make.session(user.id)).session
    request = messages.EndSessionRequest(user_id=user.id, session_id=first.id)
    tier.sessions.EndSession(request)
    assert not is_living(tier, first.id)
    assert is_living(tier, second.id)
    assert failure(tier.sessions.EndSession, request) == NOT_FOUND
    stranger = messages.EndSessionRequest(user_id=make.new_id(), session_id=second.id)
    assert failure(tier.sessions.EndSession, stranger) == NOT_FOUND
    assert is_living(tier, second.id)


def test_all_sessions_of_a_user_end_and_nobody_elses(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    mine = [tier.sessions.CreateSession(make.session(user.id)).session for _ in range(2)]
    other = tier.users.CreateUser(make.user()).user
    theirs = tier.sessions.CreateSession(make.session(other.id)).session
    for _ in range(2):
        tier.sessions.EndUserSessions(messages.EndUserSessionsRequest(user_id=user.id))
    assert not any(is_living(tier, session.id) for session in mine)
    assert is_living(tier, theirs.id)


def test_living_sessions_are_listed_newest_first_page_by_page(
    tier: RunningTier, make: Requests, user: user_pb2.User, clock: FakeClock
) -> None:
    made = []
    for _ in range(5):
        made.append(tier.sessions.CreateSession(make.session(user.id)).session.id)
        clock.advance(1)
    tier.sessions.CreateSession(make.session(user.id, expire_time=make.after(seconds=1)))
    tier.sessions.EndSession(messages.EndSessionRequest(user_id=user.id, session_id=made.pop()))
    clock.advance(1)
    seen, cursor, totals = [], "", []
    while True:
        page = PageRequest(page_size=3, cursor=cursor)
        answer = tier.sessions.ListSessions(
            messages.ListSessionsRequest(user_id=user.id, page=page)
        )
        seen += [session.id for session in answer.sessions]
        totals.append(answer.page.total if answer.page.HasField("total") else None)
        cursor = answer.page.next_cursor
        if not cursor:
            break
    assert seen == made[::-1]
    assert totals == [4, None]


def test_a_cursor_of_one_users_sessions_leads_nowhere_in_anothers(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    for _ in range(2):
        tier.sessions.CreateSession(make.session(user.id))
    first = tier.sessions.ListSessions(
        messages.ListSessionsRequest(user_id=user.id, page=PageRequest(page_size=1))
    )
    request = messages.ListSessionsRequest(
        user_id=make.new_id(), page=PageRequest(cursor=first.page.next_cursor)
    )
    assert bad_fields(tier.sessions.ListSessions, request) == {"cursor"}


def test_a_living_session_is_read_with_the_roles_of_now(
    tier: RunningTier, make: Requests, user: user_pb2.User, clock: FakeClock
) -> None:
    session = tier.sessions.CreateSession(
        make.session(user.id, expire_time=make.after(hours=1))
    ).session
    request = messages.GetSessionRequest(session_id=session.id)
    replace = user_repository_pb2.ReplaceUserRolesRequest(user_id=user.id, roles=["user", "admin"])
    tier.users.ReplaceUserRoles(replace)
    found = tier.sessions.GetSession(request)
    assert (found.session, list(found.roles)) == (session, ["admin", "user"])
    clock.advance(3600)
    assert failure(tier.sessions.GetSession, request) == NOT_FOUND


def test_a_session_that_ended_or_never_was_is_not_found(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    session = tier.sessions.CreateSession(make.session(user.id)).session
    tier.sessions.EndUserSessions(messages.EndUserSessionsRequest(user_id=user.id))
    for session_id in (session.id, make.new_id()):
        request = messages.GetSessionRequest(session_id=session_id)
        assert failure(tier.sessions.GetSession, request) == NOT_FOUND


def test_the_sessions_of_a_deleted_user_stay_but_have_ended(
    tier: RunningTier, make: Requests, user: user_pb2.User
) -> None:
    session = tier.sessions.CreateSession(make.session(user.id, "first")).session
    tier.users.DeleteUser(user_repository_pb2.DeleteUserRequest(user_id=user.id))
    assert not is_living(tier, session.id)
    assert failure(tier.sessions.RotateRefreshToken, make.rotation("first", "next")) == REVOKED


@pytest.mark.usefixtures("warm_tier")
def test_a_sign_in_that_races_a_suspension_leaves_no_living_session(
    tier: RunningTier, make: Requests
) -> None:
    user = tier.users.CreateUser(make.user()).user

    def race(number: int) -> object:
        if number == 5:
            return tier.users.UpdateUserStatus(
                user_repository_pb2.UpdateUserStatusRequest(
                    user_id=user.id, status=user_pb2.USER_STATUS_SUSPENDED
                )
            )
        return tier.sessions.CreateSession(make.session(user.id))

    answers = all_at_once(12, race)
    assert set(outcomes(answers)) <= {"OK", "ACCOUNT_NOT_ACTIVE"}
    assert all(row["ended_time"] is not None for row in tier.rows(select(sessions)))
