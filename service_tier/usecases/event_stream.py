"""The live view of events."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.repository.v1.event_repository_pb2 import FollowEventsRequest
from service_tier.domain.faults import refuse_faults
from service_tier.domain.permissions import require_admin
from service_tier.repository import Repository
from tier_runtime.context import RpcContext

MAX_TYPES = 100

_TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class EventStream:
    """Passes events on to admins as they are published."""

    def __init__(self, repository: Repository, is_draining: Callable[[], bool]) -> None:
        self._repository = repository
        self._is_draining = is_draining

    def follow(
        self, context: RpcContext, types: Sequence[str], after_event_id: str
    ) -> Iterator[DomainEvent | None]:
        """Yield events, and None as a sign of life, until the tier stops or the time is over.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(context.actor)
        refuse_faults(_faults(types, after_event_id))
        answers: Any = self._repository.events.FollowEvents(
            FollowEventsRequest(types=types, after_event_id=after_event_id)
        )
        # A caller that leaves takes the stream behind this one along.
        if not context.add_callback(answers.cancel):
            answers.cancel()
        for answer in answers:
            yield answer.event if answer.HasField("event") else None
            if self._is_draining():
                answers.cancel()
                return


def _faults(types: Sequence[str], after_event_id: str) -> dict[str, list[str]]:
    faults: dict[str, list[str]] = {}
    if len(types) > MAX_TYPES:
        faults["types"] = [f"More than {MAX_TYPES}."]
    elif not all(len(each) <= 64 and _TYPE.fullmatch(each) for each in types):
        faults["types"] = ["Not a type of event, such as order.created."]
    if after_event_id and _UUID7.fullmatch(after_event_id) is None:
        faults["after_event_id"] = ["Not the id of an event."]
    return faults
