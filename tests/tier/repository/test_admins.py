from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from arcana.repository.v1 import user_pb2
from arcana.repository.v1 import user_repository_pb2 as messages
from repository_tier.tables import sessions, users
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, all_at_once, failure, outcomes
from tier_runtime.errors import Kind

LAST_ADMIN = (Kind.CONFLICT, "INVALID_STATE")

Removal = Callable[[RunningTier, str], object]


def demote(tier: RunningTier, user_id: str) -> object:
    return tier.users.ReplaceUserRoles(
        messages.ReplaceUserRolesRequest(user_id=user_id, roles=["user"])
    )


def suspend(tier: RunningTier, user_id: str) -> object:
    return tier.users.UpdateUserStatus(
        messages.UpdateUserStatusRequest(user_id=user_id, status=user_pb2.USER_STATUS_SUSPENDED)
    )


def remove(tier: RunningTier, user_id: str) -> object:
    return tier.users.DeleteUser(messages.DeleteUserRequest(user_id=user_id))


@pytest.fixture(params=[demote, suspend, remove])
def removal(request: pytest.FixtureRequest) -> Removal:
    chosen: Removal = request.param
    return chosen


def test_the_last_active_admin_stays(tier: RunningTier, make: Requests, removal: Removal) -> None:
    admin = tier.users.CreateUser(make.admin()).user
    sleeping = make.admin(status=user_pb2.USER_STATUS_INACTIVE)
    tier.users.CreateUser(sleeping)
    tier.users.CreateUser(make.user())
    assert failure(lambda user_id: removal(tier, user_id), admin.id) == LAST_ADMIN
    assert tier.users.GetUser(messages.GetUserRequest(user_id=admin.id)).user == admin


def test_an_admin_beside_another_one_can_go(
    tier: RunningTier, make: Requests, removal: Removal
) -> None:
    tier.users.CreateUser(make.admin())
    admin = tier.users.CreateUser(make.admin()).user
    removal(tier, admin.id)
    assert admin.id not in active_admins(tier)


def test_who_is_no_active_admin_can_go_while_there_is_one(
    tier: RunningTier, make: Requests, removal: Removal
) -> None:
    tier.users.CreateUser(make.admin())
    sleeping = tier.users.CreateUser(make.admin(status=user_pb2.USER_STATUS_INACTIVE)).user
    removal(tier, sleeping.id)
    assert len(active_admins(tier)) == 1


@pytest.mark.parametrize("round_number", range(3))
@pytest.mark.usefixtures("warm_tier")
def test_admins_who_remove_each_other_at_once_leave_one(
    tier: RunningTier, make: Requests, round_number: int
) -> None:
    admins = [tier.users.CreateUser(make.admin()).user for _ in range(9)]
    ways = [demote, suspend, remove]
    answers = all_at_once(9, lambda number: ways[number % 3](tier, admins[number].id))
    assert outcomes(answers) == {"OK": 8, "INVALID_STATE": 1}
    assert len(active_admins(tier)) == 1


def test_roles_are_replaced_whole(tier: RunningTier, make: Requests) -> None:
    user = tier.users.CreateUser(make.user(roles=["premium", "user"])).user
    request = messages.ReplaceUserRolesRequest(
        user_id=user.id, expected_version=1, roles=["user", "admin"], events=[make.event()]
    )
    changed = tier.users.ReplaceUserRoles(request).user
    assert (list(changed.roles), changed.version) == (["admin", "user"], 2)
    assert failure(tier.users.ReplaceUserRoles, request) == (Kind.STALE, "PRECONDITION_FAILED")


def test_unknown_roles_are_refused_and_the_old_ones_stay(tier: RunningTier, make: Requests) -> None:
    user = tier.users.CreateUser(make.user()).user
    request = messages.ReplaceUserRolesRequest(user_id=user.id, roles=["wizard"])
    assert failure(tier.users.ReplaceUserRoles, request) == (Kind.INVALID, "VALIDATION_FAILED")
    assert tier.users.GetUser(messages.GetUserRequest(user_id=user.id)).user == user


def test_who_leaves_active_has_no_session_any_more(tier: RunningTier, make: Requests) -> None:
    user = tier.users.CreateUser(make.user()).user
    tier.sessions.CreateSession(make.session(user.id))
    tier.sessions.CreateSession(make.session(user.id))
    suspend(tier, user.id)
    assert all(row["ended_time"] is not None for row in tier.rows(select(sessions)))


def test_who_becomes_active_again_counts_one_version_more(
    tier: RunningTier, make: Requests
) -> None:
    user = tier.users.CreateUser(make.user(status=user_pb2.USER_STATUS_SUSPENDED)).user
    request = messages.UpdateUserStatusRequest(
        user_id=user.id, expected_version=1, status=user_pb2.USER_STATUS_ACTIVE
    )
    changed = tier.users.UpdateUserStatus(request).user
    assert (changed.status, changed.version) == (user_pb2.USER_STATUS_ACTIVE, 2)
    assert failure(tier.users.UpdateUserStatus, request) == (Kind.STALE, "PRECONDITION_FAILED")


def active_admins(tier: RunningTier) -> set[str]:
    """Return the ids of the active admins, as a reader sees them."""
    request = messages.ListUsersRequest(
        filter=messages.UserFilter(role="admin", status=user_pb2.USER_STATUS_ACTIVE)
    )
    found = {user.id for user in tier.users.ListUsers(request).users}
    assert found <= {row["id"] for row in tier.rows(select(users))}
    return found
