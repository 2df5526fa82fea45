"""Days as they are written."""

from __future__ import annotations

from datetime import date


def day_from(text: str) -> date:
    """Return the day that is written as `2026-11-30`, and in no other of ISO 8601's forms.

    Raises:
        ValueError: the text is none in that form.
    """
    day = date.fromisoformat(text)
    if day.isoformat() != text:
        raise ValueError("Not a day with hyphens.")
    return day
