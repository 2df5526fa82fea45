"""A tier, built and not yet served, and the ways to serve it."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import structlog
from pydantic import Field

from tier_runtime.addresses import Address, OptionalBind
from tier_runtime.handlers import Registration, collect, guarded
from tier_runtime.health import THIS_TIER, HealthBoard
from tier_runtime.health_listener import HealthListener
from tier_runtime.http_server import WebServerSettings, WorkerApp, serve_http
from tier_runtime.logs import get_logger
from tier_runtime.metrics.parts import no_meter
from tier_runtime.rest.app import RestApp
from tier_runtime.server import GrpcServerSettings, build_server, make_desk, serve_until_signal
from tier_runtime.telemetry import NO_TELEMETRY, Telemetry
from tier_runtime.tls.settings import TlsSettings
from tier_runtime.tracing.settings import TracedSettings
from tier_runtime.workers import run_workers

Protocol = Literal["grpc", "http"]

WORKER_PORT_STEP = 100

# How long a connection may be idle, and how long one may be silent in the middle of a request. Our
# clients use none that was idle for 15 s, so none of theirs is closed under a request; and who has
# let it become old without a word keeps it no longer than this.
HTTP_KEEPALIVE_SECONDS = 20
HTTP_SILENCE_SECONDS = 30


class ServedSettings(TracedSettings, TlsSettings):
    """What every inner tier can be told about how it is served."""

    communication_protocol: Protocol = Field(
        default="grpc", description="What carries the calls between two tiers."
    )
    channelz_enabled: bool = Field(
        default=False,
        description="Whether the gRPC server of an inner tier tells operators, by "
        "`grpc.channelz.v1`, of its process's connections and of the calls over them.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes of an inner tier. With `grpc` each listens on a port of its own: "
        "that of the address, and 100, 200, ... above it; with `http` they share one.",
    )
    health_bind: OptionalBind = Field(
        default="",
        description="Where health alone is told, as host:port: grpc.health.v1 in plaintext, for "
        "probes without a certificate. WORKERS have ports as the tier itself has. When not set, "
        "or `off`, nothing listens.",
    )


@dataclass(frozen=True, slots=True)
class Tier:
    """What a tier offers.

    `on_start` begins what it does besides, in threads, once it serves; `on_stop` gives back what it
    holds, in its order.
    """

    services: Sequence[Registration]
    health: HealthBoard
    on_stop: Sequence[Callable[[], None]] = ()
    on_start: Sequence[Callable[[], None]] = ()
    # Of this process; whoever opened it closes it.
    telemetry: Telemetry = NO_TELEMETRY

    def open(self) -> None:
        """Begin to poll the probes, say that the tier serves, and begin what it does besides."""
        self.health.start()
        for name in (THIS_TIER, *(service.service_full_name for service in self.services)):
            self.health.set(name, serving=True)
        self.begin()

    def begin(self) -> None:
        """Begin what the tier does besides."""
        for callback in self.on_start:
            callback()

    def close(self) -> None:
        """Say that it serves no more, and give back what it holds."""
        self.health.drain()
        self.health.stop()
        for callback in self.on_stop:
            callback()


@dataclass(frozen=True, slots=True)
class Serving:
    """How a tier is served: by which transport, and by how many processes."""

    # The tier's name, as it stands in the log.
    name: str
    protocol: Protocol
    workers: int
    # Where and by how many threads, whatever the transport.
    grpc: GrpcServerSettings
    # Where health alone is told in plaintext; empty for nowhere.
    health_bind: str = ""

    def health_listener(self, health: HealthBoard, number: int = 0) -> HealthListener:
        """Return what tells the health of the process of that number; it does not listen yet."""
        if self.protocol == "http":
            # gunicorn's workers share the tier's port, and so this one.
            return HealthListener(self.health_bind, health, is_shared=self.workers > 1)
        return HealthListener(self.health_bind and worker_bind(self.health_bind, number), health)

    @property
    def forks(self) -> bool:
        """Whether those who serve are forks of the process that begins to."""
        return self.protocol == "http" or self.workers > 1


def serve_tier(serving: Serving, make: Callable[[], Tier]) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code.

    `make` runs in each process that serves, after the fork.

    Raises:
        StartupError: the tier cannot be made, or its address cannot be listened on.
    """
    log = get_logger(f"{serving.name}_tier")
    if serving.protocol == "http":
        return serve_http(_web_settings(serving), lambda: _worker_app(serving, make(), log))
    if serving.workers > 1:
        return run_workers(
            serving.workers, lambda number, ready: _serve_worker(serving, number, make, ready)
        )
    tier = make()
    server = build_server(
        serving.grpc,
        tier.services,
        tier.health,
        log,
        telemetry=tier.telemetry,
    )
    listener = serving.health_listener(tier.health)

    def begin() -> None:
        listener.start()
        tier.begin()

    return serve_until_signal(
        server,
        drain_seconds=serving.grpc.drain_seconds,
        on_stop=[listener.stop, *tier.on_stop],
        on_start=begin,
    )


def worker_bind(bind: str, number: int) -> str:
    """Return where the worker of that number listens: each has a port of its own.

    Behind a shared one the kernel picks a process for each connection, and all calls of a channel
    may end up with the same. A port of 0 stays one.
    """
    address = Address.parse(bind)
    if not address.port:
        return bind
    return str(replace(address, port=address.port + number * WORKER_PORT_STEP))


def _serve_worker(
    serving: Serving, number: int, make: Callable[[], Tier], ready: Callable[[], None]
) -> int:
    settings = replace(serving.grpc, bind=worker_bind(serving.grpc.bind, number))
    log = get_logger(f"{serving.name}_tier").bind(worker=number)
    tier = make()
    server = build_server(settings, tier.services, tier.health, log, telemetry=tier.telemetry)
    listener = serving.health_listener(tier.health, number)

    def begin() -> None:
        listener.start()
        tier.begin()
        ready()

    return serve_until_signal(
        server,
        drain_seconds=settings.drain_seconds,
        on_stop=[listener.stop, *tier.on_stop],
        on_start=begin,
        signals=(signal.SIGTERM,),
    )


def _web_settings(serving: Serving) -> WebServerSettings:
    return WebServerSettings(
        address=Address.parse(serving.grpc.bind),
        workers=serving.workers,
        threads=serving.grpc.threads,
        keepalive_seconds=HTTP_KEEPALIVE_SECONDS,
        client_timeout_seconds=HTTP_SILENCE_SECONDS,
        drain_seconds=math.ceil(serving.grpc.drain_seconds),
        max_connection_age_seconds=serving.grpc.max_connection_age_seconds,
        process_name=f"arcana-{serving.name}",
        tls=serving.grpc.tls,
    )


def _worker_app(serving: Serving, tier: Tier, log: structlog.stdlib.BoundLogger) -> WorkerApp:
    settings = serving.grpc
    desk = make_desk(
        settings,
        log,
        peers=settings.tls,
        telemetry=tier.telemetry,
        transport="http",
    )
    refused = no_meter if desk.meter is None else desk.meter.refused
    app = RestApp(
        guarded(collect(tier.services), desk),
        tier.health,
        refused=refused,
        max_concurrent_rpcs=settings.max_concurrent_rpcs,
        max_message_bytes=settings.max_message_bytes,
    )
    listener = serving.health_listener(tier.health)
    listener.start()
    tier.open()

    def close() -> None:
        listener.stop()
        tier.close()

    return WorkerApp(
        app,
        close,
        begin_stop=tier.health.drain,
        max_in_flight=settings.max_concurrent_rpcs,
        stop_pause_seconds=settings.notserving_wait_seconds,
        refused=refused,
    )
