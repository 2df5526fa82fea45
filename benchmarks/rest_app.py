"""The WSGI application of a tier, for servers other than ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tier_runtime.handlers import collect, guarded
from tier_runtime.logs import get_logger
from tier_runtime.rest.app import RestApp
from tier_runtime.server import make_desk
from tier_runtime.tier import Serving, Tier


def rest_app(serving: Serving, tier: Tier) -> RestApp:
    """Return what `serve_tier` would have served, and say that the tier serves."""
    desk = make_desk(serving.grpc, get_logger(f"{serving.name}_tier"))
    app = RestApp(
        guarded(collect(tier.services), desk),
        tier.health,
        max_concurrent_rpcs=serving.grpc.max_concurrent_rpcs,
        max_message_bytes=serving.grpc.max_message_bytes,
    )
    tier.open()
    return app


@contextmanager
def close_at_the_end(tier: Tier) -> Iterator[None]:
    """Give back what the tier holds, however the serving ends."""
    try:
        yield
    finally:
        tier.close()
