from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import text

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import user_pb2
from arcana.repository.v1 import user_repository_pb2 as messages
from repository_tier.column_types import MYSQL_DIALECTS
from tests.fakes.clock import FakeClock
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, bad_fields

SORTS: dict[messages.UserSortField.ValueType, Callable[[user_pb2.User], object]] = {
    messages.USER_SORT_FIELD_CREATED_TIME: lambda user: user.created_time.ToNanoseconds(),
    messages.USER_SORT_FIELD_UPDATED_TIME: lambda user: user.updated_time.ToNanoseconds(),
    messages.USER_SORT_FIELD_NAME: lambda user: user.name.casefold(),
    messages.USER_SORT_FIELD_EMAIL: lambda user: user.email.casefold(),
    messages.USER_SORT_FIELD_ID: lambda user: user.id,
}


@pytest.fixture
def many(tier: RunningTier, make: Requests, clock: FakeClock) -> list[user_pb2.User]:
    """Users with ties in each thing they can be sorted by."""
    made = []
    for number, name in enumerate(["bob", "Ada", "ada", "Éva", "Zoë", "BOB", "eva"]):
        if number % 3 == 0:
            clock.advance(1.5)
        made.append(tier.users.CreateUser(make.user(name=name)).user)
    clock.advance(1)
    made[2] = tier.users.UpdateUser(messages.UpdateUserRequest(user_id=made[2].id, name="ada")).user
    return made


def ids(users: Sequence[user_pb2.User]) -> list[str]:
    return [user.id for user in users]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", SORTS, ids=messages.UserSortField.Name)
def test_pages_and_cursors_walk_the_whole_list_in_the_same_order(
    tier: RunningTier,
    many: list[user_pb2.User],
    sort: messages.UserSortField.ValueType,
    descending: bool,
) -> None:
    key = SORTS[sort]
    expected = ids(sorted(many, key=lambda user: (key(user), user.id), reverse=descending))

    by_number: list[str] = []
    for number in itertools.count():
        page = PageRequest(page_size=3, page=number, descending=descending)
        answer = tier.users.ListUsers(messages.ListUsersRequest(page=page, sort=sort))
        by_number += ids(answer.users)
        assert answer.page.total == len(many)
        if not answer.page.next_cursor:
            break
    assert by_number == expected

    by_cursor: list[str] = []
    cursor = ""
    while cursor or not by_cursor:
        page = PageRequest(page_size=2, page=99, cursor=cursor, descending=descending)
        if not cursor:
            page.page = 0
        answer = tier.users.ListUsers(messages.ListUsersRequest(page=page, sort=sort))
        by_cursor += ids(answer.users)
        assert answer.page.HasField("total") is not bool(cursor)
        cursor = answer.page.next_cursor
    assert by_cursor == expected


def test_ten_users_by_creation_are_a_page_when_nothing_is_said(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    made = []
    for _ in range(11):
        clock.advance(1)
        made.append(tier.users.CreateUser(make.user()).user)
    answer = tier.users.ListUsers(messages.ListUsersRequest())
    assert list(answer.users) == made[:10]
    assert answer.page.total == 11


def test_a_page_behind_the_end_is_empty(tier: RunningTier, many: list[user_pb2.User]) -> None:
    page = PageRequest(page_size=100, page=2**31 - 1)
    answer = tier.users.ListUsers(messages.ListUsersRequest(page=page))
    assert (list(answer.users), answer.page.total, answer.page.next_cursor) == ([], len(many), "")


def test_filters_hold_together(tier: RunningTier, make: Requests, clock: FakeClock) -> None:
    early = tier.users.CreateUser(make.user(name="early")).user
    clock.advance(10)
    admin = tier.users.CreateUser(make.admin(name="admin")).user
    asleep = tier.users.CreateUser(make.admin(status=user_pb2.USER_STATUS_INACTIVE)).user
    clock.advance(10)
    late = tier.users.CreateUser(make.user(name="late")).user

    def found(**fields: object) -> list[str]:
        wanted = messages.UserFilter(**fields)  # type: ignore[arg-type]  # the test's own fields
        answer = tier.users.ListUsers(messages.ListUsersRequest(filter=wanted))
        assert answer.page.total == len(answer.users)
        return ids(answer.users)

    assert found() == ids([early, admin, asleep, late])
    assert found(role="admin") == ids([admin, asleep])
    assert found(role="admin", status=user_pb2.USER_STATUS_ACTIVE) == [admin.id]
    assert found(role="wizard") == []
    middle = admin.created_time
    assert found(created_after_time=middle) == ids([admin, asleep, late])
    assert found(created_before_time=middle) == [early.id]
    assert found(created_after_time=middle, created_before_time=late.created_time) == ids(
        [admin, asleep]
    )


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("ADA", ["Ada Lovelace"]),
        ("müller", ["Jörg MÜLLER"]),
        ("mu\u0308ller", ["Jörg MÜLLER"]),
        ("straße", ["Anna Strasse"]),
        ("100%", ["100% Eva"]),
        ("_", ["snake_case"]),
        ("/", ["a/b"]),
        ("\\", ["back\\slash"]),
        ("%", ["100% Eva"]),
        ("at-example", ["Ada Lovelace"]),
        ("  ada  ", ["Ada Lovelace"]),
        ("nobody", []),
    ],
)
def test_search_finds_text_as_it_stands_in_name_or_address(
    tier: RunningTier, make: Requests, search: str, names: list[str]
) -> None:
    tier.users.CreateUser(make.user(name="Ada Lovelace", email="someone@at-Example.org"))
    names_only = ["Jörg MÜLLER", "Anna Strasse", "100% Eva", "snake_case", "a/b", "back\\slash"]
    for number, name in enumerate(names_only):
        tier.users.CreateUser(make.user(name=name, email=f"{number}@example.org"))
    wanted = messages.UserFilter(search=search)
    answer = tier.users.ListUsers(messages.ListUsersRequest(filter=wanted))
    assert [user.name for user in answer.users] == names


def test_a_cursor_goes_on_in_a_filtered_list(
    tier: RunningTier, make: Requests, many: list[user_pb2.User]
) -> None:
    admins = [tier.users.CreateUser(make.admin()).user for _ in range(3)]
    wanted = messages.UserFilter(role="admin")
    sort = messages.USER_SORT_FIELD_ID
    first = tier.users.ListUsers(
        messages.ListUsersRequest(filter=wanted, sort=sort, page=PageRequest(page_size=2))
    )
    page = PageRequest(page_size=2, cursor=first.page.next_cursor)
    second = tier.users.ListUsers(messages.ListUsersRequest(filter=wanted, sort=sort, page=page))
    assert ids(first.users) + ids(second.users) == ids(admins)
    assert second.page.next_cursor == ""


def test_a_cursor_fits_its_own_list_only(tier: RunningTier, many: list[user_pb2.User]) -> None:
    first = tier.users.ListUsers(messages.ListUsersRequest(page=PageRequest(page_size=2)))
    cursor = first.page.next_cursor
    others = [
        messages.ListUsersRequest(sort=messages.USER_SORT_FIELD_NAME),
        messages.ListUsersRequest(sort=messages.USER_SORT_FIELD_UPDATED_TIME),
        messages.ListUsersRequest(page=PageRequest(descending=True)),
        messages.ListUsersRequest(filter=messages.UserFilter(search="a")),
    ]
    for request in others:
        request.page.cursor = cursor
        assert bad_fields(tier.users.ListUsers, request) == {"cursor"}


def test_users_who_come_between_two_pages_shift_nothing(
    tier: RunningTier, make: Requests, many: list[user_pb2.User]
) -> None:
    first = tier.users.ListUsers(
        messages.ListUsersRequest(sort=messages.USER_SORT_FIELD_NAME, page=PageRequest(page_size=4))
    )
    tier.users.CreateUser(make.user(name="aaa"))
    tier.users.DeleteUser(messages.DeleteUserRequest(user_id=first.users[-1].id))
    second = tier.users.ListUsers(
        messages.ListUsersRequest(
            sort=messages.USER_SORT_FIELD_NAME,
            page=PageRequest(page_size=10, cursor=first.page.next_cursor),
        )
    )
    assert set(ids(first.users) + ids(second.users)) == set(ids(many))


@pytest.mark.parametrize(
    ("request_fields", "bad"),
    [
        ({"page": PageRequest(page_size=101)}, {"page_size"}),
        ({"page": PageRequest(page_size=-1, page=-1)}, {"page_size", "page"}),
        ({"page": PageRequest(cursor="???")}, {"cursor"}),
        ({"page": PageRequest(cursor="x" * 9000)}, {"cursor"}),
        ({"sort": 77}, {"sort"}),
        ({"filter": messages.UserFilter(status=9)}, {"filter.status"}),  # type: ignore[arg-type]  # a wrong one
        ({"filter": messages.UserFilter(search="x" * 256)}, {"filter.search"}),
        ({"filter": messages.UserFilter(role="é")}, {"filter.role"}),
    ],
)
def test_what_makes_no_sense_in_a_list_is_a_field_error(
    tier: RunningTier, request_fields: dict[str, object], bad: set[str]
) -> None:
    request = messages.ListUsersRequest(**request_fields)  # type: ignore[arg-type]  # wrong on purpose
    assert bad_fields(tier.users.ListUsers, request) == bad


@pytest.mark.parametrize(
    ("columns", "index"),
    [
        ("created_time, id", "ix_users_created_time_id"),
        ("updated_time, id", "ix_users_updated_time_id"),
        ("name_key, id", "ix_users_name_key_id"),
        ("email_key", "uq_users_email_key"),
        ("id", "PRIMARY"),
    ],
)
def test_each_order_has_an_index_to_walk(tier: RunningTier, columns: str, index: str) -> None:
    ordered = f"ORDER BY {columns} LIMIT 3"
    if tier.engine.dialect.name in MYSQL_DIALECTS:
        # An optimizer that sees an empty table would rather sort it.
        query = f"SELECT * FROM users FORCE INDEX FOR ORDER BY ({index}) {ordered}"  # noqa: S608 - the test's own
        (plan,) = tier.rows(text(f"EXPLAIN FORMAT=TRADITIONAL {query}"))
        assert plan["key"] == index
        assert "filesort" not in (plan["Extra"] or "")
    else:
        query = f"SELECT * FROM users {ordered}"  # noqa: S608 - the test's own
        plans = " ".join(row["detail"] for row in tier.rows(text(f"EXPLAIN QUERY PLAN {query}")))
        assert "USING INDEX" in plans
        assert "TEMP B-TREE" not in plans
