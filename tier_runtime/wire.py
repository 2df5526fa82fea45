"""Serialized messages, taken apart and put together without decoding what is in them.

A cached value is a serialized message, and one tier's message is the next one's field. The wire
format (protobuf.dev/programming-guides/encoding) lets both be sent as they are: a message in a
field is its bytes behind the field's number and their length, and a repeated field is that again
and again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message

MessageT = TypeVar("MessageT", bound=Message)

_LENGTH_DELIMITED = 2
# A field's number and type, and a length, are at most so long in any message of ours.
_MAX_VARINT_BYTES = 5


def serialized_as(message_type: type[MessageT], serialized: bytes) -> MessageT:
    """Return the bytes, to a type checker as the message that they are.

    A servicer may answer with a serialized message in place of one, which the generated code's
    types do not know; see `CallServerInterceptor`.
    """
    del message_type
    return cast(MessageT, serialized)


def serialized_answers(
    channel: grpc.Channel, method: str, request_type: type[MessageT]
) -> Callable[[MessageT], bytes]:
    """Return what calls a method with one answer, "/package.Service/Method", and leaves it as is.

    It raises what a stub on this channel raises.
    """
    return cast(
        "Callable[[MessageT], bytes]",
        channel.unary_unary(
            method, request_serializer=request_type.SerializeToString, response_deserializer=None
        ),
    )


def message_field(number: int, serialized: bytes) -> bytes:
    """Return a serialized message as that field of another one. Numbers up to 15 only."""
    size = len(serialized)
    if size < 0x80:
        return bytes((number << 3 | _LENGTH_DELIMITED, size)) + serialized
    return bytes((number << 3 | _LENGTH_DELIMITED,)) + _varint(size) + serialized


def repeated_field(number: int, serialized: Iterable[bytes]) -> bytes:
    """Return serialized messages as that repeated field of another one. Numbers up to 15 only."""
    return b"".join([message_field(number, one) for one in serialized])


def message_fields(serialized: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of each field of a message that has messages for fields.

    Raises:
        DecodeError: it holds anything else.
    """
    position, end = 0, len(serialized)
    while position < end:
        key, position = _read_varint(serialized, position)
        size, position = _read_varint(serialized, position)
        after = position + size
        if key & 7 != _LENGTH_DELIMITED or after > end:
            raise DecodeError("Not a message that holds nothing but messages.")
        yield key >> 3, serialized[position:after]
        position = after


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _read_varint(serialized: bytes, position: int) -> tuple[int, int]:
    number = 0
    for index, byte in enumerate(serialized[position : position + _MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, position + index + 1
    raise DecodeError("Not a message that holds nothing but messages.")
