"""Denials that cost whoever causes them nothing, for the audit log: one line for many.

Who was refused by a limit, or is a stranger with a token that is no good, may go on asking for
ever, and each answer costs us less than a line: it would fill the disk. So the first denial is a
line, and those that follow are counted, until a line says how many they were.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from controller_tier.conversion.times import rfc3339
from controller_tier.rate_limits import Bucket, network_of
from tier_runtime.audit import Act, AuditTrail, Fact
from tier_runtime.clock import Clock
from tier_runtime.timestamps import timestamp_from

# Sources that are counted apart at a time; those beyond share one count for each act and limit,
# and for each code that strangers are denied with.
MOST_SOURCES = 256
# Limits by the second would be a line a second for each source.
LEAST_SECONDS = 60.0

_MANY = ""


@dataclass(frozen=True, slots=True)
class Source:
    """What denials have in common that are counted together.

    Attributes:
        what: the act that a limit refused; of strangers the code, whatever they tried: over gRPC
            they may make up methods as they like.
        limit: the limit's name, "" where none refused it.
        holder: whom it is about, as a pseudonym; "" for all that share a count.
        seconds: for how long one line is enough.
    """

    what: str
    limit: str
    holder: str
    seconds: float

    @classmethod
    def of_limit(cls, act: str, limit: Bucket) -> Source:
        """Return who is refused an act by a limit."""
        return cls(act, limit.name, limit.holder, max(limit.rate.seconds, LEAST_SECONDS))

    @classmethod
    def of_stranger(cls, code: str, address: str) -> Source:
        """Return who is denied with this code and is known by the address at most."""
        return cls(code, "", network_of(address), LEAST_SECONDS)


@dataclass(slots=True)
class _Window:
    """What was denied to a source since its last line, the last of it as an example."""

    ends: float
    act: Act
    first_time: datetime
    last_time: datetime
    count: int = 0

    def take(self, act: Act, moment: datetime) -> None:
        if not self.count:
            self.first_time = moment
        self.count += 1
        self.act, self.last_time = act, moment


class CountedDenials:
    """Records at most one line for each source in each of its windows.

    A line tells of the last denial, and in its target how many there were since the line before,
    and when the first and the last of them were. What came after the last line is told by `flush`
    or with the next denial of anybody, once the window is over, or at the end. A process that is
    killed tells none of what it had counted. Safe to use from several threads.
    """

    def __init__(self, trail: AuditTrail, clock: Clock, most: int = MOST_SOURCES) -> None:
        self._trail = trail
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._windows: dict[Source, _Window] = {}

    def record(self, act: Act, sources: Sequence[Source]) -> None:
        """Record a denial, which is one of these sources, at least one.

        Of several it is counted under the one that is being counted already: who is refused by the
        address gets no line for each account that is tried.
        """
        with self._lock:
            now = self._clock.monotonic()
            source = self._counted(sources)
            window = self._windows.get(source)
            moment = self._clock.now()
            if window is None:
                # Over at once: the first denial of a source is a line.
                window = self._windows[source] = _Window(now, act, moment, moment)
            window.take(act, moment)
            lines = self._due(now)
        self._write(lines)

    def flush(self) -> None:
        """Record what was counted in windows that are over; to be called now and then."""
        with self._lock:
            lines = self._due(self._clock.monotonic())
        self._write(lines)

    def close(self) -> None:
        """Record what has been counted and not told."""
        with self._lock:
            windows, self._windows = self._windows, {}
        self._write([_line(*each) for each in windows.items() if each[1].count])

    def _counted(self, sources: Sequence[Source]) -> Source:
        known = next((each for each in sources if each in self._windows), None)
        if known is not None:
            return known
        source = sources[0]
        return source if len(self._windows) < self._most else replace(source, holder=_MANY)

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
            window.count, window.ends = 0, now + source.seconds
        return lines

    def _write(self, lines: Sequence[Act]) -> None:
        for line in lines:
            self._trail.record(line)


def _line(source: Source, window: _Window) -> Act:
    told: dict[str, Fact] = {"limit": source.limit} if source.limit else {}
    told |= {
        "refused": window.count,
        # The time of the line is when it was written.
        "first_time": _text(window.first_time),
        "last_time": _text(window.last_time),
    }
    if source.holder == _MANY:
        # Whom the line names is only the last of them.
        told["sources"] = "several"
    return replace(window.act, target={**window.act.target, **told})


def _text(moment: datetime) -> str:
    return rfc3339(timestamp_from(moment)) or ""
