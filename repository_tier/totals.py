"""How many items a list has: counted, and for long lists remembered for some seconds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from repository_tier.cache.flights import Flights
from repository_tier.engine import deadline_of
from tier_runtime.clock import Clock

# What the comment of `arcana.common.v1.PageResult.total` says.
EXACT_UP_TO = 10_000
REMEMBERED_SECONDS = 5.0
# Lists whose totals are remembered; beyond it the one counted first is counted again.
MAX_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class _Counted:
    total: int
    until: float


class Totals:
    """Counts lists. Safe to use from several threads.

    Counting costs as much as there is to count, and the first page of a long list must not. So a
    list is counted to its end only if it is short, or nobody in this process has counted it for
    some seconds.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        exact_up_to: int = EXACT_UP_TO,
        remembered_seconds: float = REMEMBERED_SECONDS,
        max_remembered: int = MAX_REMEMBERED,
    ) -> None:
        self._clock = clock
        self._exact_up_to = exact_up_to
        self._remembered_seconds = remembered_seconds
        self._max_remembered = max_remembered
        self._flights: Flights[int] = Flights()
        self._lock = threading.Lock()
        self._counted: OrderedDict[str, _Counted] = OrderedDict()

    def total(self, connection: Connection, ids: Select[Any], key: str) -> int:
        """Return the number of rows. The key tells one list from another, whatever its order.

        The connection is one of `Database`.
        """
        remembered = self._remembered(key)
        if remembered is not None:
            return remembered
        few = _count(connection, ids.limit(self._exact_up_to + 1))
        if few <= self._exact_up_to:
            return few

        def count_and_keep(keys: Sequence[str]) -> Mapping[str, int]:
            total = _count(connection, ids)
            self._keep(key, total)
            return dict.fromkeys(keys, total)

        # Those who come while one counts wait for what it finds.
        return self._flights.load([key], count_and_keep, deadline_of(connection))[key]

    def _remembered(self, key: str) -> int | None:
        with self._lock:
            counted = self._counted.get(key)
            if counted is None:
                return None
            if counted.until <= self._clock.monotonic():
                del self._counted[key]
                return None
            return counted.total

    def _keep(self, key: str, total: int) -> None:
        until = self._clock.monotonic() + self._remembered_seconds
        with self._lock:
            self._counted[key] = _Counted(total, until)
            self._counted.move_to_end(key)
            if len(self._counted) > self._max_remembered:
                self._counted.popitem(last=False)


def _count(connection: Connection, ids: Select[Any]) -> int:
    counted = connection.scalar(select(func.count()).select_from(ids.subquery()))
    # For a type checker: COUNT without GROUP BY always has one row.
    return counted or 0
