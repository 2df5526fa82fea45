"""The part of the story of the repository tier that is about events and who consumes them."""

from __future__ import annotations

from typing import Any

from tests.tier.transports.plans import numbered_id
from tests.tier.transports.transcript import Transcript

TYPE = "story.told"
NOW = 1_795_233_600
# What a stream without an end of its own is given.
BRIEFLY = 1.0
FAMILY = 12


def _event(number: int) -> dict[str, Any]:
    return {
        "id": numbered_id(number, family=FAMILY),
        "type": TYPE,
        "aggregate_type": "story",
        "aggregate_id": "one",
        "payload": {"chapter": str(number), "name": 'Zoë \\ "%2F"'},
        "occurred_time": {"seconds": NOW, "nanos": 123_456_000},
    }


def tell(transcript: Transcript) -> None:
    """Call every RPC of EventRepository but AppendEvents, well and badly."""
    call = transcript.call
    call("EventRepository/AppendEvents", events=[_event(number) for number in range(1, 4)])
    asked: dict[str, Any] = {
        "group": "story",
        "types": [TYPE],
        # One by one: how many come together is up to the relay.
        "max_events": 1,
        "lease_duration": {"seconds": 60},
    }
    taken = [call("EventRepository/ConsumeEvents", **asked)[0].deliveries[0] for _ in range(3)]
    call("EventRepository/ConsumeEvents", **asked | {"group": "A group"})
    call("EventRepository/ConsumeEvents")
    outcomes: list[dict[str, Any]] = [
        {"outcome": 1},
        {"outcome": 2, "error": "Zoë could not be reached."},
        {"outcome": 3},
    ]
    settled = [
        {"delivery_id": delivery.delivery_id, **outcome}
        for delivery, outcome in zip(taken, outcomes, strict=True)
    ]
    call("EventRepository/SettleEvents", group="story", settlements=settled)
    call("EventRepository/SettleEvents", group="story", settlements=settled[:1])
    call("EventRepository/SettleEvents", group="story", settlements=[{"delivery_id": "x"}])
    call("EventRepository/SettleEvents")
    call("EventRepository/ListDeadEvents", group="story")
    call("EventRepository/ListDeadEvents", group="story", page_token="nonsense")
    call("EventRepository/ListDeadEvents")
    call("EventRepository/GetEventLag")
    transcript.seconds, usual = BRIEFLY, transcript.seconds
    follow: dict[str, Any] = {"types": [TYPE], "after_event_id": _event(1)["id"]}
    call("EventRepository/FollowEvents", **follow)
    call("EventRepository/FollowEvents", **follow | {"after_event_id": "nonsense"})
    call("EventRepository/FollowEvents", types=["none.of.this"])
    transcript.seconds = usual
