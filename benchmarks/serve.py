"""Runs one tier of a variant that no setting describes.

`python -m benchmarks.serve VARIANT TIER`, with the same environment as `arcana TIER`. The tiers are
made by their own `make_tier`; only the server around them and the channel below them differ.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from benchmarks.plain import plain
from benchmarks.plan import GRPC_PLAIN, REST_BEST, REST_NAIVE
from benchmarks.wirings import open_variant
from launcher.parent import follow_parent
from tier_runtime.logs import configure_logging
from tier_runtime.settings import load
from tier_runtime.startup import StartupError, run_main
from tier_runtime.tier import Serving, Tier, serve_tier

MakeTier = Callable[[], Tier]
Serve = Callable[[Serving, MakeTier], int]


def main(arguments: Sequence[str]) -> int:
    """Run a tier until a signal and return the exit code.

    Raises:
        StartupError: there is no such variant or tier, or it cannot start.
    """
    follow_parent(os.environ)
    variant, tier = arguments
    if tier == "controller":
        return _controller(variant)
    serving, make = inner_tier(variant, tier)
    return _server_of(variant)(serving, make)


def inner_tier(variant: str, tier: str) -> tuple[Serving, MakeTier]:
    """Return how a variant's tier is served, and what makes it in the process that serves.

    Raises:
        StartupError: there is no such tier, or its settings cannot be used.
    """
    made = _INNER_TIERS.get(tier)
    if made is None:
        raise StartupError(f"There is no tier {tier!r}: known are controller, service, repository.")
    return made(variant)


def _repository(_variant: str) -> tuple[Serving, MakeTier]:
    # A process imports what it runs and no more, as a tier in its own container would.
    from repository_tier.main import make_tier  # noqa: PLC0415
    from repository_tier.settings import RepositorySettings  # noqa: PLC0415

    settings = load(RepositorySettings)
    configure_logging("repository", settings.log_level, json=settings.log_json)
    return settings.serving(), partial(make_tier, settings)


def _service(variant: str) -> tuple[Serving, MakeTier]:
    from service_tier.main import make_tier  # noqa: PLC0415
    from service_tier.repository import channel_settings  # noqa: PLC0415
    from service_tier.settings import ServiceSettings  # noqa: PLC0415

    settings = load(ServiceSettings)
    configure_logging("service", settings.log_level, json=settings.log_json)

    def make() -> Tier:
        channel = open_variant(variant, settings.repository_url, channel_settings())
        return make_tier(settings, channel)

    return settings.serving(), make


def _controller(variant: str) -> int:
    from controller_tier.main import serve  # noqa: PLC0415
    from controller_tier.service_channels import connect_services  # noqa: PLC0415
    from controller_tier.settings import ControllerSettings  # noqa: PLC0415

    settings = load(ControllerSettings)
    configure_logging("controller", settings.log_level, json=settings.log_json)
    return serve(
        settings, lambda _tracing: connect_services(settings, partial(open_variant, variant))
    )


def _server_of(variant: str) -> Serve:
    if variant == GRPC_PLAIN:
        return lambda serving, make: serve_tier(serving, lambda: plain(make()))
    if variant == REST_BEST:
        from benchmarks.best_rest import serve_best  # noqa: PLC0415

        return serve_best
    if variant == REST_NAIVE:
        from benchmarks.naive import serve_naive  # noqa: PLC0415

        return serve_naive
    raise StartupError(f"Variant {variant!r} is not served from here.")


_INNER_TIERS: Mapping[str, Callable[[str], tuple[Serving, MakeTier]]] = MappingProxyType(
    {"repository": _repository, "service": _service}
)


if __name__ == "__main__":
    sys.exit(run_main(lambda: main(sys.argv[1:])))
