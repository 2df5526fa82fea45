"""The forms in which text is stored and compared."""

from __future__ import annotations

import unicodedata

from repository_tier.column_types import MAX_SORT_KEY_CHARACTERS


def nfc(text: str) -> str:
    """Return the text in Unicode NFC."""
    return unicodedata.normalize("NFC", text)


def trimmed(text: str) -> str:
    """Return the text in Unicode NFC, without surrounding space."""
    return nfc(text).strip()


def folded(text: str) -> str:
    """Return what two texts have in common that differ in letter case only (Unicode 3.13, D145)."""
    return nfc(unicodedata.normalize("NFD", text).casefold())


def email_key(email: str) -> str:
    """Return the form in which an e-mail address is unique."""
    return folded(trimmed(email))


def name_key(name: str, longest: int = MAX_SORT_KEY_CHARACTERS) -> str:
    """Return the form by which names are sorted and searched.

    Case folding can make a text up to three times as long; what an index cannot hold is cut.
    """
    return folded(trimmed(name))[:longest]
