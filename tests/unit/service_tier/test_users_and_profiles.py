from __future__ import annotations

import itertools

import pytest

from arcana.common.v1 import paging_pb2
from arcana.service.v1 import user_pb2
from arcana.service.v1 import user_service_pb2 as pb
from tests.unit.service_tier.harness import ADMIN, Harness
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind

STRANGER = Actor("019aa000-0000-7000-8000-00000000000b", frozenset({"user"}))


def people(harness: Harness, count: int) -> list[str]:
    ids = []
    for number in range(count):
        harness.clock.advance(1)
        ids.append(harness.create(f"user{number:03}@example.org").id)
    return ids


def test_a_user_is_read_by_itself_and_by_admins(harness: Harness) -> None:
    user = harness.register()
    for actor in (harness.actor(), ADMIN):
        with harness.acting(actor):
            read = harness.users.GetUser(pb.GetUserRequest(user_id=user.id)).user
        assert read.id == user.id


def test_an_unknown_user_is_not_found_by_admins_and_forbidden_to_others(harness: Harness) -> None:
    request = pb.GetUserRequest(user_id="019aa000-0000-7000-8000-000000000001")
    with harness.acting(ADMIN), pytest.raises(AppError) as missing:
        harness.users.GetUser(request)
    with harness.acting(STRANGER), pytest.raises(AppError) as forbidden:
        harness.users.GetUser(request)
    assert (missing.value.kind, missing.value.code) == (Kind.MISSING, "USER_NOT_FOUND")
    assert forbidden.value.code == "FORBIDDEN"


def test_lists_are_paged_sorted_and_filtered(harness: Harness) -> None:
    ids = people(harness, 3)
    harness.create("admin@example.org", "admin")
    with harness.acting(ADMIN):
        newest = harness.users.ListUsers(
            pb.ListUsersRequest(page=paging_pb2.PageRequest(page_size=2, descending=True))
        )
        by_email = harness.users.ListUsers(
            pb.ListUsersRequest(
                filter=pb.UserFilter(search="USER0", status=user_pb2.USER_STATUS_ACTIVE),
                sort=pb.USER_SORT_FIELD_EMAIL,
            )
        )
        admins = harness.users.ListUsers(pb.ListUsersRequest(filter=pb.UserFilter(role="admin")))
    assert [user.email for user in newest.users] == ["admin@example.org", "user002@example.org"]
    assert newest.page.total == 4
    assert newest.page.next_cursor
    assert [user.id for user in by_email.users] == ids
    assert [user.email for user in admins.users] == ["admin@example.org"]


def test_a_list_between_two_times_holds_its_start_and_not_its_end(harness: Harness) -> None:
    ids = people(harness, 3)
    made = [harness.repository.state.accounts[one].user.created_time for one in ids]
    with harness.acting(ADMIN):
        listed = harness.users.ListUsers(
            pb.ListUsersRequest(
                filter=pb.UserFilter(created_after_time=made[1], created_before_time=made[2])
            )
        )
    assert [user.id for user in listed.users] == [ids[1]]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListUsersRequest(filter=pb.UserFilter(role="owner")), "role"),
        (pb.ListUsersRequest(filter=pb.UserFilter(search="x" * 256)), "search"),
        (
            pb.ListUsersRequest(filter=pb.UserFilter(status=user_pb2.UserStatus.ValueType(9))),
            "status",
        ),
        (pb.ListUsersRequest(sort=pb.UserSortField.ValueType(9)), "sort"),
        (pb.ListUsersRequest(page=paging_pb2.PageRequest(page_size=101)), "page_size"),
        (pb.ListUsersRequest(page=paging_pb2.PageRequest(page=-1)), "page"),
        (pb.ListUsersRequest(page=paging_pb2.PageRequest(cursor="nonsense")), "cursor"),
    ],
    ids=lambda value: value if isinstance(value, str) else "request",
)
def test_bad_list_requests_name_their_field(
    harness: Harness, request_: pb.ListUsersRequest, field: str
) -> None:
    with harness.acting(ADMIN), pytest.raises(AppError) as refused:
        harness.users.ListUsers(request_)
    assert refused.value.code == "VALIDATION_FAILED"
    assert set(refused.value.field_errors) == {field}


def test_a_stream_gives_every_user_once_in_id_order_over_many_pages(harness: Harness) -> None:
    template = harness.create("user@example.org")
    accounts = harness.repository.state.accounts
    kept = accounts.pop(template.id)
    for number in range(230):
        user = user_pb2.User()
        user.CopyFrom(template)
        user.id = f"019aa000-0000-7000-8000-{number:012}"
        copy = type(kept)(type(kept.user).FromString(user.SerializeToString()), "", kept.profile)
        accounts[user.id] = copy
    harness.channel.calls.clear()
    with harness.acting(ADMIN):
        streamed = [one.user.id for one in harness.users.StreamUsers(pb.StreamUsersRequest())]
    assert streamed == sorted(accounts)
    assert harness.channel.calls == ["ListUsers"] * 3


def test_a_stream_ends_at_its_deadline(harness: Harness) -> None:
    people(harness, 1)
    # Longer than the deadline, on the way to the first page.
    harness.channel.before["ListUsers"] = lambda _: harness.clock.advance(10)
    accounts = harness.repository.state.accounts
    (kept,) = accounts.values()
    for number in range(150):
        copy = type(kept)(type(kept.user)(), "", kept.profile)
        copy.user.CopyFrom(kept.user)
        copy.user.id = f"019aa000-0000-7000-8000-{number:012}"
        accounts[copy.user.id] = copy
    with harness.acting(ADMIN):
        stream = harness.users.StreamUsers(pb.StreamUsersRequest())
        received = list(itertools.islice(stream, 100))
        with pytest.raises(AppError) as ended:
            next(stream)
    assert len(received) == 100
    assert ended.value.kind is Kind.DEADLINE


def test_lists_and_streams_are_for_admins(harness: Harness) -> None:
    for actor, code in ((Actor(), "UNAUTHENTICATED"), (STRANGER, "FORBIDDEN")):
        with harness.acting(actor):
            with pytest.raises(AppError) as listed:
                harness.users.ListUsers(pb.ListUsersRequest())
            with pytest.raises(AppError) as streamed:
                next(iter(harness.users.StreamUsers(pb.StreamUsersRequest())))
        assert listed.value.code == streamed.value.code == code


def test_a_stream_with_a_bad_filter_is_refused_before_the_first_user(harness: Harness) -> None:
    with harness.acting(ADMIN), pytest.raises(AppError) as refused:
        next(
            iter(
                harness.users.StreamUsers(pb.StreamUsersRequest(filter=pb.UserFilter(role="owner")))
            )
        )
    assert set(refused.value.field_errors) == {"role"}


def test_a_profile_is_empty_at_first_and_replaced_whole(harness: Harness) -> None:
    user = harness.register()
    with harness.acting(harness.actor()):
        empty = harness.users.GetUserProfile(pb.GetUserProfileRequest(user_id=user.id)).profile
        full = harness.users.ReplaceUserProfile(
            pb.ReplaceUserProfileRequest(
                user_id=user.id,
                expected_version=0,
                avatar_url="https://example.org/a.png",
                bio=" Hello ",
                phone="+4915112345678",
            )
        ).profile
        cleared = harness.users.ReplaceUserProfile(
            pb.ReplaceUserProfileRequest(user_id=user.id, bio="Hello")
        ).profile
    assert (empty.user_id, empty.version, empty.bio) == (user.id, 0, "")
    assert (full.version, full.bio, full.phone) == (1, "Hello", "+4915112345678")
    assert (cleared.version, cleared.avatar_url, cleared.phone) == (2, "", "")
    assert [event.payload["changed"] for event in harness.events("user.updated")] == [
        "profile",
        "profile",
    ]


def test_a_profile_of_another_version_is_not_replaced(harness: Harness) -> None:
    user = harness.register()
    request = pb.ReplaceUserProfileRequest(user_id=user.id, expected_version=0, bio="a")
    with harness.acting(ADMIN):
        harness.users.ReplaceUserProfile(request)
        with pytest.raises(AppError) as refused:
            harness.users.ReplaceUserProfile(request)
    assert (refused.value.kind, refused.value.code) == (Kind.STALE, "PRECONDITION_FAILED")


def test_bad_profiles_name_every_field(harness: Harness) -> None:
    user = harness.register()
    with harness.acting(ADMIN), pytest.raises(AppError) as refused:
        harness.users.ReplaceUserProfile(
            pb.ReplaceUserProfileRequest(user_id=user.id, avatar_url="x", bio="x" * 1001, phone="x")
        )
    assert set(refused.value.field_errors) == {"avatar_url", "bio", "phone"}


def test_profiles_are_for_their_users_and_admins(harness: Harness) -> None:
    user = harness.register()
    for actor, code in ((Actor(), "UNAUTHENTICATED"), (STRANGER, "FORBIDDEN")):
        with harness.acting(actor):
            with pytest.raises(AppError) as read:
                harness.users.GetUserProfile(pb.GetUserProfileRequest(user_id=user.id))
            with pytest.raises(AppError) as written:
                harness.users.ReplaceUserProfile(pb.ReplaceUserProfileRequest(user_id=user.id))
        assert read.value.code == written.value.code == code


def test_profiles_of_nobody_are_not_found(harness: Harness) -> None:
    unknown = "019aa000-0000-7000-8000-000000000001"
    with harness.acting(ADMIN):
        with pytest.raises(AppError, match="USER_NOT_FOUND"):
            harness.users.GetUserProfile(pb.GetUserProfileRequest(user_id=unknown))
        with pytest.raises(AppError, match="USER_NOT_FOUND"):
            harness.users.ReplaceUserProfile(pb.ReplaceUserProfileRequest(user_id=unknown))


def test_every_user_call_that_names_a_user_needs_one(harness: Harness) -> None:
    calls = (
        lambda: harness.users.GetUser(pb.GetUserRequest()),
        lambda: harness.users.UpdateUser(pb.UpdateUserRequest()),
        lambda: harness.users.UpdateUserStatus(
            pb.UpdateUserStatusRequest(status=user_pb2.USER_STATUS_ACTIVE)
        ),
        lambda: harness.users.ReplaceUserRoles(pb.ReplaceUserRolesRequest(roles=["user"])),
        lambda: harness.users.DeleteUser(pb.DeleteUserRequest()),
        lambda: harness.users.GetUserProfile(pb.GetUserProfileRequest()),
        lambda: harness.users.ReplaceUserProfile(pb.ReplaceUserProfileRequest()),
    )
    for call in calls:
        with harness.acting(ADMIN), pytest.raises(AppError) as refused:
            call()
        assert set(refused.value.field_errors) == {"user_id"}
