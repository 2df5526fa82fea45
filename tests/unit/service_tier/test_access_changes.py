from __future__ import annotations

from datetime import timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from arcana.repository.v1 import session_repository_pb2
from arcana.service.v1 import auth_service_pb2 as pb
from arcana.service.v1 import user_service_pb2
from service_tier.repository import Repository
from service_tier.settings import MAX_ACCESS_TOKEN_EXPIRES
from service_tier.usecases.access_changes import OVERLAP, AccessFeed
from tests.fakes.repository.sessions import FakeSessions
from tests.unit.service_tier.harness import ADMIN, Harness
from tier_runtime.errors import AppError
from tier_runtime.timestamps import datetime_from, timestamp_from


def changes(
    harness: Harness, since: Timestamp | None = None, page_token: str = ""
) -> pb.ListAccessChangesResponse:
    return harness.auth.ListAccessChanges(
        pb.ListAccessChangesRequest(since_time=since, page_token=page_token)
    )


def end_a_session(harness: Harness) -> str:
    actor = harness.actor()
    with harness.acting(actor):
        harness.auth.EndSession(pb.EndSessionRequest(session_id=actor.session_id))
    return actor.session_id


def test_ended_sessions_and_changed_roles_are_listed(harness: Harness) -> None:
    user = harness.register()
    session_id = end_a_session(harness)
    harness.login()
    with harness.acting(ADMIN):
        harness.users.ReplaceUserRoles(
            user_service_pb2.ReplaceUserRolesRequest(user_id=user.id, roles=["premium"])
        )
    listed = changes(harness)
    assert [ended.session_id for ended in listed.ended_sessions] == [session_id]
    (change,) = listed.role_changes
    assert (change.user_id, list(change.roles)) == (user.id, ["premium", "user"])
    assert listed.next_page_token == ""


def test_without_a_time_all_is_listed_that_a_token_of_any_allowed_lifetime_can_meet(
    harness: Harness,
) -> None:
    # Tokens may be out that were signed before the setting was lowered to what it is now.
    assert harness.settings.access_token_expires < MAX_ACCESS_TOKEN_EXPIRES
    harness.register()
    session_id = end_a_session(harness)
    harness.clock.advance(MAX_ACCESS_TOKEN_EXPIRES + OVERLAP.total_seconds())
    assert [one.session_id for one in changes(harness).ended_sessions] == [session_id]
    harness.clock.advance(1)
    assert list(changes(harness).ended_sessions) == []


def test_the_next_question_goes_back_behind_this_answer(harness: Harness) -> None:
    listed = changes(harness)
    assert datetime_from(listed.next_since_time) == harness.clock.now() - OVERLAP
    harness.register()
    end_a_session(harness)
    harness.clock.advance(5)
    assert len(changes(harness, listed.next_since_time).ended_sessions) == 1


def test_changes_before_the_time_asked_for_are_left_out(harness: Harness) -> None:
    harness.register()
    end_a_session(harness)
    harness.clock.advance(1)
    assert list(changes(harness, timestamp_from(harness.clock.now())).ended_sessions) == []


def test_a_long_list_is_read_page_by_page_from_one_start(harness: Harness) -> None:
    harness.register()
    ended = []
    for _ in range(8):
        harness.clock.advance(1)
        ended.append(end_a_session(harness))
    started = harness.clock.now()
    listed = changes(harness)
    found = [one.session_id for one in listed.ended_sessions]
    pages = 1
    while listed.next_page_token:
        # So much time that, counted anew, the first ones would be out of reach.
        harness.clock.advance(MAX_ACCESS_TOKEN_EXPIRES)
        listed = changes(harness, page_token=listed.next_page_token)
        found += [one.session_id for one in listed.ended_sessions]
        pages += 1
    assert (found, pages) == (ended, 3)
    # Behind the first page: what happened while the others were read comes again.
    assert datetime_from(listed.next_since_time) == started - OVERLAP


@pytest.mark.parametrize(
    "token", ["nonsense", "!!!", "é", "YSBiIGM=", "MjAyNi0xMS0yMSAyMDI2LTExLTIxIDM="]
)
def test_a_page_token_of_somebody_elses_is_a_field_error(harness: Harness, token: str) -> None:
    with pytest.raises(AppError) as refused:
        changes(harness, page_token=token)
    assert set(refused.value.field_errors) == {"page_token"}


def test_a_time_outside_of_all_years_is_a_field_error(harness: Harness) -> None:
    with pytest.raises(AppError) as refused:
        changes(harness, Timestamp(seconds=2**60))
    assert set(refused.value.field_errors) == {"since_time"}


def test_an_answer_without_its_time_is_a_fault_of_ours(harness: Harness) -> None:
    class Timeless(FakeSessions):
        def ListAccessChanges(
            self,
            request: session_repository_pb2.ListAccessChangesRequest,
            context: grpc.ServicerContext,
        ) -> session_repository_pb2.ListAccessChangesResponse:
            return session_repository_pb2.ListAccessChangesResponse()

    harness.repository.sessions = Timeless(harness.repository.state, 3)
    feed = AccessFeed(
        Repository.over(harness.repository.channel()),
        harness.clock,
        longest_access_lifetime=timedelta(hours=1),
    )
    with pytest.raises(ValueError, match="did not say when"):
        feed.list(None, "")
