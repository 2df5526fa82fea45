"""Streams of requests that say themselves where they end: one `start`, any `chunk`s, one `end`.

To its reader a stream that broke off can look like one that ended well, so what must be whole has
a mark of its end in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from google.protobuf.message import Message

from tier_runtime.errors import AppError, Kind

MessageT = TypeVar("MessageT", bound=Message)

# The oneof of the messages, and its members in their order.
_PART = "part"
_START, _CHUNK, _END = "start", "chunk", "end"


def in_order(messages: Iterable[MessageT]) -> Iterator[MessageT]:
    """Yield the messages of a stream up to its `end`. What comes after that is not read.

    Raises:
        AppError: INVALID/MALFORMED_BODY for another order, an empty chunk, or a stream without an
            end.
    """
    expected = frozenset({_START})
    for message in messages:
        part = message.WhichOneof(_PART)
        if part not in expected:
            raise _malformed(f"The stream has {part or 'nothing'} where it cannot be.")
        if part == _CHUNK and not message.chunk:  # type: ignore[attr-defined]  # it has that part.
            raise _malformed("A chunk of the stream is empty.")
        yield message
        if part == _END:
            return
        expected = frozenset({_CHUNK, _END})
    raise _malformed("The stream broke off before its end.")


def _malformed(message: str) -> AppError:
    return AppError(Kind.INVALID, "MALFORMED_BODY", message)
