"""Refresh tokens: opaque, known to the store by their SHA-256 only."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

_BYTES = 32
# 32 bytes in base64url without padding.
_FORM = re.compile(r"[A-Za-z0-9_-]{43}")

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A token and what the store knows it by."""

    text: str = field(repr=False)
    sha256: bytes = field(repr=False)


def new_refresh_token(random_bytes: RandomBytes) -> RefreshToken:
    """Return a token that nobody can guess."""
    text = base64.urlsafe_b64encode(random_bytes(_BYTES)).rstrip(b"=").decode()
    return RefreshToken(text, _digest(text))


def presented_refresh_token(text: str) -> RefreshToken | None:
    """Return the token that a client presents, or None if it cannot be one of ours."""
    if _FORM.fullmatch(text) is None:
        return None
    return RefreshToken(text, _digest(text))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
