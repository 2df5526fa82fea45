"""Ids as a port: UUIDv7 strings (RFC 9562), which sort by the time they were made."""

from __future__ import annotations

from typing import Protocol

import uuid_utils


class IdSource(Protocol):
    """Makes ids."""

    def new_id(self) -> str:
        """Return an id that no other call returns."""
        ...


class Uuid7Source:
    """Makes UUIDv7 ids in their 36-character lower-case form."""

    def new_id(self) -> str:
        """Return an id that no other call returns."""
        return str(uuid_utils.uuid7())
