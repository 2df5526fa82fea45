"""Who did what, for those who ask later: one record for each act that matters to security.

The tier that decides about an act records it. Nothing of a record is a secret: no password, no
token, and of an e-mail address no more than its digest.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tier_runtime.call import Actor
from tier_runtime.errors import AppError
from tier_runtime.kinds import Kind
from tier_runtime.logs import get_logger

# The logger of the acts where no file is named.
LOGGER = "audit"

# What an act is about comes from its caller, who may send anything.
MAX_TEXT = 128
MAX_ITEMS = 16

_REFUSALS = frozenset({Kind.UNAUTHENTICATED, Kind.FORBIDDEN, Kind.THROTTLED})

Fact = str | int | list[str]


class Outcome(StrEnum):
    """How an act ended."""

    DONE = "done"
    # Whoever tried may not.
    DENIED = "denied"
    # It might have, and came to nothing, or it is not known: the code says which.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Act:
    """One act.

    Attributes:
        name: the RPC it is, without its package, such as `UserService/DeleteUser`.
        code: of the error that it ended in; empty when it is done.
        reason: what the caller was not told, such as `wrong_password`.
        target: what it was about, by names such as `user_id`.
        client_address: as far as the tier that records it knows.
    """

    name: str
    outcome: Outcome
    actor: Actor
    request_id: str
    code: str = ""
    reason: str = ""
    target: Mapping[str, Fact] = field(default_factory=dict)
    client_address: str = ""

    def fields(self) -> dict[str, object]:
        """Return the record as it is written, without what is empty."""
        actor = {
            "subject": self.actor.subject,
            "roles": sorted(self.actor.roles),
            "session_id": self.actor.session_id,
        }
        known = {
            "act": self.name[:MAX_TEXT],
            "outcome": self.outcome.value,
            "code": self.code,
            "reason": self.reason,
            "actor": {name: value for name, value in actor.items() if value},
            "target": {name: _bounded(value) for name, value in self.target.items()},
            "request_id": self.request_id,
            "client_address": self.client_address,
        }
        return {name: value for name, value in known.items() if value}


class AuditTrail(Protocol):
    """Keeps records of acts. Safe to use from several threads."""

    def record(self, act: Act) -> None:
        """Keep a record; what cannot be kept is logged as an error, and no act fails for it."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


class LoggedActs:
    """Keeps records as lines of the log."""

    def record(self, act: Act) -> None:
        """Write the line, as a warning for what was denied."""
        log = get_logger(LOGGER)
        write = log.warning if act.outcome is Outcome.DENIED else log.info
        write("act", **act.fields())

    def close(self) -> None:
        """Hold nothing that needs closing."""


def outcome_of(error: AppError) -> Outcome:
    """Return what an error means for the act that it ended."""
    return Outcome.DENIED if error.kind in _REFUSALS else Outcome.FAILED


def address_digest(email: str) -> str:
    """Return what stands for an e-mail address that is no account's, letter case ignored.

    SHA-256 without a key: both tiers must arrive at the same one, and who asks about an address
    must be able to find it. It is a pseudonym, not anonymity: who has the address can test for it.
    """
    normal = unicodedata.normalize("NFC", email.strip()).casefold()
    return hashlib.sha256(normal.encode("utf-8", "replace")).hexdigest()


def _bounded(value: Fact) -> Fact:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, list):
        return [each[:MAX_TEXT] for each in value[:MAX_ITEMS]]
    return value
