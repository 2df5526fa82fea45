"""Fields that take what they say and nothing near it: no number for a text, no text for a number.

Every text is in Unicode NFC afterwards and holds neither lone surrogates, which protobuf cannot
carry, nor control characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from marshmallow import ValidationError, fields, validate

from controller_tier.conversion.money import (
    AMOUNT,
    MAX_MINOR,
    minor_from_decimal,
    minor_from_text,
)

# Control characters, lone surrogates, line and paragraph separators.
_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})
_LINE_BREAKS = frozenset("\n\r\t")

# RFC 3339, section 5.6. Python's own parser takes a dozen other forms of ISO 8601.
_DATE_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})"
)
# The same refusals in the words of ECMA-262, for the document.
_PRINTABLE = r"[^\u0000-\u001f\u007f-\u009f\u2028\u2029]"
_PRINTABLE_LINES = r"[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028\u2029]"

_INTEGER = re.compile(r"-?\d{1,19}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
MAX_EMAIL_LENGTH = 254


class Text(fields.String):
    """A text of `least` to `most` characters, counted after NFC and, with `strip`, trimming."""

    def __init__(
        self,
        *,
        least: int = 1,
        most: int,
        strip: bool = False,
        lines: bool = False,
        pattern: str = "",
        fault: str = "Not a valid value.",
        **options: Any,
    ) -> None:
        self._strip = strip
        self._lines = lines
        validators: list[validate.Validator] = [validate.Length(min=least or None, max=most)]
        metadata = dict(options.pop("metadata", {}))
        if pattern:
            validators.append(validate.Regexp(f"^(?:{pattern})$", error=fault))
        else:
            metadata.setdefault("pattern", _documented_pattern(least, strip=strip, lines=lines))
        super().__init__(validate=validators, metadata=metadata, **options)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **options)
        allowed = _LINE_BREAKS if self._lines else frozenset()
        if any(unicodedata.category(c) in _REFUSED and c not in allowed for c in text):
            raise ValidationError("Must not hold control characters or broken Unicode.")
        text = unicodedata.normalize("NFC", text)
        return text.strip() if self._strip else text


class Password(Text):
    """A password. It is not trimmed: a space may be part of it."""

    def __init__(self, *, new: bool, **options: Any) -> None:
        # A new one has to satisfy the policy, which the service tier holds; one that is only
        # compared may be older than the policy.
        super().__init__(
            least=8 if new else 1,
            most=128 if new else 1024,
            metadata={"format": "password", **options.pop("metadata", {})},
            **options,
        )


class EmailAddress(Text):
    """An e-mail address, as far as its shape goes; the service tier knows the rest."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            least=3,
            most=MAX_EMAIL_LENGTH,
            strip=True,
            pattern=_EMAIL.pattern,
            fault="Not a valid email address.",
            metadata={"format": "email", **options.pop("metadata", {})},
            **options,
        )


class Choice(fields.String):
    """One of a few words."""

    def __init__(self, *words: str, **options: Any) -> None:
        one_of = validate.OneOf(words, error="Must be one of: {choices}.")
        super().__init__(validate=one_of, **options)


class Identity(fields.String):
    """The id of something, in lower case afterwards."""

    def __init__(self, **options: Any) -> None:
        super().__init__(metadata={"format": "uuid", **options.pop("metadata", {})}, **options)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **options)
        try:
            return uuid_from(text)
        except ValueError:
            raise ValidationError("Not a valid UUID.") from None


class Money(fields.Field[int]):
    """An amount of money; becomes hundredths. In a query it can only be a text."""

    def __init__(self, *, in_query: bool = False, **options: Any) -> None:
        text = {"type": "string", "pattern": f"^{AMOUNT}$"}
        number = {"type": "number", "minimum": 0, "maximum": MAX_MINOR // 100}
        documented = text if in_query else {"anyOf": [text, number]}
        super().__init__(metadata={**documented, **options.pop("metadata", {})}, **options)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any
    ) -> int:
        del attr, data, options
        try:
            if isinstance(value, str):
                return minor_from_text(value)
            if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
                return minor_from_decimal(Decimal(value))
        except ValueError:
            pass
        raise ValidationError(
            f"Must be an amount from 0 to {MAX_MINOR // 100} with at most two decimals, "
            'such as "19.99".'
        )


class QueryFlag(fields.Field[bool]):
    """`true` or `false` as it stands in a query string."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            metadata={"enum": ["true", "false"], **options.pop("metadata", {})}, **options
        )

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any
    ) -> bool:
        del attr, data, options
        if value not in {"true", "false"}:
            raise ValidationError("Must be one of: true, false.")
        return bool(value == "true")


class QueryInteger(fields.Field[int]):
    """An integer as it stands in a query string."""

    def __init__(self, *, least: int, most: int, **options: Any) -> None:
        super().__init__(validate=validate.Range(min=least, max=most), **options)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any
    ) -> int:
        del attr, data, options
        # A query string holds text only.
        if not isinstance(value, str) or _INTEGER.fullmatch(value) is None or not value.isascii():
            raise ValidationError("Not a valid integer.")
        return int(value)


class QueryTime(fields.Field[datetime]):
    """An RFC 3339 time with its offset; becomes an aware datetime in UTC."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **options: Any
    ) -> datetime:
        del attr, data, options
        if not isinstance(value, str) or _DATE_TIME.fullmatch(value) is None or not value.isascii():
            raise ValidationError("Not a valid RFC 3339 time, such as 2026-11-21T04:00:00Z.")
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError("No such time.") from None


def _documented_pattern(least: int, *, strip: bool, lines: bool) -> str:
    printable = _PRINTABLE_LINES if lines else _PRINTABLE
    # Space alone is nothing once it is trimmed.
    middle = printable.replace("[^", r"[^\s") if strip and least else ""
    return f"^{printable}*{middle}{printable + '*' if middle else ''}$"


def uuid_from(text: str) -> str:
    """Return a UUID in its lower-case form of 36 characters.

    Raises:
        ValueError: the text is none in that form, letter case aside.
    """
    found = str(UUID(text))
    if found != text.lower():
        raise ValueError("Not a UUID with hyphens.")
    return found
