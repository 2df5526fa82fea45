"""Every message and method of every contract, and messages of any type, made up."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]  # ships no types
    ErrorInfo,
)
from hypothesis import strategies as st

from arcana.common.v1 import actor_pb2, domain_event_pb2, paging_pb2
from arcana.repository.v1 import (
    event_repository_pb2,
    idempotency_pb2,
    one_time_token_pb2,
    rate_limit_repository_pb2,
    session_repository_pb2,
    user_repository_pb2,
)
from arcana.repository.v1 import user_pb2 as repository_user_pb2
from arcana.service.v1 import auth_service_pb2, rate_limit_service_pb2, user_service_pb2
from arcana.service.v1 import user_pb2 as service_user_pb2
from tier_runtime.rest.routes import Route, route_of

MODULES: tuple[Any, ...] = (
    actor_pb2,
    domain_event_pb2,
    paging_pb2,
    event_repository_pb2,
    idempotency_pb2,
    one_time_token_pb2,
    rate_limit_repository_pb2,
    session_repository_pb2,
    user_repository_pb2,
    repository_user_pb2,
    auth_service_pb2,
    rate_limit_service_pb2,
    user_service_pb2,
    service_user_pb2,
)

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def _files() -> Iterator[FileDescriptor]:
    for module in MODULES:
        yield module.DESCRIPTOR


def message_classes() -> dict[str, list[type[Message]]]:
    """Return every message class of every contract, by the contract's file."""
    return {
        file.name: [GetMessageClass(message) for message in file.message_types_by_name.values()]
        for file in _files()
    }


def routes() -> list[Route]:
    """Return the route of every method of every contract."""
    return [
        route_of(f"/{service.full_name}/{method.name}")
        for file in _files()
        for service in file.services_by_name.values()
        for method in service.methods
    ]


def messages(message_class: type[Message]) -> st.SearchStrategy[Any]:
    """Make up messages of a type: any field set or not, any value that it may have."""
    descriptor: Any = message_class.DESCRIPTOR
    return _fields(descriptor).map(lambda fields: message_class(**fields))


# To make a strategy takes longer than to draw from it.
@cache
def _fields(descriptor: Descriptor) -> st.SearchStrategy[dict[str, Any]]:
    alternatives = {
        member.name: oneof.name
        for oneof in descriptor.oneofs
        if len(oneof.fields) > 1
        for member in oneof.fields
    }

    def without_rivals(fields: dict[str, Any]) -> dict[str, Any]:
        taken: set[str] = set()
        kept = {}
        for name, value in fields.items():
            oneof = alternatives.get(name, name)
            if oneof not in taken:
                taken.add(oneof)
                kept[name] = value
        return kept

    return st.fixed_dictionaries(
        {}, optional={field.name: _values(field) for field in descriptor.fields}
    ).map(without_rivals)


def _values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        entry = inner.fields_by_name
        return st.dictionaries(_one(entry["key"]), _one(entry["value"]), max_size=2)
    return st.lists(_one(field), max_size=2) if field.is_repeated else _one(field)


def _one(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return _message(field.message_type)
    if field.enum_type is not None:
        # A newer peer may know more values.
        return st.sampled_from([*field.enum_type.values_by_number, 99])
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=8)
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.text(max_size=8) | st.just("0192f7c5-7b7a-7c3e-b1de-000000000001")
    return st.integers(*_INTEGERS[field.cpp_type])


@cache
def _message(descriptor: Descriptor) -> st.SearchStrategy[Any]:
    if descriptor.full_name == "google.protobuf.Timestamp":
        nanos = st.integers(0, 999_999).map(lambda micros: micros * 1000)
        return st.builds(
            Timestamp,
            seconds=st.integers(-62_135_596_800, 253_402_300_799),
            nanos=st.just(0) | nanos | st.integers(0, 999_999_999),
        )
    if descriptor.full_name == "google.protobuf.Duration":
        return st.builds(
            Duration,
            seconds=st.integers(0, 315_576_000_000),
            nanos=st.integers(0, 999_999_999),
        ) | st.builds(Duration, seconds=st.integers(-9, 0), nanos=st.integers(-999_999_999, 0))
    if descriptor.full_name == "google.protobuf.Any":
        return st.text(max_size=4).map(_packed)
    return _fields(descriptor).map(lambda fields: GetMessageClass(descriptor)(**fields))


def _packed(reason: str) -> Any:
    packed = AnyMessage()
    packed.Pack(ErrorInfo(reason=reason, metadata={"a": "b"}))
    return packed
