from __future__ import annotations

import pytest

from arcana.service.v1 import auth_service_pb2, user_pb2
from arcana.service.v1 import user_service_pb2 as pb
from service_tier.one_time_tokens import Purpose
from service_tier.usecases.versions import MAX_ATTEMPTS
from tests.unit.service_tier.harness import ADMIN, EMAIL, Harness
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind

STRANGER = Actor("019aa000-0000-7000-8000-00000000000b", frozenset({"user"}))


def bump(harness: Harness, user_id: str) -> None:
    harness.repository.state.accounts[user_id].user.version += 1


def test_a_new_name_leaves_the_address_verified(harness: Harness) -> None:
    user = harness.register()
    harness.repository.state.accounts[user.id].user.email_verified = True
    with harness.acting(harness.actor()):
        changed = harness.users.UpdateUser(pb.UpdateUserRequest(user_id=user.id, name=" New ")).user
    assert (changed.name, changed.email, changed.email_verified) == ("New", EMAIL, True)
    (event,) = harness.events("user.updated")
    assert dict(event.payload) == {"user_id": user.id, "changed": "name"}
    assert event.actor_subject == user.id


def test_a_new_address_is_unverified_and_its_token_is_noted_by_id(harness: Harness) -> None:
    user = harness.register()
    harness.repository.state.accounts[user.id].user.email_verified = True
    with harness.acting(harness.actor()):
        changed = harness.users.UpdateUser(
            pb.UpdateUserRequest(user_id=user.id, email="new@example.org")
        ).user
    assert (changed.email, changed.email_verified) == ("new@example.org", False)
    (event,) = harness.events("user.updated")
    assert event.payload["changed"] == "email"
    assert "@" not in str(event)
    token = harness.mailed_token(Purpose.EMAIL_VERIFICATION, "user.updated")
    harness.auth.VerifyEmail(auth_service_pb2.VerifyEmailRequest(token=token))
    assert harness.repository.state.accounts[user.id].user.email_verified


def test_a_new_address_kills_the_token_of_the_old_one(harness: Harness) -> None:
    user = harness.register()
    token = harness.mailed_token(Purpose.EMAIL_VERIFICATION, "auth.user_registered")
    with harness.acting(harness.actor()):
        harness.users.UpdateUser(pb.UpdateUserRequest(user_id=user.id, email="new@example.org"))
    with pytest.raises(AppError, match="INVALID_TOKEN"):
        harness.auth.VerifyEmail(auth_service_pb2.VerifyEmailRequest(token=token))


def test_another_letter_case_of_the_address_is_kept_and_needs_no_new_token(
    harness: Harness,
) -> None:
    user = harness.register()
    harness.repository.state.accounts[user.id].user.email_verified = True
    with harness.acting(harness.actor()):
        changed = harness.users.UpdateUser(
            pb.UpdateUserRequest(user_id=user.id, email=EMAIL.upper())
        ).user
    assert (changed.email, changed.email_verified) == (EMAIL.upper(), True)
    (event,) = harness.events("user.updated")
    assert "token_id" not in event.payload


def test_a_call_that_changes_nothing_writes_nothing(harness: Harness) -> None:
    user = harness.create(EMAIL, "premium")
    harness.channel.calls.clear()
    before = len(harness.repository.state.events)
    with harness.acting(ADMIN):
        for answer in (
            harness.users.UpdateUser(pb.UpdateUserRequest(user_id=user.id)),
            harness.users.UpdateUser(
                pb.UpdateUserRequest(user_id=user.id, name="Someone", email=EMAIL)
            ),
            harness.users.UpdateUserStatus(
                pb.UpdateUserStatusRequest(user_id=user.id, status=user.status)
            ),
            harness.users.ReplaceUserRoles(
                pb.ReplaceUserRolesRequest(user_id=user.id, roles=["premium"])
            ),
        ):
            assert answer.user == user
    assert set(harness.channel.calls) == {"GetCredentials"}
    assert len(harness.repository.state.events) == before


def test_a_change_that_changes_nothing_still_minds_the_version(harness: Harness) -> None:
    user = harness.create(EMAIL)
    with harness.acting(ADMIN), pytest.raises(AppError) as refused:
        harness.users.UpdateUser(pb.UpdateUserRequest(user_id=user.id, expected_version=9))
    assert (refused.value.kind, refused.value.code) == (Kind.STALE, "PRECONDITION_FAILED")


def test_a_write_in_between_is_not_undone_but_built_upon(harness: Harness) -> None:
    user = harness.create(EMAIL)

    def rename_once(_: object) -> None:
        harness.channel.before.clear()
        with harness.acting(ADMIN):
            harness.users.UpdateUser(pb.UpdateUserRequest(user_id=user.id, name="First"))

    harness.channel.before["UpdateUser"] = rename_once
    with harness.acting(ADMIN):
        changed = harness.users.UpdateUser(
            pb.UpdateUserRequest(user_id=user.id, email="new@example.org")
        ).user
    assert (changed.name, changed.email) == ("First", "new@example.org")


def test_a_write_in_between_refuses_a_call_that_named_its_version(harness: Harness) -> None:
    user = harness.create(EMAIL)
    harness.channel.before["UpdateUser"] = lambda _: bump(harness, user.id)
    with harness.acting(ADMIN), pytest.raises(AppError) as refused:
        harness.users.UpdateUser(
            pb.UpdateUserRequest(user_id=user.id, expected_version=user.version, name="New")
        )
    assert refused.value.kind is Kind.STALE
    assert harness.channel.calls.count("UpdateUser") == 1


def test_a_user_that_never_stops_changing_is_given_up_on(harness: Harness) -> None:
    user = harness.create(EMAIL)
    harness.channel.before["UpdateUser"] = lambda _: bump(harness, user.id)
    with harness.acting(ADMIN), pytest.raises(AppError) as refused:
        harness.users.UpdateUser(pb.UpdateUserRequest(user_id=user.id, name="New"))
    assert (refused.value.kind, refused.value.retry_after) == (Kind.UNAVAILABLE, 1.0)
    assert harness.channel.calls.count("UpdateUser") == MAX_ATTEMPTS


def test_a_taken_address_is_refused(harness: Harness) -> None:
    harness.register(email="other@example.org")
    user = harness.register()
    with harness.acting(ADMIN), pytest.raises(AppError) as refused:
        harness.users.UpdateUser(pb.UpdateUserRequest(user_id=user.id, email="OTHER@example.org"))
    assert (refused.value.kind, refused.value.code) == (Kind.EXISTS, "EMAIL_EXISTS")


def test_bad_names_and_addresses_are_told_at_once(harness: Harness) -> None:
    user = harness.register()
    with harness.acting(ADMIN), pytest.raises(AppError) as refused:
        harness.users.UpdateUser(pb.UpdateUserRequest(user_id=user.id, name="", email="x"))
    assert set(refused.value.field_errors) == {"name", "email"}


def test_a_suspension_ends_sessions_and_names_both_statuses(harness: Harness) -> None:
    user = harness.register()
    harness.login()
    with harness.acting(ADMIN):
        changed = harness.users.UpdateUserStatus(
            pb.UpdateUserStatusRequest(user_id=user.id, status=user_pb2.USER_STATUS_SUSPENDED)
        ).user
    assert changed.status == user_pb2.USER_STATUS_SUSPENDED
    (event,) = harness.events("user.status_changed")
    assert dict(event.payload) == {
        "user_id": user.id,
        "status": "suspended",
        "previous_status": "active",
    }
    assert all(kept.ended for kept in harness.repository.state.sessions.values())


def test_replaced_roles_always_hold_user_and_are_noted(harness: Harness) -> None:
    user = harness.create(EMAIL)
    with harness.acting(ADMIN):
        changed = harness.users.ReplaceUserRoles(
            pb.ReplaceUserRolesRequest(user_id=user.id, roles=["premium", "admin"])
        ).user
    assert list(changed.roles) == ["admin", "premium", "user"]
    (event,) = harness.events("user.roles_changed")
    assert dict(event.payload) == {
        "user_id": user.id,
        "roles": "admin,premium,user",
        "previous_roles": "user",
    }


def test_the_last_active_admin_stays_one(harness: Harness) -> None:
    admin = harness.create(EMAIL, "admin")
    calls = (
        lambda: harness.users.UpdateUserStatus(
            pb.UpdateUserStatusRequest(user_id=admin.id, status=user_pb2.USER_STATUS_INACTIVE)
        ),
        lambda: harness.users.ReplaceUserRoles(
            pb.ReplaceUserRolesRequest(user_id=admin.id, roles=["user"])
        ),
        lambda: harness.users.DeleteUser(pb.DeleteUserRequest(user_id=admin.id)),
    )
    for call in calls:
        with harness.acting(ADMIN), pytest.raises(AppError) as refused:
            call()
        assert (refused.value.kind, refused.value.code) == (Kind.CONFLICT, "INVALID_STATE")


def test_a_deleted_user_is_gone_with_its_sessions(harness: Harness) -> None:
    user = harness.register()
    harness.login()
    with harness.acting(ADMIN):
        harness.users.DeleteUser(pb.DeleteUserRequest(user_id=user.id))
        with pytest.raises(AppError) as again:
            harness.users.DeleteUser(pb.DeleteUserRequest(user_id=user.id))
    assert again.value.code == "USER_NOT_FOUND"
    (event,) = harness.events("user.deleted")
    assert dict(event.payload) == {"user_id": user.id}
    assert all(kept.ended for kept in harness.repository.state.sessions.values())


def test_a_delete_that_named_another_version_is_refused(harness: Harness) -> None:
    user = harness.register()
    with harness.acting(ADMIN), pytest.raises(AppError) as refused:
        harness.users.DeleteUser(pb.DeleteUserRequest(user_id=user.id, expected_version=7))
    assert refused.value.code == "PRECONDITION_FAILED"


def test_changing_an_unknown_user_is_not_found(harness: Harness) -> None:
    unknown = "019aa000-0000-7000-8000-000000000001"
    calls = (
        lambda: harness.users.UpdateUser(pb.UpdateUserRequest(user_id=unknown, name="x")),
        lambda: harness.users.UpdateUserStatus(
            pb.UpdateUserStatusRequest(user_id=unknown, status=user_pb2.USER_STATUS_ACTIVE)
        ),
        lambda: harness.users.ReplaceUserRoles(
            pb.ReplaceUserRolesRequest(user_id=unknown, roles=["user"])
        ),
    )
    for call in calls:
        with harness.acting(ADMIN), pytest.raises(AppError) as refused:
            call()
        assert (refused.value.kind, refused.value.code) == (Kind.MISSING, "USER_NOT_FOUND")


def test_bad_roles_and_statuses_are_field_errors(harness: Harness) -> None:
    user = harness.register()
    with harness.acting(ADMIN):
        with pytest.raises(AppError) as unknown:
            harness.users.ReplaceUserRoles(
                pb.ReplaceUserRolesRequest(user_id=user.id, roles=["owner"])
            )
        with pytest.raises(AppError) as none:
            harness.users.ReplaceUserRoles(pb.ReplaceUserRolesRequest(user_id=user.id))
        with pytest.raises(AppError) as status:
            harness.users.UpdateUserStatus(pb.UpdateUserStatusRequest(user_id=user.id))
    assert set(unknown.value.field_errors) == set(none.value.field_errors) == {"roles"}
    assert set(status.value.field_errors) == {"status"}


@pytest.mark.parametrize(("actor", "code"), [(Actor(), "UNAUTHENTICATED"), (STRANGER, "FORBIDDEN")])
def test_strangers_change_nobody(harness: Harness, actor: Actor, code: str) -> None:
    user = harness.register()
    calls = (
        lambda: harness.users.UpdateUser(pb.UpdateUserRequest(user_id=user.id, name="x")),
        lambda: harness.users.UpdateUserStatus(
            pb.UpdateUserStatusRequest(user_id=user.id, status=user_pb2.USER_STATUS_INACTIVE)
        ),
        lambda: harness.users.ReplaceUserRoles(
            pb.ReplaceUserRolesRequest(user_id=user.id, roles=["admin"])
        ),
        lambda: harness.users.DeleteUser(pb.DeleteUserRequest(user_id=user.id)),
    )
    for call in calls:
        with harness.acting(actor), pytest.raises(AppError) as refused:
            call()
        assert refused.value.code == code


def test_users_do_not_raise_themselves(harness: Harness) -> None:
    user = harness.register()
    with harness.acting(harness.actor()), pytest.raises(AppError) as refused:
        harness.users.ReplaceUserRoles(pb.ReplaceUserRolesRequest(user_id=user.id, roles=["admin"]))
    assert refused.value.code == "FORBIDDEN"
