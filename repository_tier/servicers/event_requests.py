"""EventRepository: messages to values and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from google.protobuf.duration_pb2 import Duration

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.repository.v1 import event_repository_pb2 as messages
from repository_tier.event_log.log import (
    Consumption,
    DeadLetter,
    GroupLag,
    Outcome,
    Settled,
    TakenEvent,
)
from repository_tier.field_checks import FieldChecks
from tier_runtime.timestamps import timestamp_from
from tier_runtime.validation import REQUIRED

MAX_TYPES = 100
MAX_SETTLEMENTS = 1000
MAX_ERROR_CHARACTERS = 500
DEFAULT_EVENTS, MAX_EVENTS = 100, 1000
DEFAULT_PAGE, MAX_PAGE = 10, 100
MIN_LEASE_SECONDS, MAX_LEASE_SECONDS = 1, 3600

_GROUP = re.compile(r"[a-z0-9_-]{1,32}")
_DELIVERY = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")

_OUTCOMES: Mapping[int, Outcome] = MappingProxyType(
    {
        messages.DELIVERY_OUTCOME_DONE: Outcome.DONE,
        messages.DELIVERY_OUTCOME_FAILED: Outcome.FAILED,
        messages.DELIVERY_OUTCOME_RETURNED: Outcome.RETURNED,
    }
)


def consumption_from_proto(request: messages.ConsumeEventsRequest) -> tuple[Consumption, int]:
    """Check what a consumer asks for; return it, and how many events it wants at most.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks()
    group = _group(checks, request.group)
    if not request.types:
        checks.fault("types", REQUIRED)
    types = _types(checks, request.types)
    most = checks.between("max_events", request.max_events or DEFAULT_EVENTS, 1, MAX_EVENTS)
    lease = checks.span(
        "lease_duration", request.lease_duration, MIN_LEASE_SECONDS, MAX_LEASE_SECONDS
    )
    checks.done()
    return Consumption(group, frozenset(types), lease.total_seconds()), most


def settlements_from_proto(request: messages.SettleEventsRequest) -> tuple[str, list[Settled]]:
    """Check what became of deliveries; return their group, and each of them.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks()
    group = _group(checks, request.group)
    if not 1 <= len(request.settlements) <= MAX_SETTLEMENTS:
        checks.fault("settlements", f"Must be 1 to {MAX_SETTLEMENTS}.")
        checks.done()
    settled = [
        _settled(checks, f"settlements[{number}].", each)
        for number, each in enumerate(request.settlements)
    ]
    checks.done()
    return group, settled


def following_from_proto(request: messages.FollowEventsRequest) -> tuple[list[str], str]:
    """Check what a follower asks for; return the types, and the id of the last event.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks()
    types = _types(checks, request.types)
    after = request.after_event_id
    if after:
        after = checks.new_id("after_event_id", after)
    checks.done()
    return types, after


def dead_page_from_proto(request: messages.ListDeadEventsRequest) -> tuple[str, int, str]:
    """Check which dead events are wanted; return group, number and where to go on.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks()
    group = _group(checks, request.group)
    size = checks.between("page_size", request.page_size or DEFAULT_PAGE, 1, MAX_PAGE)
    if request.page_token and _DELIVERY.fullmatch(request.page_token) is None:
        checks.fault("page_token", "Not one of this list.")
    checks.done()
    return group, size, request.page_token


def delivery_to_proto(taken: TakenEvent) -> messages.Delivery:
    """Return a delivery."""
    return messages.Delivery(
        delivery_id=taken.delivery_id,
        event=DomainEvent.FromString(taken.body),
        attempt=taken.attempt,
    )


def dead_event_to_proto(letter: DeadLetter) -> messages.DeadEvent:
    """Return a dead event."""
    return messages.DeadEvent(
        event=DomainEvent.FromString(letter.body),
        attempts=letter.attempts,
        error=letter.error,
        dead_time=timestamp_from(letter.dead_time),
    )


def group_lag_to_proto(lag: GroupLag) -> messages.EventGroupLag:
    """Return how far a group is behind."""
    return messages.EventGroupLag(
        group=lag.group,
        unsettled=lag.unsettled,
        refused=lag.refused,
        oldest_age=duration_of(lag.oldest_age),
        dead=lag.dead,
    )


def duration_of(seconds: float | None) -> Duration | None:
    """Return a duration to the millisecond, where there is one."""
    if seconds is None:
        return None
    duration = Duration()
    duration.FromMilliseconds(int(seconds * 1000))
    return duration


def _group(checks: FieldChecks, group: str) -> str:
    if _GROUP.fullmatch(group) is None:
        checks.fault("group", "Must be 1 to 32 of a-z, 0-9, '-' and '_'.")
    return group


def _types(checks: FieldChecks, types: Sequence[str]) -> list[str]:
    if len(types) > MAX_TYPES:
        checks.fault("types", f"More than {MAX_TYPES}.")
    known = types[:MAX_TYPES]
    return [checks.word(f"types[{number}]", each, 64) for number, each in enumerate(known)]


def _settled(checks: FieldChecks, prefix: str, settlement: messages.Settlement) -> Settled:
    if _DELIVERY.fullmatch(settlement.delivery_id) is None:
        checks.fault(f"{prefix}delivery_id", "Not the id of a delivery.")
    outcome = _OUTCOMES.get(settlement.outcome)
    if outcome is None:
        checks.fault(f"{prefix}outcome", REQUIRED)
    shortest = 1 if outcome is Outcome.FAILED else 0
    error = checks.text(f"{prefix}error", settlement.error, MAX_ERROR_CHARACTERS, shortest)
    return Settled(settlement.delivery_id, outcome or Outcome.RETURNED, error)
