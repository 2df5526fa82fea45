"""Checks on what comes in: a tier distrusts its callers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from repository_tier.column_types import MAX_SORT_KEY_CHARACTERS
from repository_tier.text_keys import email_key, nfc, trimmed
from tier_runtime.metadata import is_traceparent
from tier_runtime.timestamps import datetime_from
from tier_runtime.validation import REQUIRED, invalid

MAX_EMAIL_CHARACTERS = 254
SHA256_BYTES = 32

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_PHONE = re.compile(r"\+[1-9][0-9]{1,14}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_id(text: str) -> bool:
    """True for a UUID in the form in which ids are stored and sent."""
    return _UUID.fullmatch(text) is not None


class FieldChecks:
    """Collects what is wrong with a request, to tell all of it at once.

    Each method returns the value as it is stored. Call `done` when all fields have been through.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._faults: dict[str, list[str]] = {}

    def fault(self, field: str, message: str) -> None:
        """Note what is wrong with a field."""
        self._faults.setdefault(self._prefix + field, []).append(message)

    def done(self) -> None:
        """Do nothing if nothing was wrong.

        Raises:
            AppError: INVALID/VALIDATION_FAILED, naming every bad field.
        """
        if self._faults:
            raise invalid(self._faults)

    def known_id(self, field: str, value: str) -> str:
        """Check the id of something that may exist; its letters may be of either case."""
        value = value.lower()
        if not is_id(value):
            self.fault(field, "Not a UUID.")
        return value

    def new_id(self, field: str, value: str) -> str:
        """Check the id of something about to be made: a UUIDv7 in lower case."""
        if _UUID7.fullmatch(value) is None:
            self.fault(field, "Not a UUIDv7.")
        return value

    def name(self, field: str, value: str, longest: int, shortest: int = 0) -> str:
        """Check a text whose surrounding space means nothing."""
        return self.text(field, value.strip(), longest, shortest)

    def text(self, field: str, value: str, longest: int, shortest: int = 0) -> str:
        """Check the length of a text, in characters, after it was put into NFC."""
        value = nfc(value)
        if "\x00" in value:
            self.fault(field, "Must not hold the character NUL.")
        if len(value) < shortest:
            self.fault(field, REQUIRED if shortest == 1 else f"Shorter than {shortest} characters.")
        if len(value) > longest:
            self.fault(field, f"Longer than {longest} characters.")
        return value

    def word(self, field: str, value: str, longest: int) -> str:
        """Check a text that is printable ASCII and not empty."""
        if not value:
            self.fault(field, REQUIRED)
        elif len(value) > longest:
            self.fault(field, f"Longer than {longest} characters.")
        elif not (value.isascii() and value.isprintable()):
            self.fault(field, "Must be printable ASCII.")
        return value

    def email(self, field: str, value: str) -> str:
        """Check an e-mail address as far as it matters for keeping it apart from others."""
        value = trimmed(value)
        local, at, domain = value.rpartition("@")
        if not (local and at and domain) or _CONTROL.search(value) or " " in value:
            self.fault(field, "Not a valid email address.")
        elif len(value) > MAX_EMAIL_CHARACTERS or len(email_key(value)) > MAX_SORT_KEY_CHARACTERS:
            self.fault(field, f"Longer than {MAX_EMAIL_CHARACTERS} characters.")
        return value

    def phone(self, field: str, value: str) -> str:
        """Check a phone number in E.164 form, which may be empty."""
        if value and _PHONE.fullmatch(value) is None:
            self.fault(field, "Not a phone number in E.164 form.")
        return value

    def traceparent(self, field: str, value: str) -> str:
        """Return the W3C traceparent, "" where there is none."""
        if value and not is_traceparent(value):
            self.fault(field, "Not a traceparent.")
        return value

    def sha256(self, field: str, value: bytes) -> bytes:
        """Check the length of a SHA-256."""
        if len(value) != SHA256_BYTES:
            self.fault(field, f"Must be {SHA256_BYTES} bytes.")
        return value

    def moment(self, field: str, value: Timestamp) -> datetime | None:
        """Check a time, which may be absent."""
        try:
            return datetime_from(value)
        except OverflowError:
            self.fault(field, "Not a time between the years 1 and 9999.")
            return None

    def required_moment(self, field: str, value: Timestamp) -> datetime:
        """Check a time that must be given.

        Raises:
            AppError: it is not, or is no time; with all faults so far.
        """
        moment = self.moment(field, value)
        if moment is None:
            self._faults.setdefault(self._prefix + field, [REQUIRED])
            raise invalid(self._faults)
        return moment

    def roles(self, field: str, values: Iterable[str]) -> frozenset[str]:
        """Check role names; whether there are such roles is for the database to say."""
        found = frozenset(values)
        if not found:
            self.fault(field, REQUIRED)
        for role in sorted(found):
            self.word(field, role, 32)
        return found

    def between(self, field: str, value: int, least: int, most: int) -> int:
        """Check a number that has bounds."""
        if not least <= value <= most:
            self.fault(field, f"Must be from {least} to {most}.")
        return value

    def span(self, field: str, value: Duration, least_seconds: int, most_seconds: int) -> timedelta:
        """Check a duration that has bounds, to the microsecond."""
        # Not through a timedelta first: a duration may be longer than one can be.
        is_short = value.seconds < most_seconds or (
            value.seconds == most_seconds and not value.nanos
        )
        if not is_short or value.seconds < least_seconds or value.nanos < 0:
            self.fault(field, f"Must be {least_seconds} to {most_seconds} seconds.")
            return timedelta()
        return timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)

    def currency(self, field: str, value: str) -> str:
        """Check the shape of an ISO 4217 code; which of them there are is not known here."""
        if not value:
            self.fault(field, REQUIRED)
        elif _CURRENCY.fullmatch(value) is None:
            self.fault(field, "Must be three upper case letters.")
        return value

    def not_negative(self, field: str, value: int) -> int:
        """Check a number that is 0 or more."""
        if value < 0:
            self.fault(field, "Must not be negative.")
        return value
