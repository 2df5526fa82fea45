from __future__ import annotations

from typing import cast

import pytest

from arcana.service.v1 import user_pb2, user_service_pb2, user_service_pb2_grpc
from launcher.accounts import DEMO_USERS, Accounts, make_password
from launcher.up import admin_made
from tier_runtime.call import current_call
from tier_runtime.errors import AppError, Kind
from tier_runtime.startup import StartupError


class FakeUsers:
    """Remembers users by address, and under whose name they were made."""

    def __init__(self) -> None:
        self.made: dict[str, user_service_pb2.CreateUserRequest] = {}
        self.roles_of_callers: set[str] = set()

    def ListUsers(
        self, request: user_service_pb2.ListUsersRequest
    ) -> user_service_pb2.ListUsersResponse:
        role = request.filter.role
        found = [email for email, made in self.made.items() if role in made.roles]
        return user_service_pb2.ListUsersResponse(
            users=[user_pb2.User(email=email) for email in found]
        )

    def CreateUser(
        self, request: user_service_pb2.CreateUserRequest
    ) -> user_service_pb2.CreateUserResponse:
        call = current_call()
        self.roles_of_callers |= call.actor.roles if call else set()
        if request.email in self.made:
            raise AppError(Kind.EXISTS, "EMAIL_EXISTS", "Email already registered.")
        self.made[request.email] = request
        return user_service_pb2.CreateUserResponse(user=user_pb2.User(email=request.email))


@pytest.fixture
def users() -> FakeUsers:
    return FakeUsers()


@pytest.fixture
def accounts(users: FakeUsers) -> Accounts:
    return Accounts(cast(user_service_pb2_grpc.UserServiceStub, users))


def test_the_first_admin_gets_a_password_that_is_shown_once(
    accounts: Accounts, users: FakeUsers
) -> None:
    admin = accounts.ensure_admin("admin@arcana.local", "")

    assert admin is not None
    assert users.made["admin@arcana.local"].password == admin.made_up_password
    assert list(users.made["admin@arcana.local"].roles) == ["admin"]
    assert admin.made_up_password in admin_made(admin)


def test_a_password_that_was_given_is_not_shown(accounts: Accounts, users: FakeUsers) -> None:
    admin = accounts.ensure_admin("admin@arcana.local", "Given-Passw0rd")

    assert admin is not None
    assert users.made["admin@arcana.local"].password == "Given-Passw0rd"
    assert "Given-Passw0rd" not in admin_made(admin)


def test_no_second_admin_is_made_where_there_is_one(accounts: Accounts, users: FakeUsers) -> None:
    accounts.ensure_admin("admin@arcana.local", "")

    assert accounts.ensure_admin("other@arcana.local", "") is None
    assert list(users.made) == ["admin@arcana.local"]


def test_an_address_that_is_taken_is_told_in_one_line(accounts: Accounts) -> None:
    accounts.create_admin("admin@arcana.local", "")

    with pytest.raises(StartupError, match=r"admin@arcana\.local already"):
        accounts.create_admin("admin@arcana.local", "")


def test_accounts_are_made_in_the_name_of_an_admin(accounts: Accounts, users: FakeUsers) -> None:
    accounts.create_admin("admin@arcana.local", "")

    assert users.roles_of_callers == {"admin"}


def test_seeding_twice_makes_the_demo_users_once(accounts: Accounts, users: FakeUsers) -> None:
    assert accounts.seed() == (len(DEMO_USERS), 0)
    before = dict(users.made)

    assert accounts.seed() == (0, len(DEMO_USERS))
    assert users.made == before


class Forgetful(FakeUsers):
    """Makes users, but its first answer gets lost."""

    def __init__(self, kind: Kind, code: str) -> None:
        super().__init__()
        self.error = AppError(kind, code, "Lost.")
        self.request_ids: list[str] = []

    def CreateUser(
        self, request: user_service_pb2.CreateUserRequest
    ) -> user_service_pb2.CreateUserResponse:
        if request.request_id in self.request_ids:
            return user_service_pb2.CreateUserResponse(replayed=True)
        self.request_ids.append(request.request_id)
        answer = super().CreateUser(request)
        if len(self.request_ids) == 1:
            raise self.error
        return answer


@pytest.mark.parametrize(
    ("kind", "code"),
    [(Kind.DEADLINE, "DEADLINE_EXCEEDED"), (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")],
)
def test_an_answer_that_is_lost_is_asked_for_again_under_the_same_id(kind: Kind, code: str) -> None:
    users = Forgetful(kind, code)
    accounts = Accounts(cast(user_service_pb2_grpc.UserServiceStub, users))

    assert accounts.seed() == (len(DEMO_USERS), 0)
    assert "" not in users.request_ids
    assert len(set(users.request_ids)) == len(DEMO_USERS)


def test_of_two_launchers_one_makes_the_admin_and_the_other_finds_it() -> None:
    class Raced(FakeUsers):
        def ListUsers(
            self, request: user_service_pb2.ListUsersRequest
        ) -> user_service_pb2.ListUsersResponse:
            answer = super().ListUsers(request)
            # The other one is done between our two calls.
            self.made["admin@arcana.local"] = user_service_pb2.CreateUserRequest(roles=["admin"])
            return answer

    accounts = Accounts(cast(user_service_pb2_grpc.UserServiceStub, Raced()))

    assert accounts.ensure_admin("admin@arcana.local", "") is None


def test_an_address_of_somebody_who_is_no_admin_is_told(
    accounts: Accounts, users: FakeUsers
) -> None:
    users.made["admin@arcana.local"] = user_service_pb2.CreateUserRequest(roles=["user"])

    with pytest.raises(StartupError, match=r"admin@arcana\.local already"):
        accounts.ensure_admin("admin@arcana.local", "")


def test_a_password_that_breaks_the_policy_is_told_by_its_setting() -> None:
    class Strict(FakeUsers):
        def CreateUser(
            self, request: user_service_pb2.CreateUserRequest
        ) -> user_service_pb2.CreateUserResponse:
            raise AppError(
                Kind.INVALID,
                "VALIDATION_FAILED",
                "Validation failed.",
                field_errors={"password": ["Too short.", "Too common."]},
            )

    accounts = Accounts(cast(user_service_pb2_grpc.UserServiceStub, Strict()))

    with pytest.raises(StartupError) as caught:
        accounts.ensure_admin("admin@arcana.local", "admin")
    assert str(caught.value) == (
        "The admin cannot be made: ARCANA_ADMIN_PASSWORD: Too short. Too common."
    )


def test_seeding_passes_on_other_errors(users: FakeUsers) -> None:
    class Broken(FakeUsers):
        def CreateUser(
            self, request: user_service_pb2.CreateUserRequest
        ) -> user_service_pb2.CreateUserResponse:
            raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    accounts = Accounts(cast(user_service_pb2_grpc.UserServiceStub, Broken()))

    with pytest.raises(AppError, match="SERVICE_UNAVAILABLE"):
        accounts.seed()
    with pytest.raises(AppError, match="SERVICE_UNAVAILABLE"):
        accounts.create_admin("admin@arcana.local", "")


def test_made_up_passwords_satisfy_the_policy_and_differ() -> None:
    passwords = {make_password() for _ in range(50)}

    assert len(passwords) == 50
    for password in passwords:
        assert 8 <= len(password) <= 128
        assert any(map(str.isupper, password))
        assert any(map(str.islower, password))
        assert any(map(str.isdigit, password))
