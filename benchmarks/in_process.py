"""The repository tier inside the calling process: what a call costs without any transport."""

from __future__ import annotations

import sys

import grpc

from benchmarks.wirings import OnClose
from repository_tier.main import make_tier
from repository_tier.settings import RepositorySettings
from tier_runtime.channel import open_channel
from tier_runtime.inproc import LocalServer
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.settings import load

NAME = "repository"


def open_inproc(on_close: OnClose) -> grpc.Channel:
    """Make the tier from this process's environment, and open the channel to it."""
    settings = load(RepositorySettings)
    # Standard output carries the answers to the harness; the log lines cost the same elsewhere.
    configure_logging("repository", settings.log_level, sys.stderr, json=settings.log_json)
    server = LocalServer(make_tier(settings), settings.grpc(), get_logger("repository_tier"))
    server.start()
    on_close(server.stop)
    channel = open_channel(f"inproc:{NAME}", in_process={NAME: server})
    on_close(channel.close)
    return channel
