"""Builds what lies in Redis, or in this process where there is none: caches and counted limits."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from limits.storage import MemoryStorage, RedisStorage

from arcana.repository.v1 import product_pb2, user_pb2
from repository_tier.cache.entry import CacheStore
from repository_tier.cache.memory_store import MemoryStore
from repository_tier.cache.message_cache import CacheTimes, MessageCache
from repository_tier.cache.redis_store import RedisStore, connect_redis
from repository_tier.metrics import CacheMeter
from repository_tier.rate_limits import RateLimits, redis_counters
from repository_tier.settings import RepositorySettings
from tier_runtime.breaker import Breaker
from tier_runtime.clock import Clock
from tier_runtime.logs import get_logger
from tier_runtime.metrics.parts import breaker_meter
from tier_runtime.telemetry import Telemetry

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters


@dataclass(frozen=True, slots=True)
class Caches:
    """What is kept for a while and may be lost, over one store."""

    # "redis" or "memory", as operators are told.
    kind: str
    users: MessageCache[user_pb2.User]
    products: MessageCache[product_pb2.Product]
    rate_limits: RateLimits
    store: CacheStore
    # What stands against the store stands against all that is cached there.
    breaker: Breaker

    @classmethod
    def of(
        cls, settings: RepositorySettings, clock: Clock, random: Random, telemetry: Telemetry
    ) -> Caches:
        """Build them; nothing is connected yet, and the store is the caller's to close."""
        meters = telemetry.meters
        store, counters = _stores(settings, clock, telemetry)
        breaker = _breaker(settings, clock, "cache", meters)
        times = CacheTimes(settings.cache_ttl_seconds, settings.cache_missing_ttl_seconds)
        return cls(
            kind="redis" if settings.redis() else "memory",
            users=MessageCache("user", store, breaker, times, random, meter=_meter(meters, "user")),
            products=MessageCache(
                "product", store, breaker, times, random, meter=_meter(meters, "product")
            ),
            rate_limits=RateLimits(counters, _breaker(settings, clock, "rate_limits", meters)),
            store=store,
            breaker=breaker,
        )

    def is_up(self) -> bool:
        """True when the store answers; each cache puts what it could not while it was away."""
        return self.users.is_up() and self.products.is_up()


def _stores(
    settings: RepositorySettings, clock: Clock, telemetry: Telemetry
) -> tuple[CacheStore, RedisStorage | MemoryStorage]:
    """Return where cached messages lie, and where the limits are counted."""
    if not settings.redis():
        return MemoryStore(clock, settings.cache_max_entries), MemoryStorage()
    client = connect_redis(
        settings.redis(),
        settings.cache_timeout_seconds,
        settings.threads() * 2,
        telemetry.tracing,
    )
    return RedisStore(client), redis_counters(settings.redis(), client)


def _breaker(
    settings: RepositorySettings, clock: Clock, name: str, meters: Meters | None
) -> Breaker:
    """Return a breaker that counts and logs when it opens and closes."""
    log, event = get_logger("repository_tier"), f"{name}_breaker"
    count = breaker_meter(meters, name)

    def tell(is_open: bool) -> None:
        count(is_open)
        log.warning(event, open=is_open)

    return Breaker(clock, settings.cache_breaker_failures, settings.cache_breaker_seconds, tell)


def _meter(meters: Meters | None, kind: str) -> CacheMeter | None:
    return None if meters is None else CacheMeter(meters, kind)
