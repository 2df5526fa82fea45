from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from arcana.service.v1 import auth_service_pb2 as pb
from arcana.service.v1 import user_pb2
from service_tier.one_time_tokens import Purpose
from tests.unit.service_tier.harness import (
    ADMIN,
    EMAIL,
    OTHER_PASSWORD,
    PASSWORD,
    Harness,
)
from tier_runtime.errors import AppError, Kind


def reset(harness: Harness) -> None:
    harness.auth.RequestPasswordReset(pb.RequestPasswordResetRequest(email=EMAIL))
    token = harness.mailed_token(Purpose.PASSWORD_RESET, "auth.password_reset_requested")
    harness.auth.ConfirmPasswordReset(
        pb.ConfirmPasswordResetRequest(token=token, new_password=OTHER_PASSWORD)
    )


def change(harness: Harness) -> None:
    harness.auth.ChangePassword(
        pb.ChangePasswordRequest(current_password=PASSWORD, new_password=OTHER_PASSWORD)
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda harness: harness.register("new@example.org"),
        lambda harness: harness.create("new@example.org"),
        lambda harness: harness.login(),
        change,
        reset,
    ],
    ids=["register", "create", "login", "change", "reset"],
)
def test_with_every_slot_taken_whatever_hashes_is_told_when_to_come_again(
    tmp_path: Path, call: Callable[[Harness], object]
) -> None:
    harness = Harness(tmp_path, hash_concurrency=1, hash_queue=0)
    harness.register()
    refusals: list[AppError] = []

    def try_meanwhile() -> None:
        # The outer sign-in is in the middle of its check and holds the only slot.
        with harness.acting(ADMIN), pytest.raises(AppError) as refused:
            call(harness)
        refusals.append(refused.value)

    harness.function.on_verify = try_meanwhile
    harness.login()
    ((kind, retry_after),) = [(error.kind, error.retry_after) for error in refusals]
    assert (kind, retry_after) == (Kind.UNAVAILABLE, 1.0)


def test_what_does_not_hash_goes_on_with_every_slot_taken(tmp_path: Path) -> None:
    harness = Harness(tmp_path, hash_concurrency=1, hash_queue=0)
    harness.register()
    pair = harness.login()
    done: list[str] = []

    def go_on() -> None:
        harness.auth.RefreshSession(pb.RefreshSessionRequest(refresh_token=pair.refresh_token))
        harness.auth.ListAccessChanges(pb.ListAccessChangesRequest())
        done.append("all")

    harness.function.on_verify = go_on
    harness.login()
    assert done == ["all"]


@pytest.mark.parametrize(
    ("status", "password", "code"),
    [
        (user_pb2.USER_STATUS_ACTIVE, OTHER_PASSWORD, "INVALID_CREDENTIALS"),
        (user_pb2.USER_STATUS_SUSPENDED, PASSWORD, "ACCOUNT_NOT_ACTIVE"),
    ],
    ids=["wrong password", "not active"],
)
def test_no_slot_is_held_while_a_refused_sign_in_is_noted(
    tmp_path: Path, status: user_pb2.UserStatus.ValueType, password: str, code: str
) -> None:
    harness = Harness(tmp_path, hash_concurrency=1, hash_queue=0)
    harness.register("other@example.org")
    harness.set_status(harness.register().id, status)

    def sign_in_meanwhile(_: object) -> None:
        harness.login("other@example.org")

    harness.channel.before["AppendEvents"] = sign_in_meanwhile
    with pytest.raises(AppError) as refused:
        harness.login(password=password)
    assert refused.value.code == code
    assert len(harness.events("auth.login_success")) == 1
