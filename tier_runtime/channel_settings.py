"""How a tier calls another, whatever carries the calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tier_runtime.breaker import Breaker
from tier_runtime.startup import StartupError
from tier_runtime.tls.files import TlsFiles

if TYPE_CHECKING:
    from tier_runtime.metrics.rpcs import CalledMeter

# How far the sender of a stream may be ahead of its reader, in both directions. By default gRPC
# guesses it from round trips, which are long where the reader is busy: of all readers the one that
# cannot keep up would be given megabytes of each stream to keep.
FLOW_OPTIONS = (
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 256 * 1024),
)
# gRPC's own bound: it takes a larger number for this one.
MOST_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """How a tier calls another. Times are in seconds, sizes in bytes.

    Raises:
        StartupError: `max_attempts` is not 1 to 5.
    """

    # The deadline of an RPC made outside of any call.
    default_deadline_seconds: float = 5.0
    # What a hop keeps of its caller's deadline, to answer in time itself.
    hop_margin_seconds: float = 0.01
    # Largest message, in and out.
    max_message_bytes: int = 4 * 1024 * 1024
    # Methods that are safe to send twice, as "package.Service/Method" or "package.Service": only
    # these are sent again when the peer is unavailable.
    retried_methods: tuple[str, ...] = ()
    # Sendings of one RPC in all, 1 to 5; with 1 nothing is sent again.
    max_attempts: int = 3
    # How long a connection of a REST hop is used, so that processes that start later get their
    # part. Servers end theirs too, and our REST server says so in an answer only.
    max_connection_age_seconds: float = 20.0
    # Leaves the peer alone while it does not answer; None asks it always.
    breaker: Breaker | None = None
    # Counts its RPCs; None counts nothing.
    meter: CalledMeter | None = None
    # The hop is mutual TLS then, and the peer's certificate must be for the host of the URL.
    tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.max_attempts <= MOST_ATTEMPTS:
            raise StartupError(
                f"A channel sends an RPC 1 to {MOST_ATTEMPTS} times in all, "
                f"not {self.max_attempts} times."
            )
