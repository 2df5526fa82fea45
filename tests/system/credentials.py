"""What somebody signs in with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """An address and its password."""

    email: str
    password: str
