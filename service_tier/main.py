"""Starts the service tier: the only place that reads its settings and opens its sockets."""

from __future__ import annotations

import sys

import grpc

from service_tier.assembly.services import make_services
from service_tier.event_consumer import EventConsumer
from service_tier.event_mails import EventMails
from service_tier.hashing import WerkzeugFunction
from service_tier.mail_jobs import MailJobs
from service_tier.neighbours import add_repository_probes
from service_tier.repository import Repository, channel_settings
from service_tier.settings import ServiceSettings
from tier_runtime.channel import open_channel
from tier_runtime.clock import SystemClock
from tier_runtime.health import HealthBoard
from tier_runtime.ids import Uuid7Source
from tier_runtime.logs import configure_logging
from tier_runtime.settings import load
from tier_runtime.startup import run_main
from tier_runtime.tier import Tier, serve_tier


def main() -> int:
    """Run the service tier until a signal ends it; return the exit code.

    Raises:
        StartupError: it cannot start, for the reason told.
    """
    settings = load(ServiceSettings)
    configure_logging("service", settings.log_level, json=settings.log_json)
    return serve_tier(
        settings.serving(),
        lambda: make_tier(
            settings,
            open_channel(settings.repository_url, channel_settings(settings.tls_files())),
        ),
    )


def make_tier(settings: ServiceSettings, channel: grpc.Channel) -> Tier:
    """Build the tier over a channel to the repository tier, which becomes the tier's to close.

    Raises:
        StartupError: keys or secrets cannot be read or made.
    """
    clock, ids = SystemClock(), Uuid7Source()
    health = HealthBoard()
    repository = Repository.over(channel, max_batch=settings.coalesce_max_batch)
    services = make_services(
        settings,
        repository,
        WerkzeugFunction(settings.password_hash_method),
        clock,
        ids,
        is_draining=lambda: health.is_draining,
    )
    add_repository_probes(health, channel, settings.health_probe_interval)
    if "events" not in settings.services:
        return Tier(services, health, [channel.close])
    consumer = EventConsumer(repository, EventMails(repository, MailJobs(ids), clock).reactions())
    return Tier(services, health, [consumer.stop, channel.close], [consumer.start])


if __name__ == "__main__":
    sys.exit(run_main(main))
