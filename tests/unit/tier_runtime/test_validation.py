from __future__ import annotations

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message import Message
from google.protobuf.type_pb2 import Type
from google.protobuf.wrappers_pb2 import StringValue

from arcana.common.v1 import actor_pb2
from tier_runtime.errors import AppError, Kind
from tier_runtime.validation import invalid, require


def faults(request: Message, *names: str) -> dict[str, tuple[str, ...]]:
    with pytest.raises(AppError) as caught:
        require(request, *names)
    assert (caught.value.kind, caught.value.code) == (Kind.INVALID, "VALIDATION_FAILED")
    return caught.value.field_errors


def test_all_missing_fields_are_named_at_once() -> None:
    assert faults(actor_pb2.Actor(session_id="s"), "subject", "roles", "session_id") == {
        "subject": ("This field is required.",),
        "roles": ("This field is required.",),
    }


def test_a_request_with_all_its_fields_passes() -> None:
    require(actor_pb2.Actor(subject="s", roles=["user"]), "subject", "roles")


def test_a_field_that_tracks_presence_may_be_set_to_its_zero_value() -> None:
    require(FieldDescriptorProto(name="", number=0), "name", "number")
    assert faults(FieldDescriptorProto(), "name") == {"name": ("This field is required.",)}


def test_a_message_field_must_be_set_and_a_path_looks_inside_it() -> None:
    assert list(faults(Type(), "source_context.file_name")) == ["source_context.file_name"]
    request = Type()
    request.source_context.SetInParent()
    require(request, "source_context")
    assert list(faults(request, "source_context.file_name")) == ["source_context.file_name"]
    request.source_context.file_name = "x"
    require(request, "source_context.file_name")


def test_naming_a_field_that_does_not_exist_is_a_fault_of_the_code() -> None:
    with pytest.raises(ValueError, match="no field 'nope'"):
        require(StringValue(value="x"), "nope")


def test_invalid_carries_the_faults_of_each_field() -> None:
    assert invalid({"email": ["Wrong."]}).field_errors == {"email": ("Wrong.",)}
