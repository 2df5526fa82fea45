"""Starts the service tier: the only place that reads its settings and opens its sockets."""

from __future__ import annotations

import sys
from dataclasses import replace

import grpc

from service_tier.assembly.services import make_services
from service_tier.event_consumer import EventConsumer
from service_tier.event_mails import EventMails
from service_tier.hashing import WerkzeugFunction
from service_tier.mail_jobs import MailJobs
from service_tier.metrics import event_meter
from service_tier.neighbours import add_repository_probes
from service_tier.repository import Repository, channel_settings
from service_tier.settings import ServiceSettings
from tier_runtime.audit_file import open_trail
from tier_runtime.channel import open_channel
from tier_runtime.clock import SystemClock
from tier_runtime.health import HealthBoard
from tier_runtime.ids import Uuid7Source
from tier_runtime.logs import configure_logging
from tier_runtime.metrics.port import MetricsPort, metrics_port
from tier_runtime.settings import load
from tier_runtime.startup import run_main
from tier_runtime.telemetry import NO_TELEMETRY, Telemetry, open_telemetry
from tier_runtime.tier import Tier, serve_tier
from tier_runtime.tier_status_servicer import add_status_behind, with_status


def main() -> int:
    """Run the service tier until a signal ends it; return the exit code.

    Raises:
        StartupError: it cannot start, for the reason told.
    """
    settings = load(ServiceSettings)
    configure_logging("service", settings.log_level, json=settings.log_json)
    serving = settings.serving()
    with metrics_port(settings.metrics_bind, "service", forks=serving.forks) as metrics:
        return serve_tier(serving, lambda: make_connected_tier(settings, metrics))


def make_connected_tier(settings: ServiceSettings, metrics: MetricsPort) -> Tier:
    """Build the tier with its channel to the repository tier, and its telemetry.

    Raises:
        StartupError: keys or secrets cannot be read or made.
    """
    telemetry = open_telemetry(metrics, settings.tracing("service"))
    channel = open_channel(
        settings.repository_url,
        channel_settings(telemetry.meters, settings.tls_files()),
        tracing=telemetry.tracing,
    )
    tier = make_tier(settings, channel, telemetry)
    return replace(tier, on_stop=[*tier.on_stop, telemetry.close])


def make_tier(
    settings: ServiceSettings, channel: grpc.Channel, telemetry: Telemetry = NO_TELEMETRY
) -> Tier:
    """Build the tier over a channel to the repository tier, which becomes the tier's to close.

    Raises:
        StartupError: keys or secrets cannot be read or made, or the audit log not be written.
    """
    clock, ids, meters = SystemClock(), Uuid7Source(), telemetry.meters
    audit = open_trail(settings.audit_log_file, "service", clock)
    health = HealthBoard()
    repository = Repository.over(channel, max_batch=settings.coalesce_max_batch, meters=meters)
    services = make_services(
        settings,
        repository,
        WerkzeugFunction(settings.password_hash_method),
        clock,
        ids,
        audit=audit,
        is_draining=lambda: health.is_draining,
        telemetry=telemetry,
    )
    services = with_status("service", services, clock, add_status_behind(channel))
    add_repository_probes(health, channel, settings.health_probe_interval)
    if "events" not in settings.services:
        return Tier(services, health, [channel.close, audit.close], telemetry=telemetry)
    reactions = EventMails(repository, MailJobs(ids), clock).reactions()
    consumer = EventConsumer(repository, reactions, event_meter(meters), telemetry.tracing)
    return Tier(
        services,
        health,
        [consumer.stop, channel.close, audit.close],
        [consumer.start],
        telemetry=telemetry,
    )


if __name__ == "__main__":
    sys.exit(run_main(main))
