"""Messages to and from JSON, at the price of code written by hand for each of them.

The form is protobuf's JSON mapping with the names of the contract (`user_id`), and int64 as JSON
numbers. What is read may be anything that the mapping allows: what is not written as we write it
goes to protobuf's own parser, which is several times slower.
"""

from __future__ import annotations

import re
import threading
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

import orjson
from google.protobuf import descriptor_pool, json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tier_runtime.rest.json_source import fit_name, is_special, parts, source_of, to_name
from tier_runtime.rest.json_values import (
    NotPlainError,
    bytes_from,
    duration_fields,
    duration_json,
    float_json,
    moment_fields,
    moment_json,
)

MessageT = TypeVar("MessageT", bound=Message)
Fields = dict[str, Any]

_TYPE = "@type"

# How protobuf's parser names fields: outer ones first, and one that there is not.
_TO_BLAME = re.compile(r'Failed to parse (\w{1,64}) field|no field named "(\w{1,64})"')
_MAX_DEPTH = 8

# What the fast path raises when somebody wrote the JSON in another of the ways that are allowed,
# or wrote something that is not.
_NOT_PLAIN = (AttributeError, KeyError, OverflowError, TypeError, ValueError)


class JsonError(ValueError):
    """Text that is no JSON, or no JSON of this message; quotes no value.

    `field` is the path of the field that is to blame, "" where that is not known.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class JsonCodec(Generic[MessageT]):
    """Writes and reads one type of message. Safe to use from several threads."""

    def __init__(self, message_class: type[MessageT]) -> None:
        functions = _functions_of(descriptor_of(message_class))
        self._class = message_class
        self._to_fields: Callable[[MessageT], Fields] = functions[0]
        self._fit: Callable[[Fields], None] = functions[1]

    def encode(self, message: MessageT) -> bytes:
        """Return the message as JSON; fields that are not set are left out.

        Raises:
            JsonError: the message has no JSON form, such as a time after the year 9999.
        """
        return dumps(self.to_fields(message))

    def decode(
        self,
        text: bytes,
        *,
        ignore_unknown: bool = False,
        beside: Mapping[str, str] = MappingProxyType({}),
    ) -> MessageT:
        """Return the message that JSON stands for, with the fields that came `beside` it.

        Raises:
            JsonError: it stands for none; fields that the message has not are a reason unless
                they are to be ignored.
        """
        try:
            fields = orjson.loads(text)
            if beside:
                fields.update(beside)
            self._fit(fields)
            return self._class(**fields)
        except _NOT_PLAIN:
            # Once more from the text: what was read is half changed.
            fields = self._loaded(text, beside)
        message = self._class()
        try:
            json_format.ParseDict(fields, message, ignore_unknown_fields=ignore_unknown)
        except (*_NOT_PLAIN, json_format.Error, RecursionError) as error:
            field = _field_in(str(error))
            raise JsonError(f"The JSON object is no {self._name}.", field) from error
        return message

    def to_fields(self, message: MessageT) -> Fields:
        """Return the message as a dict that orjson can write; times are datetimes.

        Raises:
            JsonError: the message has no JSON form.
        """
        try:
            return self._to_fields(message)
        except (OverflowError, ValueError, json_format.Error) as error:
            raise JsonError(f"{self._name} holds a value that JSON cannot show.") from error

    @property
    def _name(self) -> str:
        return self._class.DESCRIPTOR.full_name

    def _loaded(self, text: bytes, beside: Mapping[str, str]) -> Fields:
        try:
            fields = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise JsonError("The text is not JSON.") from None
        if type(fields) is not dict:
            raise JsonError(f"{self._name} is a JSON object.")
        fields.update(beside)
        return fields


def _field_in(text: str) -> str:
    """Return the path of the field that protobuf's parser complains about."""
    return ".".join(outer or unknown for outer, unknown in _TO_BLAME.findall(text)[:_MAX_DEPTH])


_codecs: dict[type[Message], JsonCodec[Any]] = {}


def codec_of(message_class: type[MessageT]) -> JsonCodec[MessageT]:
    """Return the codec of a type; it is made once."""
    codec = _codecs.get(message_class)
    if codec is None:
        codec = _codecs[message_class] = JsonCodec(message_class)
    return codec


def descriptor_of(message_class: type[Message]) -> Descriptor:
    """Return the descriptor of a type, which has several names for a type checker."""
    return cast("Descriptor", message_class.DESCRIPTOR)


def dumps(fields: Fields) -> bytes:
    """Return the JSON text of a dict of `to_fields`."""
    return orjson.dumps(fields, option=orjson.OPT_UTC_Z)


def _any_json(packed: AnyMessage) -> Fields:
    message = _message_class(packed.type_url)()
    message.ParseFromString(packed.value)
    if is_special(descriptor_of(type(message))):
        special: Fields = _special_json(packed)
        return special
    return {_TYPE: packed.type_url, **codec_of(type(message)).to_fields(message)}


def _any_fields(fields: Fields) -> Fields:
    type_url = fields.pop(_TYPE)
    message_class = _message_class(type_url)
    if is_special(descriptor_of(message_class)):
        raise NotPlainError
    message = codec_of(message_class).decode(orjson.dumps(fields))
    return {"type_url": type_url, "value": message.SerializeToString()}


def _message_class(type_url: str) -> type[Message]:
    try:
        found = descriptor_pool.Default().FindMessageTypeByName(type_url.rpartition("/")[2])
    except KeyError as error:
        raise ValueError("unknown type in an Any") from error
    return GetMessageClass(found)


def _special_json(message: Message) -> Any:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


# Where the functions of all types live, under names that follow from the types': they call one
# another, and a type may hold itself.
_enum_names: dict[str, dict[int, str]] = {}
_compiled: dict[str, Any] = {
    "NotPlainError": NotPlainError,
    "any_fields": _any_fields,
    "any_json": _any_json,
    "b2a_base64": b2a_base64,
    "bytes_from": bytes_from,
    "duration_fields": duration_fields,
    "duration_json": duration_json,
    "enum_names": _enum_names,
    "float_json": float_json,
    "moment_fields": moment_fields,
    "moment_json": moment_json,
    "special_json": _special_json,
}
_compiling = threading.Lock()


def _functions_of(message: Descriptor) -> tuple[Callable[..., Fields], Callable[..., None]]:
    with _compiling:
        waiting = [message]
        while waiting:
            current = waiting.pop()
            if to_name(current) not in _compiled:
                _compile(current)
                waiting += parts(current)
        return _compiled[to_name(message)], _compiled[fit_name(message)]


def _compile(message: Descriptor) -> None:
    for field in message.fields:
        enum = field.enum_type
        if enum is not None:
            names = {value.number: value.name for value in reversed(enum.values)}
            _enum_names[enum.full_name] = names
    # The source is made of the names in our contracts, which are identifiers.
    exec(compile(source_of(message), f"<JSON of {message.full_name}>", "exec"), _compiled)  # noqa: S102 - as dataclasses do it.
