from __future__ import annotations

import pytest
from werkzeug.security import check_password_hash

from arcana.service.v1 import auth_service_pb2, user_pb2, user_service_pb2
from service_tier.one_time_tokens import Purpose
from tests.unit.service_tier.harness import (
    ADMIN,
    EMAIL,
    OTHER_PASSWORD,
    PASSWORD,
    Harness,
)
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind


def request(**fields: str) -> auth_service_pb2.RegisterRequest:
    given = {"email": EMAIL, "name": "Ada", "password": PASSWORD} | fields
    return auth_service_pb2.RegisterRequest(**given)


def creation(email: str = EMAIL, request_id: str = "") -> user_service_pb2.CreateUserRequest:
    return user_service_pb2.CreateUserRequest(
        email=email, name="Ada", password=PASSWORD, request_id=request_id
    )


def test_registering_makes_an_active_unverified_user_with_the_role_user(harness: Harness) -> None:
    answer = harness.auth.Register(request(email=" Ada@Example.org ", name=" Ada  Lovelace "))
    user = answer.user
    assert not answer.replayed
    assert (user.email, user.name) == ("Ada@Example.org", "Ada  Lovelace")
    assert user.status == user_pb2.USER_STATUS_ACTIVE
    assert list(user.roles) == ["user"]
    assert (user.version, user.email_verified) == (1, False)
    kept = harness.repository.state.accounts[user.id]
    assert check_password_hash(kept.password_hash, PASSWORD)


def test_registering_notes_the_verification_token_by_its_id_only(harness: Harness) -> None:
    user = harness.register()
    assert harness.repository.event_types() == ["auth.user_registered", "user.created"]
    registered, created = harness.repository.state.events
    assert set(registered.payload) == {"user_id", "token_id"}
    assert dict(created.payload) == {"user_id": user.id, "roles": "user"}
    token = harness.mailed_token(Purpose.EMAIL_VERIFICATION, "auth.user_registered")
    harness.auth.VerifyEmail(auth_service_pb2.VerifyEmailRequest(token=token))
    assert harness.repository.state.accounts[user.id].user.email_verified
    assert token not in str(registered)


def test_every_fault_of_a_registration_is_told_at_once(harness: Harness) -> None:
    with pytest.raises(AppError) as refused:
        harness.auth.Register(request(email="no address", name="\x01", password="short"))
    assert set(refused.value.field_errors) == {"email", "name", "password"}
    assert harness.function.hashes == 0


def test_missing_fields_are_named(harness: Harness) -> None:
    with pytest.raises(AppError) as refused:
        harness.auth.Register(auth_service_pb2.RegisterRequest())
    assert set(refused.value.field_errors) == {"email", "name", "password"}


def test_a_taken_address_is_refused_without_a_hash(harness: Harness) -> None:
    harness.register()
    harness.function.forget()
    with pytest.raises(AppError) as refused:
        harness.register(email=EMAIL.upper())
    assert (refused.value.kind, refused.value.code) == (Kind.EXISTS, "EMAIL_EXISTS")
    assert harness.function.hashes == 0


def test_an_address_taken_while_it_was_hashed_is_refused_by_the_store(harness: Harness) -> None:
    def take(_: object) -> None:
        harness.channel.before.clear()
        harness.register(password=OTHER_PASSWORD)

    harness.channel.before["CreateUser"] = take
    with pytest.raises(AppError) as refused:
        harness.register()
    assert refused.value.code == "EMAIL_EXISTS"
    assert len(harness.repository.state.accounts) == 1


def test_the_same_key_and_request_replay_the_first_answer(harness: Harness) -> None:
    first = harness.auth.Register(request(request_id="key-1"))
    second = harness.auth.Register(request(request_id="key-1"))
    assert (first.replayed, second.replayed) == (False, True)
    assert second.user == first.user
    assert len(harness.repository.state.events) == 2


def test_the_same_key_with_another_request_is_refused(harness: Harness) -> None:
    harness.auth.Register(request(request_id="key-1"))
    with pytest.raises(AppError) as refused:
        harness.auth.Register(request(request_id="key-1", password=OTHER_PASSWORD))
    assert refused.value.code == "IDEMPOTENCY_KEY_REUSED"


def test_one_key_of_two_actors_or_two_methods_is_two_keys(harness: Harness) -> None:
    harness.auth.Register(request(request_id="key-1"))
    with harness.acting(ADMIN):
        harness.users.CreateUser(creation(request_id="key-1", email="b@example.org"))
    with harness.acting(Actor("system", frozenset({"admin"}))):
        harness.users.CreateUser(creation(request_id="key-1", email="c@example.org"))
    assert len(harness.repository.state.accounts) == 3
    assert {scope for scope, _ in harness.repository.state.answers} == {
        "anonymous:Register",
        f"{ADMIN.subject}:CreateUser",
        "system:CreateUser",
    }


@pytest.mark.parametrize("key", ["x" * 256, "schlüssel", "new\nline"])
def test_a_key_that_is_not_printable_ascii_is_a_field_error(harness: Harness, key: str) -> None:
    with pytest.raises(AppError) as refused:
        harness.auth.Register(request(request_id=key))
    assert set(refused.value.field_errors) == {"request_id"}


def test_a_password_is_not_to_be_found_in_the_fingerprint_of_its_request(
    harness: Harness,
) -> None:
    harness.auth.Register(request(request_id="key-1"))
    (kept,) = harness.repository.state.answers.values()
    assert len(kept.fingerprint) == 32


def test_a_deadline_that_passes_during_the_hash_leaves_nothing_behind(harness: Harness) -> None:
    harness.function.on_hash = lambda: harness.clock.advance(10)
    with harness.acting(Actor(), seconds=1), pytest.raises(AppError) as refused:
        harness.register()
    assert refused.value.kind is Kind.DEADLINE
    assert harness.repository.state.accounts == {}


def test_an_admin_makes_a_user_with_roles_and_status(harness: Harness) -> None:
    with harness.acting(ADMIN):
        user = harness.users.CreateUser(
            user_service_pb2.CreateUserRequest(
                email=EMAIL,
                name="Ada",
                password=PASSWORD,
                roles=["premium", "premium"],
                status=user_pb2.USER_STATUS_SUSPENDED,
            )
        ).user
    assert list(user.roles) == ["premium", "user"]
    assert user.status == user_pb2.USER_STATUS_SUSPENDED
    (event,) = harness.repository.state.events
    assert event.type == "user.created"
    assert event.actor_subject == ADMIN.subject
    assert event.request_id == "request-1"


def test_a_user_made_without_roles_and_status_is_an_active_user(harness: Harness) -> None:
    user = harness.create(EMAIL)
    assert list(user.roles) == ["user"]
    assert user.status == user_pb2.USER_STATUS_ACTIVE


def test_unknown_roles_and_statuses_are_field_errors(harness: Harness) -> None:
    with harness.acting(ADMIN):
        with pytest.raises(AppError) as role:
            harness.create(EMAIL, "owner")
        bad_status = creation()
        bad_status.status = user_pb2.UserStatus.ValueType(9)
        with pytest.raises(AppError) as status:
            harness.users.CreateUser(bad_status)
    assert set(role.value.field_errors) == {"roles"}
    assert set(status.value.field_errors) == {"status"}


@pytest.mark.parametrize(
    ("actor", "code"),
    [(Actor(), "UNAUTHENTICATED"), (Actor("u1", frozenset({"user"})), "FORBIDDEN")],
)
def test_only_admins_make_users(harness: Harness, actor: Actor, code: str) -> None:
    with harness.acting(actor), pytest.raises(AppError) as refused:
        harness.users.CreateUser(creation())
    assert refused.value.code == code


def test_a_key_whose_first_call_still_runs_is_told(harness: Harness) -> None:
    def running(_: object) -> None:
        raise AppError(Kind.CONFLICT, "IDEMPOTENCY_IN_PROGRESS", "Running.", retry_after=1.0)

    harness.channel.before["CreateUser"] = running
    for action in (
        lambda: harness.auth.Register(request(request_id="key-1")),
        lambda: harness.users.CreateUser(creation(request_id="key-1")),
    ):
        with harness.acting(ADMIN), pytest.raises(AppError) as refused:
            action()
        assert (refused.value.code, refused.value.retry_after) == ("IDEMPOTENCY_IN_PROGRESS", 1.0)
