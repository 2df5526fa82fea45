from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from arcana.service.v1 import user_service_pb2 as pb
from arcana.service.v1.user_pb2 import User
from controller_tier.stubs import UserStub
from controller_tier.user_reads import CoalescedUsers
from tests.fakes.service import FakeUsers
from tests.unit.controller_tier.readers import (
    ADMIN,
    STRANGER,
    WAIT_SECONDS,
    Readers,
    wait_until_gathered,
)
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind


class UserReaders(Readers):
    """Coalesced reads of users."""

    def __init__(self) -> None:
        super().__init__()
        fake = FakeUsers(self.tier)
        self.users = CoalescedUsers(
            fake,
            lambda request: fake.GetUser(request).SerializeToString(),
            lambda request: fake.BatchGetUsers(request).SerializeToString(),
            max_batch=64,
            # Nobody is so slow here that a second RPC would leave beside the first.
            patience_seconds=3600,
        )

    def read(self, actor: Actor, user: User, request_id: str) -> Future[User]:
        request = pb.GetUserRequest(user_id=user.id)
        return self.start(actor, request_id, lambda: self.users.GetUser(request).user)

    def wait_until_gathered(self, count: int) -> None:
        wait_until_gathered(self.users._reads, count)


@pytest.fixture
def readers() -> Iterator[UserReaders]:
    made = UserReaders()
    yield made
    made.close()


def test_a_lone_read_is_the_single_rpc_in_its_own_call(readers: UserReaders) -> None:
    ada = readers.tier.add_user()
    readers.answer()
    assert readers.read(ADMIN, ada, "r-1").result(WAIT_SECONDS) == ada
    (received,) = readers.tier.received
    assert received.method == "GetUser"
    assert received.call is not None
    assert (received.call.actor, received.call.request_id) == (ADMIN, "r-1")


def test_reads_at_the_same_time_go_as_one_each_for_its_own_actor(readers: UserReaders) -> None:
    ada, bob = readers.tier.add_user("ada@example.org"), readers.tier.add_user("bob@example.org")
    own = Actor(bob.id, frozenset({"user"}))
    first = readers.read(ADMIN, ada, "r-1")
    readers.wait_until_asked(1)
    others = []
    wanted = ((own, bob), (STRANGER, bob), (ADMIN, bob), (ADMIN, ada), (ADMIN, bob))
    for number, (actor, user) in enumerate(wanted, 2):
        others.append(readers.read(actor, user, f"r-{number}"))
        readers.wait_until_gathered(number - 1)
    readers.answer(2)
    assert first.result(WAIT_SECONDS) == ada
    with pytest.raises(AppError) as refused:
        others.pop(1).result(WAIT_SECONDS)
    assert (refused.value.kind, refused.value.code) == (Kind.FORBIDDEN, "FORBIDDEN")
    assert [one.result(WAIT_SECONDS) for one in others] == [bob, bob, ada, bob]

    assert readers.tier.methods() == ["GetUser", "BatchGetUsers"]
    request = readers.tier.last("BatchGetUsers").request
    assert isinstance(request, pb.BatchGetUsersRequest)
    told = [
        (item.actor.subject, item.user_id, item.actor.request_id, list(item.request_ids))
        for item in request.items
    ]
    # Two reads of one actor are one item: the request ids of both are told.
    assert told == [
        (bob.id, bob.id, "r-2", []),
        (STRANGER.subject, bob.id, "r-3", []),
        (ADMIN.subject, bob.id, "r-4", ["r-6"]),
        (ADMIN.subject, ada.id, "r-5", []),
    ]
    stranger = request.items[1].actor
    assert (list(stranger.roles), stranger.session_id) == (["user"], "session-1")


def test_one_who_reads_the_same_twice_at_the_same_time_is_told_of_twice(
    readers: UserReaders,
) -> None:
    ada = readers.tier.add_user()
    reads = [readers.read(ADMIN, ada, "r-1")]
    readers.wait_until_asked(1)
    for number in (2, 3):
        reads.append(readers.read(ADMIN, ada, f"r-{number}"))
        readers.wait_until_gathered(number - 1)
    readers.answer(2)
    assert [one.result(WAIT_SECONDS) for one in reads] == [ada] * 3
    request = readers.tier.last("BatchGetUsers").request
    assert isinstance(request, pb.BatchGetUsersRequest)
    (item,) = request.items
    assert (item.actor.request_id, list(item.request_ids)) == ("r-2", ["r-3"])


def test_outside_of_a_call_a_read_goes_alone(readers: UserReaders) -> None:
    ada = readers.tier.add_user()
    readers.answer()
    with pytest.raises(AppError) as refused:
        readers.users.GetUser(pb.GetUserRequest(user_id=ada.id))
    assert refused.value.code == "UNAUTHENTICATED"


def test_all_other_methods_are_passed_through(readers: UserReaders) -> None:
    ada = readers.tier.add_user()
    users: UserStub = readers.users
    with call_scope(Call(ADMIN, "r-1", Deadline.after(WAIT_SECONDS))):
        readers.answer(8)
        users.ListUsers(pb.ListUsersRequest())
        users.CreateUser(pb.CreateUserRequest(email="new@example.org", name="New", password="x"))
        users.UpdateUser(pb.UpdateUserRequest(user_id=ada.id, name="Ada"))
        users.UpdateUserStatus(pb.UpdateUserStatusRequest(user_id=ada.id, status=ada.status))
        users.ReplaceUserRoles(pb.ReplaceUserRolesRequest(user_id=ada.id, roles=["user"]))
        users.GetUserProfile(pb.GetUserProfileRequest(user_id=ada.id))
        users.ReplaceUserProfile(pb.ReplaceUserProfileRequest(user_id=ada.id))
        users.DeleteUser(pb.DeleteUserRequest(user_id=ada.id))
    assert readers.tier.methods() == [
        "ListUsers",
        "CreateUser",
        "UpdateUser",
        "UpdateUserStatus",
        "ReplaceUserRoles",
        "GetUserProfile",
        "ReplaceUserProfile",
        "DeleteUser",
    ]
