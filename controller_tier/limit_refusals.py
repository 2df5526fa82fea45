"""Refusals of limits for the audit log: one line for many, so that no stranger can fill a disk.

Who was refused once may go on asking, and each answer costs us less than a line. So the first
refusal is a line, and those that follow are counted, until a line says how many they were.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from controller_tier.rate_limits import Bucket
from tier_runtime.audit import Act, AuditTrail, Fact
from tier_runtime.clock import Clock

# Sources that are counted apart at a time; those beyond share one count for each act and limit.
MOST_SOURCES = 256
# Limits by the second would be a line a second for each source.
LEAST_SECONDS = 60.0

# The act, the limit's name and its holder, which is a pseudonym; "" for all that share a count.
_Source = tuple[str, str, str]
_MANY = ""


@dataclass(slots=True)
class _Window:
    """What was refused of a source since its last line, the last of it as an example."""

    seconds: float
    ends: float
    last: Act
    count: int = 0


class LimitRefusals:
    """Records at most one line for each source, act and limit in each window of the limit.

    A line tells of the last refusal, and in its target how many there were since the line before.
    What came after the last line is told with the next refusal of anybody once the window is over,
    or at the end. Safe to use from several threads.
    """

    def __init__(self, trail: AuditTrail, clock: Clock, most: int = MOST_SOURCES) -> None:
        self._trail = trail
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._windows: dict[_Source, _Window] = {}

    def record(self, act: Act, limits: Sequence[Bucket]) -> None:
        """Record that an act was refused by these limits, at least one."""
        now = self._clock.monotonic()
        with self._lock:
            source, seconds = self._source(act, limits)
            window = self._windows.get(source)
            if window is None:
                # Over at once: the first refusal of a source is a line.
                window = self._windows[source] = _Window(seconds, now, act)
            window.count += 1
            window.last = act
            lines = self._due(now)
        self._write(lines)

    def close(self) -> None:
        """Record what has been counted and not told."""
        with self._lock:
            windows, self._windows = self._windows, {}
        self._write([_line(*each) for each in windows.items() if each[1].count])

    def _source(self, act: Act, limits: Sequence[Bucket]) -> tuple[_Source, float]:
        """Return under what it is counted, and for how long one line is enough.

        Of several limits it is the one that is being counted already: who is refused by the
        address gets no line for each account that is tried.
        """
        sources = {
            (act.name, each.name, each.holder): max(each.rate.seconds, LEAST_SECONDS)
            for each in limits
        }
        known = next((each for each in sources if each in self._windows), None)
        source = known or next(iter(sources))
        if known is None and len(self._windows) >= self._most:
            return (*source[:2], _MANY), sources[source]
        return source, sources[source]

    def _due(self, now: float) -> list[Act]:
        """Return the lines of the windows that are over, and forget those that had none."""
        lines = []
        for source, window in list(self._windows.items()):
            if window.ends > now:
                continue
            if not window.count:
                del self._windows[source]
                continue
            lines.append(_line(source, window))
            window.count, window.ends = 0, now + window.seconds
        return lines

    def _write(self, lines: Sequence[Act]) -> None:
        for line in lines:
            self._trail.record(line)


def _line(source: _Source, window: _Window) -> Act:
    _, limit, holder = source
    told: dict[str, Fact] = {"limit": limit, "refused": window.count}
    if holder == _MANY:
        # Whom the line names is only the last of them.
        told["sources"] = "several"
    return replace(window.last, target={**window.last.target, **told})
