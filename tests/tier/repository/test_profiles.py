from __future__ import annotations

import pytest
from sqlalchemy import select

from arcana.repository.v1 import user_pb2
from arcana.repository.v1 import user_repository_pb2 as messages
from repository_tier.tables import outbox_events
from tests.fakes.clock import FakeClock
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, all_at_once, failure, outcomes
from tier_runtime.errors import Kind
from tier_runtime.timestamps import timestamp_from

STALE = (Kind.STALE, "PRECONDITION_FAILED")


def test_a_user_who_never_wrote_a_profile_has_an_empty_one(
    tier: RunningTier, make: Requests
) -> None:
    user = tier.users.CreateUser(make.user()).user
    found = tier.users.GetUserProfile(messages.GetUserProfileRequest(user_id=user.id))
    assert found.profile == user_pb2.UserProfile(user_id=user.id)


def test_a_profile_is_replaced_whole(tier: RunningTier, make: Requests, clock: FakeClock) -> None:
    user = tier.users.CreateUser(make.user()).user
    first = messages.ReplaceUserProfileRequest(
        user_id=user.id,
        expected_version=0,
        avatar_url="https://example.org/a.png",
        bio="Grüße 🙂",
        phone="+4915112345678",
        events=[make.event()],
    )
    written = tier.users.ReplaceUserProfile(first).profile
    assert written == user_pb2.UserProfile(
        user_id=user.id,
        avatar_url="https://example.org/a.png",
        bio="Grüße 🙂",
        phone="+4915112345678",
        version=1,
        updated_time=timestamp_from(clock.now()),
    )
    get = messages.GetUserProfileRequest(user_id=user.id)
    assert tier.users.GetUserProfile(get).profile == written
    clock.advance(1)
    second = messages.ReplaceUserProfileRequest(user_id=user.id, expected_version=1)
    tier.users.ReplaceUserProfile(second)
    assert tier.users.GetUserProfile(get).profile == user_pb2.UserProfile(
        user_id=user.id, version=2, updated_time=timestamp_from(clock.now())
    )
    assert len(tier.rows(select(outbox_events))) == 1


def test_a_profile_of_another_version_is_not_replaced(tier: RunningTier, make: Requests) -> None:
    user = tier.users.CreateUser(make.user()).user
    early = messages.ReplaceUserProfileRequest(user_id=user.id, expected_version=1, bio="x")
    assert failure(tier.users.ReplaceUserProfile, early) == STALE
    tier.users.ReplaceUserProfile(messages.ReplaceUserProfileRequest(user_id=user.id, bio="y"))
    late = messages.ReplaceUserProfileRequest(user_id=user.id, expected_version=0, bio="z")
    assert failure(tier.users.ReplaceUserProfile, late) == STALE


@pytest.mark.usefixtures("warm_tier")
def test_of_racing_first_profiles_one_wins(tier: RunningTier, make: Requests) -> None:
    user = tier.users.CreateUser(make.user()).user
    answers = all_at_once(
        10,
        lambda number: tier.users.ReplaceUserProfile(
            messages.ReplaceUserProfileRequest(
                user_id=user.id, expected_version=0, bio=f"bio {number}"
            )
        ),
    )
    assert outcomes(answers) == {"OK": 1, "PRECONDITION_FAILED": 9}


def test_nobody_has_no_profile(tier: RunningTier, make: Requests) -> None:
    missing = (Kind.MISSING, "USER_NOT_FOUND")
    user_id = make.new_id()
    get = messages.GetUserProfileRequest(user_id=user_id)
    assert failure(tier.users.GetUserProfile, get) == missing
    replace = messages.ReplaceUserProfileRequest(user_id=user_id, bio="x")
    assert failure(tier.users.ReplaceUserProfile, replace) == missing
