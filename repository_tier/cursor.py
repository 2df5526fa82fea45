"""Cursors: where a list goes on, opaque to everybody else."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson

from repository_tier.column_types import MAX_SORT_KEY_CHARACTERS
from repository_tier.field_checks import is_id
from tier_runtime.errors import AppError
from tier_runtime.validation import invalid

_FORMAT = 1
_MAX_CURSOR_CHARACTERS = 8192
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT64 = range(-(2**63), 2**63)

# What a list is sorted by, and how it is read back. Ids are texts that must be ids.
SortKey = str | int | datetime
KeyType = type[str] | type[int] | type[datetime] | type[UUID]


@dataclass(frozen=True, slots=True)
class Position:
    """The last item of a page: what it is sorted by, and its id."""

    key: SortKey
    id: str


def list_digest(*parts: bytes) -> str:
    """Return what tells one list from another: kind, order and filters."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def write_cursor(digest: str, position: Position) -> str:
    """Return the cursor that leads to the items after this position."""
    key = position.key
    plain: str | int = (key - _EPOCH) // _MICROSECOND if isinstance(key, datetime) else key
    content = orjson.dumps([_FORMAT, digest, plain, position.id])
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def read_cursor(digest: str, cursor: str, key_type: KeyType) -> Position:
    """Return the position in a cursor of this very list.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, field "cursor".
    """
    content = _content(cursor)
    if len(content) != 4 or content[:2] != [_FORMAT, digest]:
        raise _not_ours()
    plain, item_id = content[2], content[3]
    # Anybody can write what looks like a cursor.
    if not isinstance(item_id, str) or not is_id(item_id):
        raise _not_ours()
    if key_type is UUID and plain == item_id:
        return Position(item_id, item_id)
    if key_type is str and isinstance(plain, str) and len(plain) <= MAX_SORT_KEY_CHARACTERS:
        return Position(plain, item_id)
    # Not isinstance: that takes True for a number.
    if key_type is int and type(plain) is int and plain in _INT64:
        return Position(plain, item_id)
    if key_type is datetime and type(plain) is int:
        try:
            return Position(_EPOCH + plain * _MICROSECOND, item_id)
        except OverflowError:
            pass
    raise _not_ours()


def _content(cursor: str) -> Sequence[object]:
    if len(cursor) > _MAX_CURSOR_CHARACTERS:
        raise _not_ours()
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        content = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        raise _not_ours() from None
    return content if isinstance(content, list) else ()


def _not_ours() -> AppError:
    return invalid({"cursor": ["Not a cursor of this list."]})
