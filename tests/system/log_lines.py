"""Reading what tiers have logged."""

from __future__ import annotations

import json


def json_lines(text: str) -> list[dict[str, object]]:
    """Give those lines that are JSON objects."""
    lines: list[dict[str, object]] = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            lines.append(value)
    return lines
