"""What all RPCs of a server share: their bounds, and what each is admitted, told and counted by."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc
import structlog

from tier_runtime.call import Actor, Call
from tier_runtime.clock import Clock
from tier_runtime.cutoffs import Cutoffs
from tier_runtime.ids import IdSource
from tier_runtime.metadata import actor_from
from tier_runtime.tracing.spans import NO_TRACING, Tracing

if TYPE_CHECKING:
    from grpc import _Metadata

    from tier_runtime.metrics.rpcs import ServedMeter

# gRPC tells "no deadline" as centuries.
NO_DEADLINE_SECONDS = 1e8


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How long a call may take, in seconds, and how many streams may be open."""

    default_deadline_seconds: float
    min_deadline_seconds: float
    max_open_streams: int
    # The longest that a caller may ask for; more is cut to it.
    max_deadline_seconds: float = NO_DEADLINE_SECONDS
    # Streams of these methods, as "/package.Service/Method", may be of any length, and take so long
    # in all. Their caller must not keep them waiting for longer than `max_deadline_seconds`.
    max_deadline_seconds_of: Mapping[str, float] = field(default_factory=dict)
    # Streams of these methods have a bound of their own and do not count as others do.
    max_open_streams_of: Mapping[str, int] = field(default_factory=dict)
    # Streams of these methods count as RPCs with one answer do: they are over as soon.
    short_streams: frozenset[str] = frozenset()
    # RPCs with one answer that are worked on at the same time; others wait. None: any number.
    max_at_once: int | None = None

    def deadlines_of(self, method: str) -> tuple[float, float]:
        """Return the longest deadline that a method may have, and what it gets without one."""
        longest = self.max_deadline_seconds_of.get(method)
        if longest is None:
            return self.max_deadline_seconds, self.default_deadline_seconds
        return longest, longest


# Says who calls, from the method ("/package.Service/Method"), the metadata and the call, whose
# actor is not known yet; raises AppError for whom it does not let in.
FindActor = Callable[[str, "_Metadata", Call], Actor]


# Says whether a peer may call a method at all; raises AppError where it may not.
Admit = Callable[[str, grpc.ServicerContext], None]


def _anybody(_method: str, _context: grpc.ServicerContext) -> None:
    pass


def _peers_actor(_method: str, metadata: _Metadata, _call: Call) -> Actor:
    return actor_from(metadata)


class RpcDesk:
    """What all RPCs of a server share."""

    def __init__(
        self,
        limits: CallLimits,
        clock: Clock,
        ids: IdSource,
        log: structlog.stdlib.BoundLogger,
        *,
        quiet_methods: Collection[str] = (),
        find_actor: FindActor = _peers_actor,
        admit: Admit | None = None,
        awaits_requests: bool = False,
        meter: ServedMeter | None = None,
        tracing: Tracing = NO_TRACING,
        transport: str = "grpc",
        begins_traces: bool = False,
    ) -> None:
        self.limits = limits
        # Counts the RPCs; None counts nothing.
        self.meter = meter
        self.tracing = tracing
        # What carries the RPCs, as spans name it; and whether one without a trace gets one, which
        # is an edge's business.
        self.transport = transport
        self.begins_traces = begins_traces
        # gRPC gives an RPC with a single request a thread before the request is there, and only
        # then calls the handler. Whoever sends headers and nothing else holds that thread for as
        # long as they like, unless the handler itself waits, for no longer than an RPC may take.
        # A server of the other tiers can do without: they are trusted, send the request along
        # with the headers, and set a deadline, which gRPC heeds from the beginning.
        self.awaits_requests = awaits_requests
        # By default a peer is believed whom it speaks for; a server for strangers has its own.
        self.find_actor = find_actor
        # By default whoever reaches the server may call it.
        self.admit = admit or _anybody
        # Full names, as "/package.Service/Method", of what is polled: their successes are told
        # at debug level only.
        self.quiet_methods = frozenset(quiet_methods)
        self.clock = clock
        self.ids = ids
        self.log = log
        self.cutoffs = Cutoffs()
        self._stream_slots = threading.BoundedSemaphore(limits.max_open_streams)
        self._stream_slots_of = {
            method: threading.BoundedSemaphore(most)
            for method, most in limits.max_open_streams_of.items()
        }
        most = limits.max_at_once
        self.turns = None if most is None else threading.BoundedSemaphore(most)

    def stream_slots(self, method: str) -> threading.BoundedSemaphore:
        """Return what bounds the open streams of a method."""
        return self._stream_slots_of.get(method, self._stream_slots)
