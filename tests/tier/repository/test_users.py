from __future__ import annotations

import pytest
from sqlalchemy import select

from arcana.repository.v1 import user_pb2
from arcana.repository.v1 import user_repository_pb2 as messages
from repository_tier.tables import (
    one_time_tokens,
    outbox_events,
    user_profiles,
    user_roles,
    users,
)
from tests.fakes.clock import FakeClock
from tests.tier.repository.requests import HASH, Requests, sha256
from tests.tier.repository.running_tier import RunningTier, all_at_once, failure, outcomes
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import timestamp_from

ACTIVE, SUSPENDED = user_pb2.USER_STATUS_ACTIVE, user_pb2.USER_STATUS_SUSPENDED


def test_a_user_is_kept_as_it_was_given(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    request = make.user(email="  Ada@Example.org ", name=" Ada ", roles=["user", "premium", "user"])
    made = tier.users.CreateUser(request)
    assert not made.replayed
    assert made.user == user_pb2.User(
        id=request.user_id,
        email="Ada@Example.org",
        name="Ada",
        status=ACTIVE,
        roles=["premium", "user"],
        version=1,
        created_time=timestamp_from(clock.now()),
        updated_time=timestamp_from(clock.now()),
    )
    assert tier.users.GetUser(messages.GetUserRequest(user_id=request.user_id)).user == made.user


def test_times_keep_their_microseconds(tier: RunningTier, make: Requests, clock: FakeClock) -> None:
    clock.advance(0.123457)
    made = tier.users.CreateUser(make.user()).user
    credentials = tier.users.GetCredentials(messages.GetCredentialsRequest(user_id=made.id))
    assert credentials.user.created_time == timestamp_from(clock.now())


def test_credentials_are_found_by_id_and_by_address_in_any_letter_case(
    tier: RunningTier, make: Requests
) -> None:
    user = tier.users.CreateUser(make.user(email="Grüße@Example.org")).user
    by_id = tier.users.GetCredentials(messages.GetCredentialsRequest(user_id=user.id))
    by_email = tier.users.GetCredentials(
        messages.GetCredentialsRequest(email=" GRÜSSE@example.ORG")
    )
    assert by_id == by_email
    assert by_id.user == user
    assert by_id.credentials == user_pb2.Credentials(
        user_id=user.id, password_hash=HASH, credential_version=1
    )


def test_an_unknown_user_is_missing(tier: RunningTier, make: Requests) -> None:
    missing = (Kind.MISSING, "USER_NOT_FOUND")
    user_id = make.new_id()
    assert failure(tier.users.GetUser, messages.GetUserRequest(user_id=user_id)) == missing
    for owner in ({"user_id": user_id}, {"email": "nobody@example.org"}, {"email": "no address"}):
        request = messages.GetCredentialsRequest(**owner)
        assert failure(tier.users.GetCredentials, request) == missing
    update = messages.UpdateUserRequest(user_id=user_id, name="Eve")
    assert failure(tier.users.UpdateUser, update) == missing
    status = messages.UpdateUserStatusRequest(user_id=user_id, status=SUSPENDED)
    assert failure(tier.users.UpdateUserStatus, status) == missing
    roles = messages.ReplaceUserRolesRequest(user_id=user_id, roles=["user"])
    assert failure(tier.users.ReplaceUserRoles, roles) == missing
    assert failure(tier.users.DeleteUser, messages.DeleteUserRequest(user_id=user_id)) == missing


def test_addresses_that_differ_in_case_only_are_one(tier: RunningTier, make: Requests) -> None:
    tier.users.CreateUser(make.user(email="ada@example.org"))
    again = make.user(email="ADA@example.org")
    assert failure(tier.users.CreateUser, again) == (Kind.EXISTS, "EMAIL_EXISTS")
    assert len(tier.rows(select(users))) == 1


def test_addresses_that_differ_in_an_accent_are_two(tier: RunningTier, make: Requests) -> None:
    tier.users.CreateUser(make.user(email="one@example.org"))
    tier.users.CreateUser(make.user(email="öne@example.org"))
    assert len(tier.rows(select(users))) == 2


def test_a_second_user_with_the_same_id_is_refused(tier: RunningTier, make: Requests) -> None:
    first = make.user()
    tier.users.CreateUser(first)
    again = make.user(user_id=first.user_id)
    assert failure(tier.users.CreateUser, again) == (Kind.EXISTS, "ALREADY_EXISTS")


def test_an_unknown_role_is_a_field_error_and_leaves_no_user(
    tier: RunningTier, make: Requests
) -> None:
    with pytest.raises(AppError) as caught:
        tier.users.CreateUser(make.user(roles=["user", "wizard"]))
    assert (caught.value.kind, caught.value.code) == (Kind.INVALID, "VALIDATION_FAILED")
    assert caught.value.field_errors == {"roles": ("There is no role wizard.",)}
    assert tier.rows(select(users)) == []


@pytest.mark.usefixtures("warm_tier")
def test_of_fifty_creations_with_one_address_one_wins(tier: RunningTier, make: Requests) -> None:
    requests = [make.user(email="ada@example.org", events=[make.event()]) for _ in range(50)]
    answers = all_at_once(50, lambda number: tier.users.CreateUser(requests[number]))
    assert outcomes(answers) == {"OK": 1, "EMAIL_EXISTS": 49}
    assert len(tier.rows(select(users))) == 1
    assert len(tier.rows(select(outbox_events))) == 1


def test_events_and_verification_token_come_with_the_user(
    tier: RunningTier, make: Requests
) -> None:
    event = make.event()
    request = make.user(verification_token=make.verification("t"), events=[event])
    tier.users.CreateUser(request)
    (kept,) = tier.rows(select(outbox_events))
    assert (kept["id"], kept["type"], kept["body"]) == (
        event.id,
        "user.created",
        event.SerializeToString(deterministic=True),
    )
    (token,) = tier.rows(select(one_time_tokens))
    assert (token["user_id"], token["token_sha256"], token["purpose"]) == (
        request.user_id,
        sha256("t"),
        "email_verification",
    )


def test_no_event_is_left_of_a_creation_that_failed(tier: RunningTier, make: Requests) -> None:
    tier.users.CreateUser(make.user(email="ada@example.org"))
    again = make.user(email="ada@example.org", events=[make.event()])
    assert failure(tier.users.CreateUser, again) == (Kind.EXISTS, "EMAIL_EXISTS")
    assert tier.rows(select(outbox_events)) == []


def test_an_update_changes_what_is_given_and_counts(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    user = tier.users.CreateUser(make.user()).user
    clock.advance(60)
    request = messages.UpdateUserRequest(user_id=user.id, name="Grace", events=[make.event()])
    changed = tier.users.UpdateUser(request).user
    assert (changed.name, changed.email, changed.version) == ("Grace", user.email, 2)
    assert changed.updated_time == timestamp_from(clock.now())
    assert changed.created_time == user.created_time
    assert tier.users.GetUser(messages.GetUserRequest(user_id=user.id)).user == changed
    assert len(tier.rows(select(outbox_events))) == 1


def test_an_update_from_another_version_is_refused(tier: RunningTier, make: Requests) -> None:
    user = tier.users.CreateUser(make.user()).user
    request = messages.UpdateUserRequest(user_id=user.id, expected_version=1, name="Grace")
    tier.users.UpdateUser(request)
    assert failure(tier.users.UpdateUser, request) == (Kind.STALE, "PRECONDITION_FAILED")


@pytest.mark.usefixtures("warm_tier")
def test_of_racing_updates_from_one_version_one_wins(tier: RunningTier, make: Requests) -> None:
    user = tier.users.CreateUser(make.user()).user

    def update(number: int) -> messages.UpdateUserResponse:
        return tier.users.UpdateUser(
            messages.UpdateUserRequest(user_id=user.id, expected_version=1, name=f"Name {number}")
        )

    answers = all_at_once(20, update)
    assert outcomes(answers) == {"OK": 1, "PRECONDITION_FAILED": 19}
    (winner,) = [answer for answer in answers if not isinstance(answer, AppError)]
    assert tier.users.GetUser(messages.GetUserRequest(user_id=user.id)).user == winner.user


@pytest.mark.usefixtures("warm_tier")
def test_racing_updates_of_any_version_are_all_counted(tier: RunningTier, make: Requests) -> None:
    user = tier.users.CreateUser(make.user()).user

    def update(number: int) -> messages.UpdateUserResponse:
        return tier.users.UpdateUser(
            messages.UpdateUserRequest(user_id=user.id, name=f"Name {number}")
        )

    assert outcomes(all_at_once(20, update)) == {"OK": 20}
    assert tier.users.GetUser(messages.GetUserRequest(user_id=user.id)).user.version == 21


def test_a_new_address_is_unverified_and_the_old_ones_tokens_are_dead(
    tier: RunningTier, make: Requests
) -> None:
    request = make.user(verification_token=make.verification("first"))
    user = tier.users.CreateUser(request).user
    tier.users.VerifyEmail(messages.VerifyEmailRequest(token_sha256=sha256("first")))
    tier.users.CreateOneTimeToken(
        messages.CreateOneTimeTokenRequest(user_id=user.id, token=make.verification("second"))
    )
    update = messages.UpdateUserRequest(
        user_id=user.id, email="new@example.org", verification_token=make.verification("third")
    )
    changed = tier.users.UpdateUser(update).user
    assert (changed.email, changed.email_verified) == ("new@example.org", False)
    dead = messages.VerifyEmailRequest(token_sha256=sha256("second"))
    assert failure(tier.users.VerifyEmail, dead) == (Kind.UNAUTHENTICATED, "INVALID_TOKEN")
    tier.users.VerifyEmail(messages.VerifyEmailRequest(token_sha256=sha256("third")))
    assert tier.users.GetUser(messages.GetUserRequest(user_id=user.id)).user.email_verified


def test_the_same_address_in_another_letter_case_stays_verified(
    tier: RunningTier, make: Requests
) -> None:
    request = make.user(email="ada@example.org", verification_token=make.verification("t"))
    user = tier.users.CreateUser(request).user
    tier.users.VerifyEmail(messages.VerifyEmailRequest(token_sha256=sha256("t")))
    update = messages.UpdateUserRequest(user_id=user.id, email="Ada@example.org")
    changed = tier.users.UpdateUser(update).user
    assert (changed.email, changed.email_verified) == ("Ada@example.org", True)


def test_an_address_of_somebody_else_is_refused(tier: RunningTier, make: Requests) -> None:
    tier.users.CreateUser(make.user(email="ada@example.org"))
    user = tier.users.CreateUser(make.user()).user
    update = messages.UpdateUserRequest(user_id=user.id, email="ADA@example.org")
    assert failure(tier.users.UpdateUser, update) == (Kind.EXISTS, "EMAIL_EXISTS")
    assert tier.users.GetUser(messages.GetUserRequest(user_id=user.id)).user == user


def test_a_deleted_user_is_gone_with_all_that_hung_on_it(tier: RunningTier, make: Requests) -> None:
    request = make.user(verification_token=make.verification("t"))
    user = tier.users.CreateUser(request).user
    tier.users.ReplaceUserProfile(messages.ReplaceUserProfileRequest(user_id=user.id, bio="Hi"))
    tier.users.DeleteUser(messages.DeleteUserRequest(user_id=user.id, events=[make.event()]))
    get = messages.GetUserRequest(user_id=user.id)
    assert failure(tier.users.GetUser, get) == (Kind.MISSING, "USER_NOT_FOUND")
    for table in (users, user_roles, user_profiles, one_time_tokens):
        assert tier.rows(select(table)) == []
    assert len(tier.rows(select(outbox_events))) == 1
    tier.users.CreateUser(make.user(email=request.email))


def test_a_deletion_from_another_version_is_refused(tier: RunningTier, make: Requests) -> None:
    user = tier.users.CreateUser(make.user()).user
    request = messages.DeleteUserRequest(user_id=user.id, expected_version=2)
    assert failure(tier.users.DeleteUser, request) == (Kind.STALE, "PRECONDITION_FAILED")
