"""The channels of the variants, to a repository tier as the service tier would open them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc

from benchmarks.operations import Reads, TypedReads
from benchmarks.plan import GRPC, INPROC, REST_BEST, REST_NAIVE
from service_tier.repository import channel_settings
from tier_runtime.channel import ChannelSettings, open_channel

OnClose = Callable[[Callable[[], None]], Any]


def open_variant(variant: str, url: str, settings: ChannelSettings) -> grpc.Channel:
    """Open a channel to another process as a variant does."""
    # Imported where they are needed: no variant pays for what another one loads.
    if variant == REST_BEST:
        from benchmarks.best_rest import open_best  # noqa: PLC0415

        return open_best(url, settings)
    if variant == REST_NAIVE:
        from benchmarks.naive import open_naive  # noqa: PLC0415

        return open_naive(url, settings)
    return open_channel(url, settings)


def open_hop(variant: str, url: str, on_close: OnClose) -> grpc.Channel:
    """Open a variant's channel to a repository tier; INPROC has the tier in this process.

    `on_close` is told what is to be called in the end, the last one first.
    """
    if variant == INPROC:
        from benchmarks.in_process import open_inproc  # noqa: PLC0415

        return open_inproc(on_close)
    # As the service tier calls, but never twice: a failed call is to be seen, and to end the run.
    channel = open_variant(variant, url, replace(channel_settings(), retried_methods=()))
    on_close(channel.close)
    return channel


def reads_of(variant: str, channel: grpc.Channel) -> Reads:
    """Return how a variant's caller reads: as the service tier does where that is its point."""
    if variant in (GRPC, REST_BEST):
        from benchmarks.shipped_reads import ShippedReads  # noqa: PLC0415

        return ShippedReads(channel)
    return TypedReads(channel)
