"""Runs the controller tier."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from controller_tier.app import create_app, make_access_feed
from controller_tier.http_server import WebServerSettings, WorkerApp, serve_http
from controller_tier.settings import ControllerSettings
from controller_tier.stubs import READ_METHODS, stubs_of
from tier_runtime.addresses import Address
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.clock import SystemClock
from tier_runtime.ids import Uuid7Source
from tier_runtime.logs import configure_logging
from tier_runtime.settings import load
from tier_runtime.startup import run_main


def main() -> int:
    """Serve the HTTP API until told to stop; return the exit code.

    Raises:
        StartupError: a setting is bad, or the port is taken.
    """
    settings = load(ControllerSettings)
    configure_logging("controller", settings.log_level, json=settings.log_json)
    server = WebServerSettings(
        address=Address.parse(settings.controller_bind),
        workers=settings.web_workers,
        threads=settings.web_threads,
        keepalive_seconds=settings.web_keepalive_seconds,
        client_timeout_seconds=settings.client_timeout_seconds,
        drain_seconds=settings.drain_seconds,
    )
    return serve_http(server, lambda: make_worker_app(settings))


def make_worker_app(settings: ControllerSettings) -> WorkerApp:
    """Build what one worker serves: its own channel, its own feed, its own caches."""
    clock = SystemClock()
    closing = ExitStack()
    channel = closing.enter_context(
        open_channel(
            settings.service_url,
            ChannelSettings(
                default_deadline_seconds=settings.request_timeout_seconds,
                retried_methods=READ_METHODS,
            ),
        )
    )
    service = stubs_of(channel)
    feed = make_access_feed(settings, service, clock)
    app = create_app(settings, service, feed=feed, clock=clock, ids=Uuid7Source())
    feed.start()
    closing.callback(feed.stop)
    return WorkerApp(app, closing.close)


if __name__ == "__main__":
    sys.exit(run_main(main))
