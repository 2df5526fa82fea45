"""Builds the database, out of pools of connections to one that this build can use."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from repository_tier.database import Database
from repository_tier.engine import Engines, PoolSettings, make_engines
from repository_tier.metrics import DatabaseMeter
from repository_tier.revisions import require_revision
from repository_tier.settings import RepositorySettings
from tier_runtime.clock import Clock
from tier_runtime.tracing.spans import Tracing

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters


def open_engines(settings: RepositorySettings, tracing: Tracing) -> Engines:
    """Return the pools of connections to the database that the settings name.

    Raises:
        StartupError: it does not answer, or is not at the revision needed.
    """
    pool = PoolSettings(
        size=settings.database_pool_size,
        wait_seconds=settings.database_pool_timeout_seconds,
        connect_seconds=settings.database_connect_timeout_seconds,
        io_seconds=settings.database_io_timeout_seconds,
    )
    engines = make_engines(settings.database(), pool, tracing)
    require_revision(engines.readers, settings.database())
    return engines


def make_database(
    engines: Engines, clock: Clock, random: Random, meters: Meters | None
) -> Database:
    """Build the database over its pools, which become its to close."""
    return Database(engines, clock, random, _meter(meters, engines))


def _meter(meters: Meters | None, engines: Engines) -> DatabaseMeter | None:
    if meters is None:
        return None
    meter = DatabaseMeter(meters)
    meter.watch("read", engines.readers)
    meter.watch("write", engines.writers)
    return meter
