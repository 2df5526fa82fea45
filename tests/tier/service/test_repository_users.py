"""What the service tier relies on about users: the fake repository tier and the real one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import (
    user_pb2,
    user_repository_pb2,
)
from tests.tier.service.contract_requests import (
    ACTIVE,
    HASH,
    OTHER_HASH,
    RESET,
    SUSPENDED,
    UNKNOWN,
    VERIFICATION,
    Kept,
    code_of,
)
from tier_runtime.errors import AppError
from tier_runtime.status import from_status


def update(user_id: str, version: int = 0, **fields: str) -> user_repository_pb2.UpdateUserRequest:
    request = user_repository_pb2.UpdateUserRequest(user_id=user_id, expected_version=version)
    for field, value in fields.items():
        setattr(request, field, value)
    return request


def status(
    user_id: str, wanted: user_pb2.UserStatus.ValueType, version: int = 0
) -> user_repository_pb2.UpdateUserStatusRequest:
    return user_repository_pb2.UpdateUserStatusRequest(
        user_id=user_id, expected_version=version, status=wanted
    )


def replaced_roles(user_id: str, *names: str) -> user_repository_pb2.ReplaceUserRolesRequest:
    return user_repository_pb2.ReplaceUserRolesRequest(user_id=user_id, roles=names)


def deletion(user_id: str, version: int = 0) -> user_repository_pb2.DeleteUserRequest:
    return user_repository_pb2.DeleteUserRequest(user_id=user_id, expected_version=version)


def test_a_made_user_is_read_back_as_it_was_answered(kept: Kept) -> None:
    user = kept.user("Ada@Example.org", "user", "admin")
    assert (user.email, user.name, list(user.roles)) == (
        "Ada@Example.org",
        "Ada",
        ["admin", "user"],
    )
    assert (user.version, user.email_verified, user.status) == (1, False, ACTIVE)
    assert not user.HasField("last_login_time")
    assert kept.read(user.id) == user


def test_several_users_are_read_at_once_each_with_its_own_result(kept: Kept) -> None:
    ada, bob = kept.user("ada@example.org", "admin", "user"), kept.user("bob@example.org")
    kept.read(ada.id)
    asked = [bob.id, UNKNOWN, ada.id, bob.id]
    request = user_repository_pb2.BatchGetUsersRequest(user_ids=asked, request_ids=["r-1"])
    results = kept.users.BatchGetUsers(request).results
    assert [result.user for result in results if result.HasField("user")] == [bob, ada, bob]
    assert [result.WhichOneof("outcome") for result in results] == ["user", "error", "user", "user"]
    assert from_status(results[1].error).code == "USER_NOT_FOUND"
    # What was found out now is what each of them is told later.
    assert kept.read(bob.id) == bob
    assert kept.users.BatchGetUsers(request).results == results


def test_a_batch_reads_what_was_written_last(kept: Kept) -> None:
    ada, bob = kept.user("ada@example.org"), kept.user("bob@example.org")
    request = user_repository_pb2.BatchGetUsersRequest(user_ids=[ada.id, bob.id])
    kept.users.BatchGetUsers(request)
    changed = kept.users.UpdateUser(update(ada.id, name="Countess")).user
    kept.users.DeleteUser(deletion(bob.id))
    results = kept.users.BatchGetUsers(request).results
    assert results[0].user == changed
    assert from_status(results[1].error).code == "USER_NOT_FOUND"


@pytest.mark.parametrize("count", [0, 257])
def test_a_batch_has_from_1_to_256_items(kept: Kept, count: int) -> None:
    request = user_repository_pb2.BatchGetUsersRequest(user_ids=[UNKNOWN] * count)
    with pytest.raises(AppError) as refused:
        kept.users.BatchGetUsers(request)
    assert set(refused.value.field_errors) == {"user_ids"}


def test_credentials_are_found_by_id_and_by_address_in_any_letter_case(kept: Kept) -> None:
    user = kept.user("Ada@Example.org")
    by_email = kept.users.GetCredentials(
        user_repository_pb2.GetCredentialsRequest(email="aDA@example.ORG")
    )
    assert by_email.user == user
    assert by_email.credentials == kept.credentials(user.id)
    assert (by_email.credentials.password_hash, by_email.credentials.credential_version) == (
        HASH,
        1,
    )


def test_what_is_asked_of_an_unknown_user_is_not_found(kept: Kept) -> None:
    session = kept.session_request(UNKNOWN)
    calls: list[Callable[[], object]] = [
        lambda: kept.read(UNKNOWN),
        lambda: kept.credentials(UNKNOWN),
        lambda: kept.users.GetCredentials(
            user_repository_pb2.GetCredentialsRequest(email="nobody@example.org")
        ),
        lambda: kept.users.UpdateUser(update(UNKNOWN, name="x")),
        lambda: kept.users.UpdateUserStatus(status(UNKNOWN, SUSPENDED)),
        lambda: kept.users.ReplaceUserRoles(replaced_roles(UNKNOWN, "user")),
        lambda: kept.users.DeleteUser(deletion(UNKNOWN)),
        lambda: kept.users.GetUserProfile(
            user_repository_pb2.GetUserProfileRequest(user_id=UNKNOWN)
        ),
        lambda: kept.users.ReplaceUserProfile(
            user_repository_pb2.ReplaceUserProfileRequest(user_id=UNKNOWN)
        ),
        lambda: kept.users.ReplacePassword(
            user_repository_pb2.ReplacePasswordRequest(
                user_id=UNKNOWN, expected_credential_version=1, password_hash=HASH
            )
        ),
        lambda: kept.keep_token(UNKNOWN, "t", RESET),
        lambda: kept.sessions.CreateSession(session),
    ]
    assert {code_of(call) for call in calls} == {"USER_NOT_FOUND"}


def test_one_address_in_two_letter_cases_is_taken(kept: Kept) -> None:
    kept.user("ada@example.org")
    other = kept.user("other@example.org")
    assert code_of(lambda: kept.user("ADA@example.org")) == "EMAIL_EXISTS"
    taken = update(other.id, email="Ada@Example.org")
    assert code_of(lambda: kept.users.UpdateUser(taken)) == "EMAIL_EXISTS"


def test_a_creation_with_a_key_happens_once(kept: Kept) -> None:
    first = kept.users.CreateUser(kept.creation(key="k"))
    again = kept.users.CreateUser(kept.creation(key="k"))
    other = kept.creation("other@example.org", key="k")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.user == first.user
    assert code_of(lambda: kept.users.CreateUser(other)) == "IDEMPOTENCY_KEY_REUSED"


def test_a_creation_that_failed_leaves_its_key_free(kept: Kept) -> None:
    kept.user()
    assert code_of(lambda: kept.users.CreateUser(kept.creation(key="k"))) == "EMAIL_EXISTS"
    fresh = kept.users.CreateUser(kept.creation("new@example.org", key="k"))
    assert not fresh.replayed


def test_a_change_moves_the_version_and_another_version_is_refused(kept: Kept) -> None:
    user = kept.user()
    kept.clock.advance(1)
    changed = kept.users.UpdateUser(update(user.id, 1, name="New")).user
    assert (changed.name, changed.email, changed.version) == ("New", user.email, 2)
    assert changed.updated_time != user.updated_time
    assert kept.read(user.id) == changed
    stale: list[Callable[[], object]] = [
        lambda: kept.users.UpdateUser(update(user.id, 1, name="Newer")),
        lambda: kept.users.UpdateUserStatus(status(user.id, SUSPENDED, 1)),
        lambda: kept.users.DeleteUser(deletion(user.id, 1)),
    ]
    assert {code_of(call) for call in stale} == {"PRECONDITION_FAILED"}


def test_a_new_address_is_unverified_and_kills_tokens_of_the_old_one(kept: Kept) -> None:
    user = kept.user()
    kept.keep_token(user.id, "first", VERIFICATION)
    kept.keep_token(user.id, "second", VERIFICATION)
    kept.verify("first")
    assert kept.read(user.id).email_verified
    kept.keep_token(user.id, "third", VERIFICATION)
    request = update(user.id, email="new@example.org")
    request.verification_token.CopyFrom(kept.token("new", VERIFICATION))
    assert not kept.users.UpdateUser(request).user.email_verified
    assert code_of(lambda: kept.verify("second")) == "INVALID_TOKEN"
    assert code_of(lambda: kept.verify("third")) == "INVALID_TOKEN"
    kept.verify("new")
    assert kept.read(user.id).email_verified


def new_password(user_id: str) -> user_repository_pb2.ReplacePasswordRequest:
    return user_repository_pb2.ReplacePasswordRequest(
        user_id=user_id, expected_credential_version=1, password_hash=OTHER_HASH
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda kept, user_id: kept.users.UpdateUser(update(user_id, email="new@example.org")),
        lambda kept, user_id: kept.users.ReplacePassword(new_password(user_id)),
    ],
    ids=["address", "password"],
)
def test_a_new_address_or_password_kills_the_reset_tokens_mailed_before(
    kept: Kept, change: Callable[[Kept, str], object]
) -> None:
    user, other = kept.user(), kept.user("other@example.org")
    kept.keep_token(user.id, "mine", RESET)
    kept.keep_token(other.id, "others", RESET)
    change(kept, user.id)
    assert code_of(lambda: kept.owner("mine", RESET)) == "INVALID_TOKEN"
    assert code_of(lambda: kept.reset("mine")) == "INVALID_TOKEN"
    assert kept.owner("others", RESET) == other.id
    kept.keep_token(user.id, "after", RESET)
    kept.reset("after")


def test_reset_tokens_outlive_changes_of_anything_else(kept: Kept) -> None:
    user = kept.user()
    kept.keep_token(user.id, "t", RESET)
    kept.users.UpdateUser(update(user.id, name="New", email="ADA@example.org"))
    assert kept.owner("t", RESET) == user.id


def test_another_letter_case_of_the_address_stays_verified(kept: Kept) -> None:
    user = kept.user()
    kept.keep_token(user.id, "t", VERIFICATION)
    kept.verify("t")
    changed = kept.users.UpdateUser(update(user.id, email="ADA@example.org")).user
    assert (changed.email, changed.email_verified) == ("ADA@example.org", True)


def test_leaving_active_ends_every_session_of_the_user(kept: Kept) -> None:
    user, other = kept.user(), kept.user("other@example.org")
    mine, others = kept.session(user.id, "a"), kept.session(other.id, "b")
    suspended = kept.users.UpdateUserStatus(status(user.id, SUSPENDED)).user
    assert suspended.status == SUSPENDED
    assert code_of(lambda: kept.lives(mine)) == "NOT_FOUND"
    assert kept.lives(others).session.id == others
    refused = kept.session_request(user.id, "c")
    assert code_of(lambda: kept.sessions.CreateSession(refused)) == "ACCOUNT_NOT_ACTIVE"


def test_the_last_active_admin_stays_one(kept: Kept) -> None:
    admin = kept.user("admin@example.org", "admin", "user")
    other = kept.user("other@example.org", "admin", "user")
    kept.users.UpdateUserStatus(status(other.id, SUSPENDED))
    refused: list[Callable[[], object]] = [
        lambda: kept.users.UpdateUserStatus(status(admin.id, SUSPENDED)),
        lambda: kept.users.ReplaceUserRoles(replaced_roles(admin.id, "user")),
        lambda: kept.users.DeleteUser(deletion(admin.id)),
    ]
    assert {code_of(call) for call in refused} == {"INVALID_STATE"}
    kept.users.UpdateUserStatus(status(other.id, ACTIVE))
    kept.users.DeleteUser(deletion(admin.id))
    assert code_of(lambda: kept.read(admin.id)) == "USER_NOT_FOUND"


def test_replaced_roles_show_in_the_user_its_session_and_the_feed(kept: Kept) -> None:
    user = kept.user()
    session_id = kept.session(user.id)
    changed = kept.users.ReplaceUserRoles(replaced_roles(user.id, "user", "premium")).user
    assert list(changed.roles) == ["premium", "user"]
    assert list(kept.lives(session_id).roles) == ["premium", "user"]
    (change,) = kept.changes().role_changes
    assert (change.user_id, list(change.roles)) == (user.id, ["premium", "user"])


def test_a_deleted_user_leaves_a_free_address_and_ended_sessions(kept: Kept) -> None:
    user = kept.user()
    session_id = kept.session(user.id)
    kept.keep_token(user.id, "t", RESET)
    kept.users.DeleteUser(deletion(user.id))
    assert code_of(lambda: kept.users.DeleteUser(deletion(user.id))) == "USER_NOT_FOUND"
    assert code_of(lambda: kept.lives(session_id)) == "NOT_FOUND"
    assert code_of(lambda: kept.reset("t")) == "INVALID_TOKEN"
    assert [one.session_id for one in kept.changes().ended_sessions] == [session_id]
    assert kept.user().email == user.email


def test_a_profile_starts_at_version_0_and_minds_the_one_expected(kept: Kept) -> None:
    user = kept.user()
    read = user_repository_pb2.GetUserProfileRequest(user_id=user.id)
    profile = kept.users.GetUserProfile(read).profile
    assert (profile.user_id, profile.version, profile.bio) == (user.id, 0, "")
    request = user_repository_pb2.ReplaceUserProfileRequest(
        user_id=user.id, expected_version=0, bio="Hello", phone="+4915112345678"
    )
    replaced = kept.users.ReplaceUserProfile(request).profile
    assert (replaced.version, replaced.bio) == (1, "Hello")
    assert kept.users.GetUserProfile(read).profile == replaced
    assert code_of(lambda: kept.users.ReplaceUserProfile(request)) == "PRECONDITION_FAILED"
    assert kept.read(user.id).version == 1


def names(
    kept: Kept, request: user_repository_pb2.ListUsersRequest
) -> tuple[list[str], paging_pb2.PageResult]:
    listed = kept.users.ListUsers(request)
    return [user.name for user in listed.users], listed.page


@pytest.mark.parametrize("descending", [False, True])
def test_lists_walk_by_page_and_by_cursor_in_one_order(kept: Kept, *, descending: bool) -> None:
    for number in range(5):
        kept.clock.advance(1)
        kept.user(f"u{number}@example.org", name=f"N{number}")
    expected = [f"N{number}" for number in range(5)]
    if descending:
        expected.reverse()
    by_page, by_cursor = [], []
    for number in range(3):
        page = paging_pb2.PageRequest(page_size=2, page=number, descending=descending)
        found, result = names(kept, user_repository_pb2.ListUsersRequest(page=page))
        by_page += found
        assert result.total == 5
        assert bool(result.next_cursor) == (number < 2)
    page = paging_pb2.PageRequest(page_size=2, descending=descending)
    while True:
        found, result = names(kept, user_repository_pb2.ListUsersRequest(page=page))
        by_cursor += found
        if not result.next_cursor:
            break
        page.cursor = result.next_cursor
    assert not result.HasField("total")
    assert by_page == by_cursor == expected


def test_lists_sort_and_filter(kept: Kept) -> None:
    kept.user("c@example.org", "admin", "user", name="bert")
    kept.clock.advance(10)
    middle = kept.user("B@example.org", name="Anna")
    kept.clock.advance(10)
    last = kept.user("a@example.org", name="100%_Carl")
    kept.users.UpdateUserStatus(status(last.id, SUSPENDED))
    request = user_repository_pb2.ListUsersRequest
    wanted = user_repository_pb2.UserFilter
    cases = [
        (request(sort=user_repository_pb2.USER_SORT_FIELD_NAME), ["100%_Carl", "Anna", "bert"]),
        (request(sort=user_repository_pb2.USER_SORT_FIELD_EMAIL), ["100%_Carl", "Anna", "bert"]),
        (
            request(sort=user_repository_pb2.USER_SORT_FIELD_UPDATED_TIME),
            ["bert", "Anna", "100%_Carl"],
        ),
        (request(filter=wanted(status=SUSPENDED)), ["100%_Carl"]),
        (request(filter=wanted(role="admin")), ["bert"]),
        (request(filter=wanted(search="AN")), ["Anna"]),
        (request(filter=wanted(search="0%_c")), ["100%_Carl"]),
        (request(filter=wanted(search="_")), ["100%_Carl"]),
        (
            request(
                filter=wanted(
                    created_after_time=middle.created_time, created_before_time=last.created_time
                )
            ),
            ["Anna"],
        ),
    ]
    for asked, expected in cases:
        assert names(kept, asked)[0] == expected


def test_a_cursor_of_another_list_is_a_field_error(kept: Kept) -> None:
    for number in range(3):
        kept.user(f"u{number}@example.org")
    page = paging_pb2.PageRequest(page_size=1)
    _, result = names(kept, user_repository_pb2.ListUsersRequest(page=page))
    for cursor in (result.next_cursor, "nonsense"):
        other = user_repository_pb2.ListUsersRequest(
            filter=user_repository_pb2.UserFilter(role="user"),
            page=paging_pb2.PageRequest(page_size=1, cursor=cursor),
        )
        with pytest.raises(AppError) as refused:
            kept.users.ListUsers(other)
        assert set(refused.value.field_errors) == {"cursor"}
