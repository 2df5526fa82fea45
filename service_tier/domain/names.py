"""What a display name may be, of a user or of a product."""

from __future__ import annotations

import unicodedata

MAX_NAME_LENGTH = 255

# Control characters, lone surrogates, line and paragraph separators.
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def normalize_name(text: str) -> str:
    """Return the display name as it is kept: without surrounding space, in Unicode NFC."""
    return unicodedata.normalize("NFC", text.strip())


def name_faults(name: str) -> list[str]:
    """Return what is wrong with a normalized display name."""
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        return [f"Must have 1 to {MAX_NAME_LENGTH} characters besides surrounding space."]
    return line_faults(name)


def line_faults(text: str) -> list[str]:
    """Return what is wrong with a text that is shown on one line, whatever its length."""
    if any(unicodedata.category(character) in _UNPRINTABLE for character in text):
        return ["Must not hold control characters."]
    return []
