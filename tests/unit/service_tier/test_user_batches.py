from __future__ import annotations

from typing import Any

import pytest

from arcana.common.v1 import actor_pb2
from arcana.service.v1 import user_service_pb2 as pb
from tests.unit.service_tier.harness import ADMIN, Harness
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind
from tier_runtime.metadata import actor_to_proto
from tier_runtime.status import from_status

UNKNOWN = "019aa000-0000-7000-8000-000000000001"
STRANGER = Actor("019aa000-0000-7000-8000-00000000000b", frozenset({"user"}))


def item(actor: Actor, user_id: str, request_id: str = "") -> pb.BatchGetUsersItem:
    return pb.BatchGetUsersItem(actor=actor_to_proto(actor, request_id), user_id=user_id)


def batch(harness: Harness, *items: pb.BatchGetUsersItem) -> list[str]:
    """Return who was found, or the code of what stood against it, for each item."""
    answer = harness.users.BatchGetUsers(pb.BatchGetUsersRequest(items=items))
    return [
        result.user.email if result.HasField("user") else from_status(result.error).code
        for result in answer.results
    ]


def test_each_item_is_read_with_the_rights_of_its_own_actor(harness: Harness) -> None:
    ada, bob = harness.create("ada@example.org"), harness.create("bob@example.org")
    own = Actor(ada.id, frozenset({"user"}))
    # The actor of the RPC itself could read them all.
    with harness.acting(ADMIN):
        found = batch(
            harness,
            item(own, ada.id),
            item(own, bob.id),
            item(STRANGER, ada.id),
            item(ADMIN, bob.id),
            item(ADMIN, UNKNOWN),
            item(Actor(), ada.id),
            pb.BatchGetUsersItem(user_id=ada.id),
            item(ADMIN, ""),
            pb.BatchGetUsersItem(actor=actor_pb2.Actor(roles=["admin"]), user_id=ada.id),
        )
    assert found == [
        "ada@example.org",
        "FORBIDDEN",
        "FORBIDDEN",
        "bob@example.org",
        "USER_NOT_FOUND",
        "UNAUTHENTICATED",
        "UNAUTHENTICATED",
        "VALIDATION_FAILED",
        "UNAUTHENTICATED",
    ]


def test_a_batch_goes_on_as_one(harness: Harness) -> None:
    ids = [harness.create(f"user{number}@example.org").id for number in range(3)]
    asked: list[Any] = []
    harness.channel.before["BatchGetUsers"] = asked.append
    harness.channel.calls.clear()
    items = [item(ADMIN, user_id, f"r-{number}") for number, user_id in enumerate(ids)]
    items[1].request_ids.extend(["r-7", "r-8"])
    assert len(batch(harness, *items, item(STRANGER, ids[0], "r-9"))) == 4
    assert harness.channel.calls == ["BatchGetUsers"]
    assert list(asked[0].user_ids) == ids
    assert list(asked[0].request_ids) == ["r-0", "r-1", "r-7", "r-8", "r-2", "r-9"]


def test_a_batch_of_what_nobody_may_read_asks_for_nothing(harness: Harness) -> None:
    ada = harness.create("ada@example.org")
    harness.channel.calls.clear()
    assert batch(harness, item(STRANGER, ada.id), item(Actor(), ada.id)) == [
        "FORBIDDEN",
        "UNAUTHENTICATED",
    ]
    assert harness.channel.calls == []


@pytest.mark.parametrize("count", [0, 257])
def test_a_batch_has_from_1_to_256_items(harness: Harness, count: int) -> None:
    with pytest.raises(AppError) as refused:
        batch(harness, *[item(ADMIN, UNKNOWN)] * count)
    assert set(refused.value.field_errors) == {"items"}


def test_a_batch_fails_as_a_whole_with_the_repository_tier(harness: Harness) -> None:
    def away(_request: Any) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    harness.channel.before["BatchGetUsers"] = away
    with pytest.raises(AppError, match="SERVICE_UNAVAILABLE"):
        batch(harness, item(ADMIN, UNKNOWN))
