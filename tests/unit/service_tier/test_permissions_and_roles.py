from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_tier.domain.permissions import (
    require_admin,
    require_self_or_admin,
    require_signed_in,
)
from service_tier.domain.roles import KNOWN_ROLES, completed_roles, role_faults
from tier_runtime.call import Actor
from tier_runtime.errors import AppError

NOBODY = Actor()
USER = Actor("u1", frozenset({"user"}))
ADMIN = Actor("a1", frozenset({"admin", "user"}))
SYSTEM = Actor("system", frozenset({"admin"}))


def test_the_anonymous_are_asked_to_sign_in_wherever_an_actor_is_needed() -> None:
    with pytest.raises(AppError) as plain:
        require_signed_in(NOBODY)
    with pytest.raises(AppError) as admin:
        require_admin(NOBODY)
    with pytest.raises(AppError) as own:
        require_self_or_admin(NOBODY, "")
    assert {error.value.code for error in (plain, admin, own)} == {"UNAUTHENTICATED"}


def test_users_reach_themselves_and_admins_reach_everyone() -> None:
    assert require_signed_in(USER) == "u1"
    require_self_or_admin(USER, "u1")
    require_self_or_admin(ADMIN, "u1")
    require_admin(ADMIN)
    require_admin(SYSTEM)


def test_strangers_and_users_without_the_role_are_refused() -> None:
    with pytest.raises(AppError) as stranger:
        require_self_or_admin(USER, "u2")
    with pytest.raises(AppError) as no_admin:
        require_admin(USER)
    assert {stranger.value.code, no_admin.value.code} == {"FORBIDDEN"}


@given(st.sets(st.sampled_from(sorted(KNOWN_ROLES))))
def test_every_set_of_known_roles_is_completed_by_user_and_sorted(names: set[str]) -> None:
    completed = completed_roles(names)
    assert set(completed) == names | {"user"}
    assert list(completed) == sorted(completed)
    assert role_faults(names) == []


@given(st.text().filter(lambda name: name not in KNOWN_ROLES))
def test_an_unknown_role_is_refused_without_being_quoted(name: str) -> None:
    assert role_faults(["user", name]) == ["Unknown role; known are admin, premium, user."]
