"""Builds a tier's gRPC server and runs it until somebody wants it to end."""

from __future__ import annotations

import math
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import FrameType

import grpc
import structlog
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]  # ships no types

from tier_runtime.addresses import Address
from tier_runtime.channel_settings import FLOW_OPTIONS
from tier_runtime.channelz import add_channelz
from tier_runtime.clock import Clock, SystemClock
from tier_runtime.handlers import Registration as Registration  # noqa: PLC0414 - given to every server, so it is offered here too.
from tier_runtime.health import HEALTH_SERVICE, THIS_TIER, HealthBoard
from tier_runtime.ids import IdSource, Uuid7Source
from tier_runtime.metrics.parts import peer_meter
from tier_runtime.metrics.rpcs import ServedMeter
from tier_runtime.rpc_desk import CallLimits, RpcDesk
from tier_runtime.server_interceptors import CallServerInterceptor
from tier_runtime.startup import StartupError
from tier_runtime.telemetry import NO_TELEMETRY, Telemetry
from tier_runtime.tls.admission import ServerTls
from tier_runtime.tls.core_log import handshakes_counted
from tier_runtime.tls.credentials import server_credentials

# No signal has these numbers.
_ALL_ENDED = 0
_NOTHING = -1
# How long RPCs may take to end that have been cancelled. gRPC can lose count of one, and would
# keep the process for ever.
_CANCELLED_SECONDS = 5.0
# How late a signal may be noticed that another thread took.
_SIGNAL_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class GrpcServerSettings:
    """How a tier serves gRPC. Times are in seconds, sizes in bytes.

    Raises:
        StartupError: the numbers contradict one another.
    """

    # host:port; port 0 takes a free one.
    bind: str
    # Handlers that run at the same time; about the size of the pool they wait for.
    threads: int = 16
    # RPCs accepted at the same time, waiting ones included; what exceeds it is refused at once.
    max_concurrent_rpcs: int = 256
    # Of the handlers, those that are no streams and run at the same time; None: all.
    max_at_once: int | None = None
    # Streams open at the same time; None is half the threads. Each holds one, so there must be
    # fewer of them than `threads`.
    max_open_streams: int | None = None
    # Methods, as "/package.Service/Method", whose streams are over as soon as other RPCs are, and
    # so are not counted among those.
    short_streams: frozenset[str] = frozenset()
    # Methods whose streams have a bound of their own; threads for them come on top.
    max_open_streams_of: Mapping[str, int] = field(default_factory=dict)
    # How long RPCs in flight may take to end after SIGTERM.
    drain_seconds: float = 20.0
    # How long new RPCs are still taken after health says NOT_SERVING, so that balancers see it.
    notserving_wait_seconds: float = 0.5
    # Largest message, in and out.
    max_message_bytes: int = 4 * 1024 * 1024
    # What a call gets that came without a deadline.
    default_deadline_seconds: float = 5.0
    # A call with less time left than this is refused: its answer would come too late.
    min_deadline_seconds: float = 0.005
    # After this time a connection is asked to reconnect, which lets balancers see new servers (a
    # name is looked up again then) and ends those of peers that are not trusted any more. It is
    # also that of a REST server's connections. What is in flight may take the grace to end: a
    # stream of any length has five minutes, and all else a deadline that ends it long before.
    max_connection_age_seconds: float = 20.0
    max_connection_age_grace_seconds: float = 330.0
    # Whether grpc.reflection.v1alpha tells what is served.
    reflection: bool = True
    # Whether grpc.channelz.v1 tells of this process's connections and of the calls over them.
    channelz: bool = False
    # Polled methods, as "/package.Service/Method": their successes are logged at debug level.
    quiet_methods: tuple[str, ...] = ()
    # What is heard at `bind` is mutual TLS then, and served by its lists; calls in place are not.
    tls: ServerTls | None = None

    def __post_init__(self) -> None:
        if not 0 < self.stream_limit < self.threads:
            raise StartupError(
                "A gRPC server's open streams must be at least 1 and fewer than its threads; "
                f"they are {self.stream_limit} of {self.threads}."
            )

    @property
    def stream_limit(self) -> int:
        """How many streams may be open at the same time."""
        return self.threads // 2 if self.max_open_streams is None else self.max_open_streams


class TierServer:
    """A gRPC server with its health board."""

    def __init__(
        self,
        server: grpc.Server,
        settings: GrpcServerSettings,
        services: Sequence[str],
        health: HealthBoard,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._server = server
        self._services = tuple(services)
        self._port = 0
        self._watched = ExitStack()
        self.settings = settings
        self.health = health
        self.log = log

    def start(self) -> int:
        """Listen, begin to serve, and return the port. Does nothing if it already serves.

        Raises:
            StartupError: the address cannot be listened on.
        """
        if self._port:
            return self._port
        bind = self.settings.bind
        _address(bind).require_usable()
        try:
            self._port = self._listen(bind)
        except RuntimeError as error:
            raise StartupError(f"Cannot listen on {bind}: gRPC refuses the address.") from error
        self._server.start()
        self.health.start()
        for name in (THIS_TIER, *self._services):
            self.health.set(name, serving=True)
        self.log.info("serving", address=self.address, services=list(self._services))
        return self._port

    def _listen(self, bind: str) -> int:
        tls = self.settings.tls
        if tls is None:
            return self._server.add_insecure_port(bind)
        port = self._server.add_secure_port(bind, server_credentials(tls.files))
        self._watched.enter_context(handshakes_counted(tls.refusals))
        return port

    @property
    def address(self) -> str:
        """Where it listens, as host:port; the actual port once it has started."""
        address = _address(self.settings.bind)
        return str(replace(address, port=self._port or address.port))

    def begin_stop(self, grace_seconds: float) -> threading.Event:
        """Take no new RPC, cancel those still running after the grace; return "all ended"."""
        self.health.drain()
        ended: threading.Event = self._server.stop(grace_seconds)
        # Last, so that no Watch can begin after all have been ended.
        self.health.stop()
        return ended

    def stop(self, grace_seconds: float = 0.0) -> None:
        """Stop, and return when every RPC has ended or been cancelled."""
        self.begin_stop(grace_seconds).wait()
        self.watch_no_more()

    def watch_no_more(self) -> None:
        """Give back what watches the server from outside, when it has stopped or failed."""
        self._watched.close()


def build_server(
    settings: GrpcServerSettings,
    registrations: Sequence[Registration],
    health: HealthBoard,
    log: structlog.stdlib.BoundLogger,
    *,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    telemetry: Telemetry = NO_TELEMETRY,
) -> TierServer:
    """Return a server of these services, of health and of reflection; it does not listen yet."""
    desk = make_desk(
        settings,
        log,
        clock=clock,
        ids=ids,
        peers=settings.tls,
        telemetry=telemetry,
    )
    server = grpc.server(
        futures.ThreadPoolExecutor(settings.threads, thread_name_prefix="rpc"),
        interceptors=[CallServerInterceptor(desk)],
        maximum_concurrent_rpcs=settings.max_concurrent_rpcs,
        options=(
            # Two servers would share a port without a word otherwise.
            ("grpc.so_reuseport", 0),
            ("grpc.enable_channelz", int(settings.channelz)),
            *FLOW_OPTIONS,
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", settings.max_message_bytes),
            ("grpc.max_connection_age_ms", int(settings.max_connection_age_seconds * 1000)),
            (
                "grpc.max_connection_age_grace_ms",
                int(settings.max_connection_age_grace_seconds * 1000),
            ),
            # Our channels ping every 30 s; the default would take that for an attack.
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ),
    )
    services = [registration.service_full_name for registration in registrations]
    for registration in registrations:
        registration.add(server)
    health.add_to(server)
    shown = [*services, HEALTH_SERVICE]
    if settings.channelz:
        shown.append(add_channelz(server))
    if settings.reflection:
        names = (*shown, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    return TierServer(server, settings, services, health, log)


def make_desk(
    settings: GrpcServerSettings,
    log: structlog.stdlib.BoundLogger,
    *,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    telemetry: Telemetry = NO_TELEMETRY,
    transport: str = "grpc",
    peers: ServerTls | None = None,
) -> RpcDesk:
    """Return what all RPCs of a server share, whatever carries them to it.

    With `peers` only those are served; without, whoever calls.
    """
    meters = telemetry.meters
    if peers is not None and meters is not None:
        count = peer_meter(meters)
        peers.refusals.tell(lambda reason, _method: count(reason))
    limits = CallLimits(
        default_deadline_seconds=settings.default_deadline_seconds,
        min_deadline_seconds=settings.min_deadline_seconds,
        max_open_streams=settings.stream_limit,
        max_open_streams_of=settings.max_open_streams_of,
        short_streams=settings.short_streams,
        max_at_once=settings.max_at_once,
    )
    return RpcDesk(
        limits,
        clock or SystemClock(),
        ids or Uuid7Source(),
        log,
        quiet_methods=settings.quiet_methods,
        meter=None if meters is None else ServedMeter(meters),
        tracing=telemetry.tracing,
        transport=transport,
        admit=None if peers is None else peers.admit,
    )


def serve_until_signal(
    server: TierServer,
    *,
    drain_seconds: float,
    on_stop: Sequence[Callable[[], None]] = (),
    on_start: Callable[[], None] | None = None,
    signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
) -> int:
    """Serve until one of the signals, end without losing a call, and return 0.

    In this order: health says NOT_SERVING, a short wait for balancers to see it, no new RPCs and
    `drain_seconds` for those in flight, then `on_stop` in its order. A second signal cancels what
    is in flight. It starts the server if that has not happened, and belongs in the main thread.

    Raises:
        StartupError: the address cannot be listened on.
    """
    # A handler may run between any two steps of the main thread; of all ways to wake it, putting
    # into a SimpleQueue is the one that is documented to be safe there.
    wakes: queue.SimpleQueue[int] = queue.SimpleQueue()

    def wake(number: int, _frame: FrameType | None) -> None:
        wakes.put(number)

    with ExitStack() as stack:
        stack.callback(server.watch_no_more)
        for callback in reversed(on_stop):
            stack.callback(callback)
        for number in signals:
            stack.callback(signal.signal, number, signal.signal(number, wake))
        server.start()
        if on_start is not None:
            on_start()
        server.log.info("draining", signal=signal.Signals(_next(wakes)).name)
        _drain(server, wakes, drain_seconds)
        server.log.info("stopped")
    return 0


def _drain(server: TierServer, wakes: queue.SimpleQueue[int], drain_seconds: float) -> None:
    server.health.drain()
    is_in_a_hurry = _next(wakes, server.settings.notserving_wait_seconds) != _NOTHING
    grace_seconds = 0.0 if is_in_a_hurry else drain_seconds
    ended = server.begin_stop(grace_seconds)

    def tell_when_ended() -> None:
        if not ended.wait(grace_seconds + _CANCELLED_SECONDS):
            server.log.warning("rpcs_left")
        wakes.put(_ALL_ENDED)

    threading.Thread(target=tell_when_ended, name="drain", daemon=True).start()
    if _next(wakes) != _ALL_ENDED:
        server.stop(0.0)


def _next(wakes: queue.SimpleQueue[int], seconds: float = math.inf) -> int:
    """Return the next wake; _NOTHING when there was none for so long.

    The kernel may hand a signal to any thread, and Python runs its handler in the main thread the
    next time that one comes round: a single long wait would sleep through it.
    """
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        try:
            return wakes.get(timeout=min(left, _SIGNAL_POLL_SECONDS))
        except queue.Empty:
            continue
    return _NOTHING


def _address(bind: str) -> Address:
    try:
        return Address.parse(bind)
    except ValueError as error:
        raise StartupError(
            f"Cannot listen on {bind!r}: an address is written host:port."
        ) from error
