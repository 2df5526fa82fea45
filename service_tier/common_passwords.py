"""Reads the list of passwords that are tried first."""

from __future__ import annotations

from importlib.resources import files


def read_common_passwords() -> frozenset[str]:
    """Return the words of `common_passwords.txt`, one a line, in lower case."""
    text = files("service_tier").joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line.strip() for line in text.splitlines() if line.strip())
