"""What the audit log tells of sign-ins, sessions and passwords, whose use cases record them."""

from __future__ import annotations

import pytest

from arcana.repository.v1 import user_pb2 as kept_user_pb2
from arcana.service.v1 import auth_service_pb2 as pb
from arcana.service.v1 import order_service_pb2, product_service_pb2, user_pb2, user_service_pb2
from service_tier.one_time_tokens import Purpose
from tests.unit.service_tier.harness import ADMIN, EMAIL, OTHER_PASSWORD, PASSWORD, Harness
from tier_runtime.audit import Outcome, address_digest
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind
from tier_runtime.metadata import actor_to_proto

LOGIN, REFRESH = "AuthService/Login", "AuthService/RefreshSession"
ASKED, RESET = "AuthService/RequestPasswordReset", "AuthService/ConfirmPasswordReset"
STRANGER = Actor("019aa000-0000-7000-8000-00000000000b", frozenset({"user"}))


def sign_in(harness: Harness, email: str = EMAIL, password: str = PASSWORD) -> None:
    harness.auth.Login(
        pb.LoginRequest(email=email, password=password, client_address="203.0.113.7")
    )


def refused(harness: Harness, email: str = EMAIL, password: str = PASSWORD) -> str:
    with pytest.raises(AppError) as failed:
        sign_in(harness, email, password)
    return failed.value.code


def test_a_sign_in_names_the_user_its_session_and_where_it_came_from(harness: Harness) -> None:
    user = harness.register()
    with harness.acting(Actor()):
        sign_in(harness)
    (session_id,) = harness.repository.state.sessions
    (act,) = harness.audit.of(LOGIN)
    assert (act.outcome, act.request_id) == (Outcome.DONE, "request-1")
    assert act.target == {"user_id": user.id, "session_id": session_id}
    assert act.client_address == "203.0.113.7"


def test_a_refused_sign_in_says_why_and_names_an_address_by_its_digest_only(
    harness: Harness,
) -> None:
    user = harness.register()
    assert refused(harness, password=OTHER_PASSWORD) == "INVALID_CREDENTIALS"
    assert refused(harness, " Nobody@example.org") == "INVALID_CREDENTIALS"
    harness.set_status(user.id, user_pb2.USER_STATUS_SUSPENDED)
    assert refused(harness) == "ACCOUNT_NOT_ACTIVE"
    acts = harness.audit.of(LOGIN)
    assert {act.outcome for act in acts} == {Outcome.DENIED}
    assert {act.client_address for act in acts} == {"203.0.113.7"}
    assert [(act.code, act.reason, act.target) for act in acts] == [
        ("INVALID_CREDENTIALS", "wrong_password", {"user_id": user.id}),
        (
            "INVALID_CREDENTIALS",
            "unknown_account",
            {"address_sha256": address_digest("nobody@example.org")},
        ),
        ("ACCOUNT_NOT_ACTIVE", "account_not_active", {"user_id": user.id}),
    ]


def test_a_suspension_or_deletion_in_the_middle_of_a_sign_in_is_told_too(harness: Harness) -> None:
    user = harness.register()
    account = harness.repository.state.accounts[user.id]

    def suspend(_request: object) -> None:
        account.user.status = kept_user_pb2.USER_STATUS_SUSPENDED

    harness.channel.before["CreateSession"] = suspend
    assert refused(harness) == "ACCOUNT_NOT_ACTIVE"
    account.user.status = kept_user_pb2.USER_STATUS_ACTIVE

    def delete(_request: object) -> None:
        del harness.repository.state.accounts[user.id]

    harness.channel.before["CreateSession"] = delete
    assert refused(harness) == "INVALID_CREDENTIALS"
    reasons = [act.reason for act in harness.audit.of(LOGIN)]
    assert reasons == ["account_not_active", "unknown_account"]


def test_a_sign_in_that_could_not_be_decided_is_no_denial(harness: Harness) -> None:
    def away(_request: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Away.")

    harness.register()
    harness.channel.before["GetCredentials"] = away
    assert refused(harness) == "SERVICE_UNAVAILABLE"
    assert harness.audit.of(LOGIN) == []


def refresh(harness: Harness, token: str) -> pb.TokenPair:
    return harness.auth.RefreshSession(pb.RefreshSessionRequest(refresh_token=token)).tokens


def test_a_refresh_token_that_comes_twice_is_told_with_the_session_that_it_ends(
    harness: Harness,
) -> None:
    user = harness.register()
    first = harness.login()
    second = refresh(harness, first.refresh_token)
    for token in (first.refresh_token, second.refresh_token, "not one of ours"):
        with pytest.raises(AppError) as failed:
            refresh(harness, token)
        # Who presents a stolen token does not learn whose it is.
        assert failed.value.metadata == {}
    (session_id,) = harness.repository.state.sessions
    acts = harness.audit.of(REFRESH)
    assert {act.outcome for act in acts} == {Outcome.DENIED}
    assert [(act.code, act.reason, act.target) for act in acts] == [
        ("TOKEN_REVOKED", "used_twice", {"user_id": user.id, "session_id": session_id}),
        ("TOKEN_REVOKED", "", {}),
        ("INVALID_TOKEN", "", {}),
    ]


def test_a_refresh_that_nobody_could_answer_is_no_denial(harness: Harness) -> None:
    def away(_request: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Away.")

    harness.register()
    pair = harness.login()
    harness.channel.before["RotateRefreshToken"] = away
    with pytest.raises(AppError):
        refresh(harness, pair.refresh_token)
    assert harness.audit.of(REFRESH) == []


def test_a_reset_is_told_from_its_request_to_its_end(harness: Harness) -> None:
    user = harness.register()
    for email in (EMAIL, "nobody@example.org"):
        harness.auth.RequestPasswordReset(pb.RequestPasswordResetRequest(email=email))
    token = harness.mailed_token(Purpose.PASSWORD_RESET, "auth.password_reset_requested")
    confirm = pb.ConfirmPasswordResetRequest(token=token, new_password=OTHER_PASSWORD)
    harness.auth.ConfirmPasswordReset(confirm)
    with pytest.raises(AppError, match="INVALID_TOKEN"):
        harness.auth.ConfirmPasswordReset(confirm)
    assert [act.target for act in harness.audit.of(ASKED)] == [
        {"user_id": user.id},
        {"address_sha256": address_digest("nobody@example.org")},
    ]
    done, denied = harness.audit.of(RESET)
    assert (done.outcome, done.target) == (Outcome.DONE, {"user_id": user.id})
    assert (denied.outcome, denied.code) == (Outcome.DENIED, "INVALID_TOKEN")


def test_a_reset_to_a_bad_password_is_no_act(harness: Harness) -> None:
    with pytest.raises(AppError, match="VALIDATION_FAILED"):
        harness.auth.ConfirmPasswordReset(
            pb.ConfirmPasswordResetRequest(token="x", new_password="short")
        )
    assert harness.audit.of(RESET) == []


def test_a_changed_password_and_the_end_of_all_sessions_name_their_actor(harness: Harness) -> None:
    harness.register()
    actor = harness.actor()
    with harness.acting(actor):
        with pytest.raises(AppError):
            harness.auth.ChangePassword(
                pb.ChangePasswordRequest(current_password="Wr0ng-one", new_password=OTHER_PASSWORD)
            )
        harness.auth.ChangePassword(
            pb.ChangePasswordRequest(current_password=PASSWORD, new_password=OTHER_PASSWORD)
        )
        harness.auth.LogoutAll(pb.LogoutAllRequest())
    denied, changed = harness.audit.of("AuthService/ChangePassword")
    (ended,) = harness.audit.of("AuthService/LogoutAll")
    assert (denied.outcome, denied.code) == (Outcome.DENIED, "INVALID_CREDENTIALS")
    assert (changed.outcome, ended.outcome) == (Outcome.DONE, Outcome.DONE)
    assert {denied.actor, changed.actor, ended.actor} == {actor}


def test_what_an_admin_makes_of_a_user_is_told_with_its_new_roles_and_status(
    harness: Harness,
) -> None:
    user = harness.create("ada@example.org", "user")
    with harness.acting(ADMIN):
        harness.users.ReplaceUserRoles(
            user_service_pb2.ReplaceUserRolesRequest(user_id=user.id, roles=["premium"])
        )
    harness.set_status(user.id, user_pb2.USER_STATUS_SUSPENDED)
    with harness.acting(ADMIN):
        harness.users.DeleteUser(user_service_pb2.DeleteUserRequest(user_id=user.id))
    assert [(act.name, act.target) for act in harness.audit.acts] == [
        ("UserService/CreateUser", {"roles": ["user"], "user_id": user.id}),
        ("UserService/ReplaceUserRoles", {"user_id": user.id, "roles": ["premium"]}),
        (
            "UserService/UpdateUserStatus",
            {"user_id": user.id, "status": "USER_STATUS_SUSPENDED"},
        ),
        ("UserService/DeleteUser", {"user_id": user.id}),
    ]
    assert {act.actor for act in harness.audit.acts} == {ADMIN}


def test_a_price_of_nothing_is_told_too(harness: Harness) -> None:
    product = harness.product(stock=3)
    (act,) = harness.audit.acts
    assert act.target == {
        "status": "PRODUCT_STATUS_ACTIVE",
        "stock": 3,
        "price_minor": 1999,
        "product_id": product.id,
    }
    with harness.acting(ADMIN):
        harness.products.UpdateProduct(
            product_service_pb2.UpdateProductRequest(product_id=product.id, price_minor=0)
        )
    assert harness.audit.acts[-1].target == {"product_id": product.id, "price_minor": 0}


def test_what_everybody_may_do_is_told_of_admins_only(harness: Harness) -> None:
    user = harness.register()
    harness.audit.acts.clear()
    own = Actor(user.id, frozenset({"user"}))
    change = user_service_pb2.UpdateUserRequest(user_id=user.id, name="Ada L.")
    with harness.acting(own):
        harness.users.UpdateUser(change)
    assert harness.audit.acts == []
    with harness.acting(ADMIN):
        harness.users.UpdateUser(change)
        with pytest.raises(AppError):
            harness.orders.CancelOrder(order_service_pb2.CancelOrderRequest(order_id=user.id))
    changed, cancelled = harness.audit.acts
    assert (changed.name, changed.outcome) == ("UserService/UpdateUser", Outcome.DONE)
    assert changed.target == {"user_id": user.id}
    assert (cancelled.outcome, cancelled.code) == (Outcome.FAILED, "ORDER_NOT_FOUND")


def test_each_denied_read_of_a_batch_is_recorded_as_its_own(harness: Harness) -> None:
    ada = harness.create("ada@example.org")
    harness.audit.acts.clear()
    actors = (ADMIN, STRANGER, Actor())
    items = [
        user_service_pb2.BatchGetUsersItem(
            actor=actor_to_proto(actor, f"request-{number}"), user_id=ada.id
        )
        for number, actor in enumerate(actors)
    ]
    items.append(user_service_pb2.BatchGetUsersItem(actor=actor_to_proto(ADMIN, "x"), user_id=""))
    harness.users.BatchGetUsers(user_service_pb2.BatchGetUsersRequest(items=items))
    acts = harness.audit.acts
    assert {act.name for act in acts} == {"UserService/GetUser"}
    assert [(act.actor, act.request_id, act.code) for act in acts] == [
        (STRANGER, "request-1", "FORBIDDEN"),
        (Actor(), "request-2", "UNAUTHENTICATED"),
    ]
    assert [act.target for act in acts] == [{"user_id": ada.id}] * 2
