from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError

from arcana.service.v1 import user_service_pb2 as pb
from arcana.service.v1.user_pb2 import User
from tier_runtime.batches import (
    batch_from_wire,
    batch_to_wire,
    request_ids_of,
    require_items,
)
from tier_runtime.errors import AppError, Kind
from tier_runtime.status import to_status

ADA = pb.GetUserResponse(user=User(id="ada", name="x" * 200))
NOBODY = AppError(Kind.MISSING, "USER_NOT_FOUND", "Nobody.", user_id="u-1")


def test_a_batch_is_the_message_of_the_contract() -> None:
    serialized = batch_to_wire([ADA.SerializeToString(), NOBODY])
    assert pb.BatchGetUsersResponse.FromString(serialized) == pb.BatchGetUsersResponse(
        results=[
            pb.BatchGetUsersResult(user=ADA.user),
            pb.BatchGetUsersResult(error=to_status(NOBODY)),
        ]
    )


def test_a_batch_is_read_as_single_answers_and_errors() -> None:
    ada, error, again = batch_from_wire(batch_to_wire([ADA.SerializeToString(), NOBODY] * 2)[:], 4)[
        :3
    ]
    assert ada == again == ADA.SerializeToString()
    assert isinstance(error, AppError)
    assert (error.code, error.metadata) == ("USER_NOT_FOUND", {"user_id": "u-1"})


@pytest.mark.parametrize(
    "serialized",
    [
        pb.BatchGetUsersResponse(results=[pb.BatchGetUsersResult()]).SerializeToString(),
        batch_to_wire([]),
        batch_to_wire([NOBODY, NOBODY]),
        b"\x12\x00",
        b"\x0a\x02\x1a\x00",
        b"\x0a\x04\x0a\x00\x0a\x00",
        b"\x0a\x03\x12\x01\xff",
        b"\x08\x01",
    ],
    ids=[
        "a result without outcome",
        "too few",
        "too many",
        "another field",
        "another outcome",
        "two outcomes",
        "a status that is none",
        "a number",
    ],
)
def test_what_is_no_batch_of_one_is_refused(serialized: bytes) -> None:
    with pytest.raises(DecodeError):
        batch_from_wire(serialized, 1)


def test_a_batch_has_from_1_to_256_items() -> None:
    require_items("items", 1)
    require_items("items", 256)
    for count in (0, 257):
        with pytest.raises(AppError) as refused:
            require_items("items", count)
        assert set(refused.value.field_errors) == {"items"}


def test_only_request_ids_are_noted_as_such() -> None:
    assert request_ids_of(["r-1", 'r-2","level":"error', "", "r-3"]) == {
        "request_ids": ["r-1", "r-3"]
    }
    assert request_ids_of([]) == {}
