"""Counts what the parts of a tier do that several tiers have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

from tier_runtime.metrics import series
from tier_runtime.tls.refusals import Reason

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters

# Why a peer is refused. Another word counts as `other`: a reason must not hold a peer's own words.
PEER_REASONS = frozenset(get_args(Reason))


class ReadsMeter:
    """Counts the reads of one kind of thing that share RPCs."""

    def __init__(self, meters: Meters, kind: str) -> None:
        self._asked = meters.counter(series.READS_ASKED).of(kind)
        self._sent = meters.counter(series.READS_SENT).of(kind)

    def asked(self) -> None:
        """Count a read that somebody wants."""
        self._asked.inc()

    def sent(self) -> None:
        """Count an RPC for one or more of them."""
        self._sent.inc()


def no_meter(_reason: str) -> None:
    """Count nothing: what refusals are told to where metrics are off."""


def breaker_meter(meters: Meters | None, name: str) -> Callable[[bool], None]:
    """Return what is told whenever a breaker opens (True) or closes; from now on it is known."""
    if meters is None:
        return lambda _is_open: None
    now = meters.gauge(series.BREAKER_OPEN).of(name)
    opened = meters.counter(series.BREAKER_OPENED).of(name)
    now.set(0)

    def tell(is_open: bool) -> None:
        now.set(1 if is_open else 0)
        if is_open:
            opened.inc()

    return tell


def peer_meter(meters: Meters | None) -> Callable[[str], None]:
    """Return what is told the reason whenever a peer is refused; see PEER_REASONS."""
    if meters is None:
        return no_meter
    refused = meters.counter(series.PEERS_REFUSED)
    for known in PEER_REASONS:
        # To Prometheus a series that begins with 1 has not risen, and the alert is about a rise.
        refused.of(known)
    return lambda reason: refused.of(reason if reason in PEER_REASONS else "other").inc()
