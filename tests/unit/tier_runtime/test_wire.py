from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import user_pb2, user_repository_pb2
from tier_runtime.wire import message_field, message_fields, repeated_field, serialized_as

# Lengths on both sides of each step of a varint's length.
TEXTS = st.sampled_from([0, 1, 100, 117, 118, 119, 127, 128, 300, 16_370, 16_384, 70_000]).map(
    lambda size: "x" * size
)


@given(TEXTS)
def test_a_message_in_a_field_is_what_protobuf_makes_of_it(text: str) -> None:
    user = user_pb2.User(name=text)
    message = user_repository_pb2.GetUserResponse(user=user)
    assert message_field(1, user.SerializeToString()) == message.SerializeToString()


@given(st.lists(TEXTS, max_size=5))
def test_messages_in_fields_are_what_protobuf_makes_of_them(texts: list[str]) -> None:
    users = [user_pb2.User(name=text) for text in texts]
    page = paging_pb2.PageResult(total=3, next_cursor="abc")
    message = user_repository_pb2.ListUsersResponse(users=users, page=page)
    parts = [user.SerializeToString() for user in users]
    whole = repeated_field(1, parts) + message_field(2, page.SerializeToString())
    assert whole == message.SerializeToString()
    assert list(message_fields(whole)) == [
        *((1, part) for part in parts),
        (2, page.SerializeToString()),
    ]


@pytest.mark.parametrize(
    "serialized",
    [
        b"\x0a",
        b"\x0a\x02x",
        b"\x08\x01",
        b"\x0a\xff\xff\xff\xff\xff\x01",
        b"\xff\xff\xff\xff\xff\xff\x01",
        b"\x0a\x80",
    ],
    ids=["no length", "too short", "a number", "a long length", "a long key", "half a length"],
)
def test_what_holds_no_messages_is_refused(serialized: bytes) -> None:
    with pytest.raises(DecodeError):
        list(message_fields(serialized))


def test_an_answer_in_serialized_form_stays_as_it_is() -> None:
    answer: object = serialized_as(user_repository_pb2.GetUserResponse, b"\x0a\x00")
    assert answer == b"\x0a\x00"
