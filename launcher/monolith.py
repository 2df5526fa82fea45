"""All tiers in one process: the same tiers and contracts, with calls in place between them.

Only `launcher.programs` imports this, in the monolithic mode: it needs every tier installed.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial

from controller_tier.main import serve
from controller_tier.service_channels import ServiceChannels
from controller_tier.settings import ControllerSettings
from launcher.tiers import check_settings
from repository_tier.main import make_tier as make_repository_tier
from repository_tier.settings import RepositorySettings
from service_tier.main import make_tier as make_service_tier
from service_tier.repository import channel_settings
from service_tier.settings import ServiceSettings
from tier_runtime.addresses import Address
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.inproc import LocalServer
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.metrics.port import metrics_port
from tier_runtime.metrics.rpcs import CalledMeter
from tier_runtime.server import build_server
from tier_runtime.settings import load
from tier_runtime.startup import StartupError
from tier_runtime.telemetry import NO_TELEMETRY, Telemetry

REPOSITORY, SERVICE = "repository", "service"


def main() -> int:
    """Serve the API with all tiers in one process until told to stop; return the exit code.

    Raises:
        StartupError: a setting is bad, or a port is taken.
    """
    check_settings(
        dict.fromkeys((RepositorySettings, ServiceSettings, ControllerSettings), os.environ)
    )
    repository, service = load(RepositorySettings), load(ServiceSettings)
    controller = load(ControllerSettings)
    configure_logging("monolith", controller.log_level, json=controller.log_json)
    # The worker listens there; said here, it is one line and not the end of a worker.
    if not Address.parse(service.service_bind).is_free():
        raise StartupError(f"Cannot listen on {service.service_bind}, which SERVICE_BIND names.")
    with metrics_port(controller.metrics_bind, "monolith", forks=True) as metrics:
        return serve(
            controller,
            partial(connect, repository, service, controller),
            metrics,
            "monolith",
        )


def connect(
    repository: RepositorySettings,
    service: ServiceSettings,
    controller: ControllerSettings,
    telemetry: Telemetry = NO_TELEMETRY,
) -> ServiceChannels:
    """Build the inner tiers in this process, and return the edge's channels to them.

    The service tier is served by gRPC too, for admin commands. All of it ends when the channels
    are closed. Call it after the fork.

    Raises:
        StartupError: a tier cannot be built, or its address cannot be listened on.
    """
    meters = telemetry.meters
    with ExitStack() as ending:
        store = LocalServer(
            make_repository_tier(repository, telemetry),
            repository.serving().grpc,
            get_logger("repository_tier"),
        )
        ending.callback(store.stop, repository.repository_drain_seconds)
        store.start()

        to_store = open_channel(
            f"inproc:{REPOSITORY}",
            channel_settings(meters),
            in_process={REPOSITORY: store},
            tracing=telemetry.tracing,
        )
        # The tier closes its channel when it stops; until it is built, that is for us to do.
        with ExitStack() as unbuilt:
            unbuilt.callback(to_store.close)
            tier = make_service_tier(service, to_store, telemetry)
            unbuilt.pop_all()
        served = service.serving().grpc
        rules = LocalServer(tier, served, get_logger("service_tier"))
        ending.callback(rules.stop, service.service_drain_seconds)
        # Its start is that of the tier's health as well.
        server = build_server(
            served,
            tier.services,
            tier.health,
            get_logger("service_tier"),
            telemetry=telemetry,
        )
        ending.callback(server.stop, service.service_drain_seconds)
        server.start()
        rules.start()

        channel = open_channel(
            f"inproc:{SERVICE}",
            # No breaker and no retries: nothing lies in between that could fail by itself.
            ChannelSettings(
                default_deadline_seconds=controller.request_timeout_seconds,
                meter=None if meters is None else CalledMeter(meters),
            ),
            in_process={SERVICE: rules},
            tracing=telemetry.tracing,
        )
        return ServiceChannels.single(channel, [ending.pop_all().close])
