"""The JSON of REST hops, held against protobuf's own reading and writing of it."""

from __future__ import annotations

import json

import orjson
import pytest
from google.protobuf import json_format, struct_pb2, wrappers_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]  # ships no types
    ErrorInfo,
)
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types
from hypothesis import given, settings
from hypothesis import strategies as st

from arcana.common.v1 import domain_event_pb2, paging_pb2
from arcana.repository.v1 import session_repository_pb2, user_repository_pb2
from arcana.service.v1 import rate_limit_service_pb2, user_pb2, user_service_pb2
from tests.unit.tier_runtime.rest.contracts import message_classes, messages
from tier_runtime.rest.codec import JsonError, codec_of

CONTRACTS = {**message_classes(), "google/rpc/status.proto": [Status]}
EVERY_CONTRACT = pytest.mark.parametrize("classes", CONTRACTS.values(), ids=CONTRACTS.keys())
# Together enough for each message of a contract to have its turn several times.
BRIEFLY = settings(max_examples=40, deadline=None)

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "1", "true", "AA==", "2026-11-21T04:00:00Z", "1.5s", "X"])
    | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=3,
)


@EVERY_CONTRACT
@BRIEFLY
@given(data=st.data())
def test_what_is_written_is_read_alike_by_us_and_by_protobuf(
    classes: list[type[Message]], data: st.DataObject
) -> None:
    message_class = data.draw(st.sampled_from(classes))
    message = data.draw(messages(message_class))
    text = codec_of(message_class).encode(message)
    assert codec_of(message_class).decode(text) == message
    assert json_format.ParseDict(orjson.loads(text), message_class()) == message


@EVERY_CONTRACT
@BRIEFLY
@given(data=st.data(), keep_names=st.booleans())
def test_what_protobuf_writes_is_read(
    classes: list[type[Message]], data: st.DataObject, keep_names: bool
) -> None:
    message_class = data.draw(st.sampled_from(classes))
    message = data.draw(messages(message_class))
    fields = json_format.MessageToDict(message, preserving_proto_field_name=keep_names)
    assert codec_of(message_class).decode(orjson.dumps(fields)) == message


@EVERY_CONTRACT
@BRIEFLY
@given(data=st.data(), ignore_unknown=st.booleans())
def test_what_protobuf_refuses_is_refused_and_what_it_takes_means_the_same(
    classes: list[type[Message]], data: st.DataObject, ignore_unknown: bool
) -> None:
    message_class = data.draw(st.sampled_from(classes))
    message = data.draw(messages(message_class))
    fields = orjson.loads(codec_of(message_class).encode(message))
    names = [field.name for field in message_class.DESCRIPTOR.fields]
    spoilt = data.draw(st.sampled_from([*names, "unknown_field"]))
    fields[spoilt] = data.draw(JSON_VALUES)
    text = json.dumps(fields).encode()
    try:
        expected = json_format.ParseDict(
            orjson.loads(text), message_class(), ignore_unknown_fields=ignore_unknown
        )
    # What protobuf's parser raises on JSON of the wrong shape is not only its own error.
    except (json_format.Error, TypeError, ValueError, AttributeError):
        with pytest.raises(JsonError):
            codec_of(message_class).decode(text, ignore_unknown=ignore_unknown)
    else:
        assert codec_of(message_class).decode(text, ignore_unknown=ignore_unknown) == expected


def test_a_user_is_written_as_a_person_would_write_it() -> None:
    user = user_pb2.User(
        id="0192",
        status=user_pb2.USER_STATUS_ACTIVE,
        email_verified=True,
        roles=["user"],
        version=2**53 + 1,
        created_time=Timestamp(seconds=1, nanos=500_000),
        updated_time=Timestamp(seconds=0),
        last_login_time=Timestamp(seconds=-1, nanos=1),
    )
    assert codec_of(user_pb2.User).encode(user) == (
        b'{"id":"0192","status":"USER_STATUS_ACTIVE","email_verified":true,"roles":["user"],'
        b'"version":9007199254740993,"created_time":"1970-01-01T00:00:01.000500Z",'
        b'"updated_time":"1970-01-01T00:00:00Z",'
        b'"last_login_time":"1969-12-31T23:59:59.000000001Z"}'
    )


def test_bytes_are_base64_and_durations_seconds() -> None:
    rotation = session_repository_pb2.RotateRefreshTokenRequest(presented_sha256=b"\xff\xfe")
    codec = codec_of(session_repository_pb2.RotateRefreshTokenRequest)
    assert codec.encode(rotation) == b'{"presented_sha256":"//4="}'
    state = rate_limit_service_pb2.RateLimitState(
        reset_after=Duration(seconds=1, nanos=500_000_000)
    )
    assert codec_of(rate_limit_service_pb2.RateLimitState).encode(state) == (
        b'{"reset_after":"1.500s"}'
    )


def test_zero_of_an_optional_field_is_written_and_of_another_is_not() -> None:
    codec = codec_of(paging_pb2.PageResult)
    assert codec.encode(paging_pb2.PageResult(total=0)) == b'{"total":0}'
    assert codec.encode(paging_pb2.PageResult(next_cursor="")) == b"{}"


def test_an_unknown_enum_value_stays_a_number() -> None:
    codec = codec_of(user_pb2.User)
    user = codec.decode(b'{"status":99}')
    assert user.status == 99
    assert codec.encode(user) == b'{"status":99}'


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"[]",
        b'"text"',
        b"null",
        b'{"id":NaN}',
        b'{"id":"\\ud800"}',
        b'{"version":true}',
        b'{"version":1.5}',
        b'{"version":9223372036854775808}',
        b'{"email_verified":1}',
        b'{"roles":"abc"}',
        b'{"roles":{"a":1}}',
        b'{"status":"NO_SUCH"}',
        b'{"created_time":"2026-11-21"}',
        b'{"created_time":"2026-W47-6T04:00:00Z"}',
        b'{"created_time":"20261121T040000.0Z"}',
        b'{"created_time":{"seconds":1}}',
        b'{"no_such_field":1}',
    ],
)
def test_what_is_no_user_is_refused(text: bytes) -> None:
    with pytest.raises(JsonError):
        codec_of(user_pb2.User).decode(text)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (b'{"user":{"id":1}}', "user.id"),
        (b'{"user":{"roles":[1]}}', "user.roles"),
        (b'{"user":{"shoe_size":"secret"}}', "user.shoe_size"),
        (b"nonsense", ""),
    ],
)
def test_the_field_to_blame_is_named_and_no_value_quoted(text: bytes, field: str) -> None:
    with pytest.raises(JsonError) as caught:
        codec_of(user_service_pb2.GetUserResponse).decode(text)
    assert caught.value.field == field
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "version"),
    [(b'{"version":"7"}', 7), (b'{"version":7.0}', 7), (b'{"version":null}', 0)],
)
def test_numbers_may_be_written_as_the_mapping_allows(text: bytes, version: int) -> None:
    assert codec_of(user_pb2.User).decode(text).version == version


@pytest.mark.parametrize(
    "text", ["2026-11-21T04:00:00Z", "2026-11-21T05:00:00+01:00", "2026-11-21T04:00:00.000Z"]
)
def test_times_may_be_written_as_the_mapping_allows(text: str) -> None:
    user = codec_of(user_pb2.User).decode(b'{"createdTime":"%s"}' % text.encode())
    assert user.created_time.ToJsonString() == "2026-11-21T04:00:00Z"


def test_an_unknown_field_is_ignored_where_that_is_asked_for() -> None:
    codec = codec_of(user_service_pb2.GetUserResponse)
    text = b'{"user":{"id":"1","shoe_size":44},"newer":{"a":[1]}}'
    assert codec.decode(text, ignore_unknown=True).user.id == "1"
    with pytest.raises(JsonError):
        codec.decode(text)


def test_two_members_of_a_oneof_are_refused() -> None:
    codec = codec_of(user_repository_pb2.GetCredentialsRequest)
    assert codec.decode(b'{"email":"a@example.org"}').email == "a@example.org"
    with pytest.raises(JsonError):
        codec.decode(b'{"email":"a@example.org","user_id":"1"}')


def test_details_of_a_status_are_written_with_their_type() -> None:
    failure = Status(code=5, message="No.")
    failure.details.add().Pack(ErrorInfo(reason="USER_NOT_FOUND", domain="arcana"))
    text = codec_of(Status).encode(failure)
    assert orjson.loads(text)["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "USER_NOT_FOUND",
            "domain": "arcana",
        }
    ]
    assert codec_of(Status).decode(text) == failure


def test_details_of_an_unknown_type_have_no_json_form() -> None:
    failure = Status(code=5)
    failure.details.add(type_url="type.googleapis.com/no.such.Type", value=b"x")
    with pytest.raises(JsonError):
        codec_of(Status).encode(failure)
    with pytest.raises(JsonError):
        codec_of(Status).decode(b'{"details":[{"@type":"type.googleapis.com/no.such.Type"}]}')


def test_a_time_after_the_year_9999_has_no_json_form() -> None:
    user = user_pb2.User(created_time=Timestamp(seconds=253_402_300_800))
    with pytest.raises(JsonError):
        codec_of(user_pb2.User).encode(user)


def test_types_with_a_form_of_their_own_are_left_to_protobuf_inside_an_any() -> None:
    failure = Status(code=5)
    failure.details.add().Pack(wrappers_pb2.StringValue(value="text"))
    struct = struct_pb2.Struct()
    struct["a"] = 1.5
    failure.details.add().Pack(struct)
    failure.details.add().Pack(Duration(seconds=3))
    text = codec_of(Status).encode(failure)
    assert orjson.loads(text)["details"][1]["value"] == {"a": 1.5}
    assert codec_of(Status).decode(text) == failure


def test_a_field_that_came_beside_the_text_belongs_to_the_message() -> None:
    codec = codec_of(user_service_pb2.UpdateUserRequest)
    request = codec.decode(b'{"name":"Ada"}', beside={"user_id": "1"})
    assert (request.user_id, request.name) == ("1", "Ada")
    # Also where the text is not written as we write it.
    request = codec.decode(b'{"expectedVersion":"3"}', beside={"user_id": "1"})
    assert (request.user_id, request.expected_version) == ("1", 3)


def test_maps_of_text_are_objects() -> None:
    event = domain_event_pb2.DomainEvent(payload={"user_id": "1"})
    codec = codec_of(domain_event_pb2.DomainEvent)
    assert codec.encode(event) == b'{"payload":{"user_id":"1"}}'
    with pytest.raises(JsonError):
        codec.decode(b'{"payload":{"user_id":1}}')
    with pytest.raises(JsonError):
        codec.decode(b'{"payload":[]}')


def test_a_codec_is_made_once() -> None:
    assert codec_of(user_pb2.User) is codec_of(user_pb2.User)


@EVERY_CONTRACT
def test_every_message_has_a_codec(classes: list[type[Message]]) -> None:
    for message_class in classes:
        assert codec_of(message_class).encode(message_class()) == b"{}"
        assert codec_of(message_class).decode(b"{}") == message_class()
