"""Reads a stream of server-sent events as a browser does (HTML Living Standard, section 9.2)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.system.client import Json


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event of a stream."""

    id: str
    type: str
    document: Json


def sent_events(text: str) -> list[SentEvent]:
    """Give the events of a stream that has ended, without its comments."""
    events = []
    for block in text.split("\n\n"):
        pairs = [line.partition(": ") for line in block.split("\n") if not line.startswith(":")]
        fields = {name: value for name, _, value in pairs}
        if "data" in fields:
            document = json.loads(fields["data"])
            events.append(SentEvent(fields["id"], fields["event"], document))
    return events
