"""Runs the controller tier."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from controller_tier.app import CLOSE_FEEDS, create_app
from controller_tier.entrance import make_access_feed, make_entrance
from controller_tier.grpc_edge.listening import reserved
from controller_tier.grpc_edge.server import build_public_server
from controller_tier.http_worker import EdgeWorker
from controller_tier.metrics import HttpMeter
from controller_tier.product_reads import CoalescedProducts
from controller_tier.service_channels import SERVICE_NAMES, ServiceChannels, connect_services
from controller_tier.settings import ControllerSettings
from controller_tier.stubs import stubs_of
from controller_tier.user_reads import CoalescedUsers
from tier_runtime.addresses import Address
from tier_runtime.audit_file import open_trail
from tier_runtime.channel import open_channel
from tier_runtime.clock import SystemClock
from tier_runtime.http_server import WebServerSettings, WorkerApp, serve_http
from tier_runtime.ids import Uuid7Source
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.metrics.parts import ReadsMeter, no_meter
from tier_runtime.metrics.port import MetricsPort, metrics_port
from tier_runtime.secrets import given_or_kept_secret
from tier_runtime.settings import load
from tier_runtime.startup import run_main
from tier_runtime.telemetry import Telemetry, open_telemetry

# Makes the channels of one worker; called after the fork, which no channel survives.
Connect = Callable[[Telemetry], ServiceChannels]


def main() -> int:
    """Serve the API until told to stop; return the exit code.

    Raises:
        StartupError: a setting is bad, or a port is taken.
    """
    settings = load(ControllerSettings)
    configure_logging("controller", settings.log_level, json=settings.log_json)
    with metrics_port(settings.metrics_bind, "controller", forks=True) as metrics:
        return serve(settings, partial(connect_watched, settings), metrics)


def connect_watched(settings: ControllerSettings, telemetry: Telemetry) -> ServiceChannels:
    """Return a channel, whose RPCs are counted and traced, for each address of the settings."""
    return connect_services(
        settings, partial(open_channel, tracing=telemetry.tracing), meters=telemetry.meters
    )


def serve(
    settings: ControllerSettings,
    connect: Connect,
    metrics: MetricsPort | None = None,
    name: str = "controller",
) -> int:
    """Serve the API over the services that `connect` finds; return the exit code.

    The name is that of the process in traces.

    Raises:
        StartupError: a port is taken.
    """
    server = WebServerSettings(
        address=Address.parse(settings.controller_bind),
        workers=settings.web_workers,
        threads=settings.web_threads,
        keepalive_seconds=settings.web_keepalive_seconds,
        client_timeout_seconds=settings.client_timeout_seconds,
        drain_seconds=settings.drain_seconds,
        worker_class=EdgeWorker,
        process_name="arcana-controller",
    )
    if not settings.public_grpc_enabled:
        return serve_http(
            server, lambda: make_worker_app(settings, connect, metrics=metrics, name=name)
        )
    with reserved(Address.parse(settings.public_grpc_bind)) as public_grpc:
        get_logger(__name__).info("serving_grpc", address=str(public_grpc))
        return serve_http(
            server, lambda: make_worker_app(settings, connect, public_grpc, metrics, name)
        )


def make_worker_app(
    settings: ControllerSettings,
    connect: Connect,
    public_grpc: Address | None = None,
    metrics: MetricsPort | None = None,
    name: str = "controller",
) -> WorkerApp:
    """Build what one worker serves: its own channels, its own feed, its own caches.

    With an address it serves the public gRPC API there as well, from now on until it is closed.

    Raises:
        StartupError: the address cannot be listened on, the secret of links not be kept, or the
            audit log not be written.
    """
    clock, ids = SystemClock(), Uuid7Source()
    telemetry = open_telemetry(metrics, settings.tracing(name))
    meters = telemetry.meters
    meter = None if meters is None else HttpMeter(meters)
    with ExitStack() as closing:
        closing.callback(telemetry.close)
        channels = connect(telemetry)
        closing.callback(channels.close)
        most = settings.coalesce_max_batch
        service = replace(
            stubs_of(channels),
            users=CoalescedUsers.over(
                channels.of(SERVICE_NAMES["users"]),
                max_batch=most,
                meter=None if meters is None else ReadsMeter(meters, "user"),
            ),
            products=CoalescedProducts.over(
                channels.of(SERVICE_NAMES["products"]),
                max_batch=most,
                meter=None if meters is None else ReadsMeter(meters, "product"),
            ),
        )
        feed = make_access_feed(settings, service, clock)
        audit = open_trail(settings.audit_log_file, "controller", clock)
        closing.callback(audit.close)
        entrance = make_entrance(settings, service, feed, clock, audit, meters=meters)
        closing.callback(entrance.denials.close)
        app = create_app(
            settings,
            service,
            entrance=entrance,
            download_secret=read_download_secret(settings),
            clock=clock,
            ids=ids,
            meter=meter,
            tracing=telemetry.tracing,
        )
        refused = no_meter if meter is None else meter.refused
        # What was counted and not told waits for no next denial.
        feed.start(entrance.denials.flush)
        closing.callback(feed.stop)
        # A stream of events would hold the stop up for minutes.
        close_feeds = app.extensions[CLOSE_FEEDS]
        if public_grpc is None:
            return WorkerApp(app, closing.pop_all().close, close_feeds, refused=refused)
        server = build_public_server(
            settings,
            public_grpc,
            channels,
            entrance,
            clock=clock,
            ids=ids,
            telemetry=telemetry,
        )
        server.start()
        closing.callback(server.close)

        def begin_stop() -> None:
            close_feeds()
            server.begin_stop(settings.drain_seconds)

        return WorkerApp(app, closing.pop_all().close, begin_stop, refused=refused)


def read_download_secret(settings: ControllerSettings) -> bytes:
    """Return the secret that signs links to download files, made first where none is set.

    Raises:
        StartupError: it cannot be read or made.
    """
    kept = settings.arcana_home / "keys" / "download_secret"
    return given_or_kept_secret(settings.download_secret, kept)


if __name__ == "__main__":
    sys.exit(run_main(main))
