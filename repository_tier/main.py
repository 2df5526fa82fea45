"""Starts the repository tier: the only place that reads its settings and opens its sockets."""

from __future__ import annotations

from dataclasses import replace
from random import Random, SystemRandom

from repository_tier.assembly.accounts import make_session_service, make_user_service
from repository_tier.assembly.caches import Caches
from repository_tier.assembly.database import make_database, open_engines
from repository_tier.assembly.events import make_event_log, make_event_service, make_relay
from repository_tier.assembly.files import make_file_service, open_blobs
from repository_tier.assembly.jobs import (
    make_cleanup_service,
    make_job_service,
    make_publisher,
    make_report_service,
    make_user_sync_service,
)
from repository_tier.assembly.rate_limits import make_rate_limit_service
from repository_tier.assembly.shop import make_order_service, make_product_service
from repository_tier.embedded_file import own
from repository_tier.engine import sqlite_file
from repository_tier.event_lag import EventLag
from repository_tier.jobs.broker import Broker, BrokerAddress
from repository_tier.settings import RepositorySettings
from repository_tier.store_readings import StoreReadings
from repository_tier.store_status import StoreStatus, kind_of
from repository_tier.totals import Totals
from tier_runtime.clock import Clock, SystemClock
from tier_runtime.health import HealthBoard
from tier_runtime.ids import IdSource, Uuid7Source
from tier_runtime.logs import configure_logging
from tier_runtime.metrics.port import MetricsPort, metrics_port
from tier_runtime.settings import load
from tier_runtime.startup import StartupError, run_main
from tier_runtime.telemetry import NO_TELEMETRY, Telemetry, open_telemetry
from tier_runtime.tier import Tier, serve_tier
from tier_runtime.tier_status_servicer import with_status


def main() -> int:
    """Serve `arcana.repository.v1` until a signal, and return the exit code.

    Raises:
        StartupError: the settings, the database or the address cannot be used.
    """
    settings = load(RepositorySettings)
    configure_logging("repository", settings.log_level, json=settings.log_json)
    serving = settings.serving()
    with metrics_port(settings.metrics_bind, "repository", forks=serving.forks) as metrics:
        return serve_tier(serving, lambda: make_watched_tier(settings, metrics))


def make_watched_tier(settings: RepositorySettings, metrics: MetricsPort) -> Tier:
    """Build the tier with its telemetry.

    Raises:
        StartupError: as `make_tier` does.
    """
    telemetry = open_telemetry(metrics, settings.tracing("repository"))
    tier = make_tier(settings, telemetry)
    return replace(tier, on_stop=[*tier.on_stop, telemetry.close])


def make_tier(settings: RepositorySettings, telemetry: Telemetry = NO_TELEMETRY) -> Tier:
    """Build the tier, as the one owner of an embedded database's file.

    Raises:
        StartupError: the database cannot be used, or another process serves its file.
    """
    tier = assemble(settings, SystemClock(), SystemRandom(), Uuid7Source(), telemetry)
    file = sqlite_file(settings.database())
    if file is None:
        return tier
    try:
        release = own(file)
    except StartupError:
        for callback in tier.on_stop:
            callback()
        raise
    return replace(tier, on_stop=[*tier.on_stop, release])


def assemble(
    settings: RepositorySettings,
    clock: Clock,
    random: Random,
    ids: IdSource,
    telemetry: Telemetry = NO_TELEMETRY,
) -> Tier:
    """Build the tier out of its settings.

    Raises:
        StartupError: the database does not answer, or is not at the revision needed.
    """
    blobs = open_blobs(settings)
    engines = open_engines(settings, telemetry.tracing)
    database = make_database(engines, clock, random, telemetry.meters)
    caches = Caches.of(settings, clock, random, telemetry)
    broker = Broker(BrokerAddress.under(settings.redis(), settings.arcana_home))
    publisher = make_publisher(database, broker, clock, random)
    event_log = make_event_log(settings, database, clock, random)
    relay = make_relay(settings, database, event_log, clock)

    lag = EventLag(database, event_log, clock)
    status = StoreStatus(
        database,
        lag,
        clock,
        database_kind=kind_of(engines.readers),
        cache_kind=caches.kind,
        cache_is_left_alone=lambda: caches.breaker.is_open,
    )
    if telemetry.meters is not None:
        StoreReadings(database, lag, clock).add_to(telemetry.meters)
    health = HealthBoard()
    health.add_probe("store.database", database.is_up, settings.store_probe_seconds)
    health.add_probe("store.cache", caches.is_up, settings.store_probe_seconds)

    totals = Totals(clock)
    services = [
        make_user_service(database, caches.users, totals, clock),
        make_session_service(database, caches.users, totals, clock),
        make_product_service(database, caches.products, totals, clock, ids),
        make_order_service(database, caches.products, totals, clock, ids),
        make_file_service(database, blobs, totals, clock),
        make_event_service(database, event_log, lag, clock, lambda: health.is_draining),
        make_rate_limit_service(caches.rate_limits),
        make_job_service(database, publisher, totals, clock, random),
        make_report_service(database, clock),
        make_cleanup_service(database, clock),
        make_user_sync_service(database),
    ]
    return Tier(
        with_status("repository", services, clock, status.complete),
        health,
        [
            publisher.stop,
            relay.stop,
            broker.close,
            event_log.close,
            caches.store.close,
            blobs.close,
            database.close,
        ],
        [publisher.start, relay.start],
        telemetry,
    )


if __name__ == "__main__":
    raise SystemExit(run_main(main))
