from __future__ import annotations

import pytest

from arcana.repository.v1 import session_repository_pb2 as messages
from arcana.repository.v1 import user_repository_pb2
from repository_tier.session_lists import MAX_CHANGES
from repository_tier.tables import sessions
from tests.fakes.clock import FakeClock
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, bad_fields
from tier_runtime.timestamps import timestamp_from


def test_the_feed_tells_ended_sessions_and_replaced_roles(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    user = tier.users.CreateUser(make.user()).user
    before = tier.sessions.CreateSession(make.session(user.id)).session
    tier.sessions.EndUserSessions(messages.EndUserSessionsRequest(user_id=user.id))
    clock.advance(60)
    since = make.after()
    session = tier.sessions.CreateSession(make.session(user.id)).session
    living = tier.sessions.CreateSession(make.session(user.id)).session
    end = messages.EndSessionRequest(user_id=user.id, session_id=session.id)
    tier.sessions.EndSession(end)
    clock.advance(1)
    replace = user_repository_pb2.ReplaceUserRolesRequest(user_id=user.id, roles=["user", "admin"])
    tier.users.ReplaceUserRoles(replace)
    clock.advance(1)

    answer = tier.sessions.ListAccessChanges(messages.ListAccessChangesRequest(since_time=since))
    assert answer == messages.ListAccessChangesResponse(
        ended_sessions=[messages.EndedSession(session_id=session.id, end_time=since)],
        role_changes=[
            messages.RoleChange(
                user_id=user.id, roles=["admin", "user"], change_time=make.after(seconds=-1)
            )
        ],
        read_time=timestamp_from(clock.now()),
    )
    assert before.id != living.id


def test_a_user_who_was_only_made_or_renamed_is_not_in_the_feed(
    tier: RunningTier, make: Requests
) -> None:
    since = make.after()
    user = tier.users.CreateUser(make.user()).user
    tier.users.UpdateUser(user_repository_pb2.UpdateUserRequest(user_id=user.id, name="Grace"))
    answer = tier.sessions.ListAccessChanges(messages.ListAccessChangesRequest(since_time=since))
    assert not answer.role_changes
    assert not answer.ended_sessions


def test_a_long_feed_is_read_page_by_page_oldest_first(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    since = make.after()
    count = MAX_CHANGES + 7
    user_id, digest_time = make.new_id(), clock.now()
    ids = []
    with tier.engine.begin() as connection:
        rows = []
        for number in range(count):
            # Three of a kind have the same time, so that the id has to decide.
            if number % 3 == 0:
                clock.advance(0.001)
            ids.append(make.new_id())
            rows.append(
                {
                    "id": ids[-1],
                    "user_id": user_id,
                    "created_time": digest_time,
                    "refreshed_time": digest_time,
                    "expire_time": digest_time,
                    "ended_time": clock.now(),
                    "client_address": "",
                    "user_agent": "",
                }
            )
        connection.execute(sessions.insert(), rows)
    user = tier.users.CreateUser(make.user()).user
    replace = user_repository_pb2.ReplaceUserRolesRequest(user_id=user.id, roles=["premium"])
    tier.users.ReplaceUserRoles(replace)

    seen, changed, token, pages = [], [], "", 0
    while pages == 0 or token:
        answer = tier.sessions.ListAccessChanges(
            messages.ListAccessChangesRequest(since_time=since, page_token=token)
        )
        assert len(answer.ended_sessions) + len(answer.role_changes) <= MAX_CHANGES
        seen += [ended.session_id for ended in answer.ended_sessions]
        changed += [change.user_id for change in answer.role_changes]
        token, pages = answer.next_page_token, pages + 1
    assert seen == ids
    assert changed == [user.id]
    assert pages == 3


@pytest.mark.parametrize("token", ["x", "a.b", "-.b", "a.-", "-.-.-", "é.é"])
def test_a_page_token_that_is_not_ours_is_refused(
    tier: RunningTier, make: Requests, token: str
) -> None:
    request = messages.ListAccessChangesRequest(since_time=make.after(), page_token=token)
    assert bad_fields(tier.sessions.ListAccessChanges, request) == {"page_token"}


def test_the_time_is_required(tier: RunningTier) -> None:
    request = messages.ListAccessChangesRequest()
    assert bad_fields(tier.sessions.ListAccessChanges, request) == {"since_time"}
