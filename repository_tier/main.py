"""The repository tier as a process: settings in, exit code out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random, SystemRandom
from typing import TYPE_CHECKING

from limits.storage import MemoryStorage, RedisStorage
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from arcana.repository.v1 import product_pb2, user_pb2
from arcana.repository.v1.cleanup_repository_pb2_grpc import (
    add_CleanupRepositoryServicer_to_server,
)
from arcana.repository.v1.event_repository_pb2_grpc import add_EventRepositoryServicer_to_server
from arcana.repository.v1.file_repository_pb2_grpc import add_FileRepositoryServicer_to_server
from arcana.repository.v1.job_repository_pb2_grpc import add_JobRepositoryServicer_to_server
from arcana.repository.v1.order_repository_pb2_grpc import add_OrderRepositoryServicer_to_server
from arcana.repository.v1.product_repository_pb2_grpc import (
    add_ProductRepositoryServicer_to_server,
)
from arcana.repository.v1.rate_limit_repository_pb2_grpc import (
    add_RateLimitRepositoryServicer_to_server,
)
from arcana.repository.v1.report_repository_pb2_grpc import (
    add_ReportRepositoryServicer_to_server,
)
from arcana.repository.v1.session_repository_pb2_grpc import (
    add_SessionRepositoryServicer_to_server,
)
from arcana.repository.v1.user_repository_pb2_grpc import add_UserRepositoryServicer_to_server
from arcana.repository.v1.user_sync_repository_pb2_grpc import (
    add_UserSyncRepositoryServicer_to_server,
)
from repository_tier.blobs.folder import FolderBlobs
from repository_tier.blobs.store import BlobStore
from repository_tier.cache.entry import CacheStore
from repository_tier.cache.memory_store import MemoryStore
from repository_tier.cache.message_cache import CacheTimes, MessageCache
from repository_tier.cache.redis_store import RedisStore, connect_redis
from repository_tier.cached_reads import CachedReads
from repository_tier.daily_reports import DailyReports
from repository_tier.database import Database
from repository_tier.embedded_file import own
from repository_tier.engine import Engines, PoolSettings, make_engines, sqlite_file
from repository_tier.event_lag import EventLag
from repository_tier.event_log.log import EventLog, RetryRule
from repository_tier.event_log.redis_log import RedisLog
from repository_tier.event_log.table_log import TableLog
from repository_tier.event_streams import EventStreams
from repository_tier.expired import Expired
from repository_tier.file_lists import FileLists
from repository_tier.file_removal import FileRemoval
from repository_tier.file_uploads import FileUploads
from repository_tier.jobs.attempts import Attempts
from repository_tier.jobs.broker import Broker, BrokerAddress
from repository_tier.jobs.enqueueing import Enqueueing
from repository_tier.jobs.lists import JobLists
from repository_tier.jobs.publishing import Publisher, Sweep
from repository_tier.metrics import CacheMeter, DatabaseMeter
from repository_tier.one_time_tokens import OneTimeTokens
from repository_tier.order_lists import OrderLists
from repository_tier.orders import Orders
from repository_tier.outbox import Outbox
from repository_tier.passwords import Passwords
from repository_tier.product_catalogue import ProductCatalogue
from repository_tier.product_directory import PRODUCTS, ProductDirectory
from repository_tier.product_search import ProductSearch
from repository_tier.profiles import Profiles
from repository_tier.rate_limits import RateLimits, redis_counters
from repository_tier.relay import Relay, RelaySettings
from repository_tier.revisions import (
    current_revision,
    is_known,
    reason,
    required_revision,
    shown_url,
)
from repository_tier.servicers.background_servicers import (
    CleanupServicer,
    ReportServicer,
    UserSyncServicer,
)
from repository_tier.servicers.event_servicer import EventServicer
from repository_tier.servicers.file_servicer import FileServicer
from repository_tier.servicers.job_servicer import JobServicer
from repository_tier.servicers.order_servicer import OrderServicer
from repository_tier.servicers.product_servicer import ProductServicer
from repository_tier.servicers.rate_limit_servicer import RateLimitServicer
from repository_tier.servicers.session_servicer import SessionServicer
from repository_tier.servicers.user_servicer import UserServicer
from repository_tier.session_lists import SessionLists
from repository_tier.sessions import Sessions
from repository_tier.settings import BucketPlace, RepositorySettings
from repository_tier.stock import Stock
from repository_tier.store_readings import StoreReadings
from repository_tier.store_status import StoreStatus, kind_of
from repository_tier.totals import Totals
from repository_tier.user_accounts import UserAccounts
from repository_tier.user_directory import UserDirectory
from repository_tier.user_syncs import UserSyncs
from tier_runtime.breaker import Breaker
from tier_runtime.clock import Clock, SystemClock
from tier_runtime.health import HealthBoard
from tier_runtime.ids import IdSource, Uuid7Source
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.metrics.parts import breaker_meter
from tier_runtime.metrics.port import MetricsPort, metrics_port
from tier_runtime.server import Registration
from tier_runtime.settings import load
from tier_runtime.startup import StartupError, run_main
from tier_runtime.telemetry import NO_TELEMETRY, Telemetry, open_telemetry
from tier_runtime.tier import Tier, serve_tier
from tier_runtime.tier_status_servicer import with_status

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters

# How long Redis may take with events. Nobody waits for that but the relay and consumers.
EVENT_REDIS_SECONDS = 2.0


def main() -> int:
    """Serve `arcana.repository.v1` until a signal, and return the exit code.

    Raises:
        StartupError: the settings, the database or the address cannot be used.
    """
    settings = load(RepositorySettings)
    configure_logging("repository", settings.log_level, json=settings.log_json)
    serving = settings.serving()
    with metrics_port(settings.metrics_bind, "repository", forks=serving.forks) as metrics:
        return serve_tier(serving, lambda: make_watched_tier(settings, metrics))


def make_watched_tier(settings: RepositorySettings, metrics: MetricsPort) -> Tier:
    """Build the tier with its telemetry.

    Raises:
        StartupError: as `make_tier` does.
    """
    telemetry = open_telemetry(metrics, settings.tracing("repository"))
    tier = make_tier(settings, telemetry)
    return replace(tier, on_stop=[*tier.on_stop, telemetry.close])


def make_tier(settings: RepositorySettings, telemetry: Telemetry = NO_TELEMETRY) -> Tier:
    """Build the tier, as the one owner of an embedded database's file.

    Raises:
        StartupError: the database cannot be used, or another process serves its file.
    """
    tier = assemble(settings, SystemClock(), SystemRandom(), Uuid7Source(), telemetry)
    file = sqlite_file(settings.database())
    if file is None:
        return tier
    try:
        release = own(file)
    except StartupError:
        for callback in tier.on_stop:
            callback()
        raise
    return replace(tier, on_stop=[*tier.on_stop, release])


def assemble(
    settings: RepositorySettings,
    clock: Clock,
    random: Random,
    ids: IdSource,
    telemetry: Telemetry = NO_TELEMETRY,
) -> Tier:
    """Build the tier out of its settings.

    Raises:
        StartupError: the database does not answer, or is not at the revision needed.
    """
    log, meters = get_logger("repository_tier"), telemetry.meters
    pool = PoolSettings(
        size=settings.database_pool_size,
        wait_seconds=settings.database_pool_timeout_seconds,
        connect_seconds=settings.database_connect_timeout_seconds,
        io_seconds=settings.database_io_timeout_seconds,
    )
    blobs = open_blobs(settings)
    engines = make_engines(settings.database(), pool, telemetry.tracing)
    require_revision(engines.readers, settings.database())
    database = Database(engines, clock, random, _database_meter(meters, engines))

    breaker = partial(
        Breaker, clock, settings.cache_breaker_failures, settings.cache_breaker_seconds
    )
    counters: RedisStorage | MemoryStorage
    store: CacheStore
    if settings.redis():
        client = connect_redis(
            settings.redis(),
            settings.cache_timeout_seconds,
            settings.threads() * 2,
            telemetry.tracing,
        )
        store, counters = RedisStore(client), redis_counters(settings.redis(), client)
    else:
        store, counters = MemoryStore(clock, settings.cache_max_entries), MemoryStorage()
    # What stands against the store stands against all that is kept there.
    cache_breaker = breaker(
        _both(
            breaker_meter(meters, "cache"),
            lambda is_open: log.warning("cache_breaker", open=is_open),
        )
    )
    times = CacheTimes(settings.cache_ttl_seconds, settings.cache_missing_ttl_seconds)
    user_cache: MessageCache[user_pb2.User] = MessageCache(
        "user", store, cache_breaker, times, random, meter=_cache_meter(meters, "user")
    )
    product_cache: MessageCache[product_pb2.Product] = MessageCache(
        "product", store, cache_breaker, times, random, meter=_cache_meter(meters, "product")
    )
    limits = RateLimits(
        counters,
        breaker(
            _both(
                breaker_meter(meters, "rate_limits"),
                lambda is_open: log.warning("rate_limits_breaker", open=is_open),
            )
        ),
    )

    totals = Totals(clock)
    users = UserServicer(
        UserDirectory(database, user_cache, totals),
        UserAccounts(database, user_cache, clock),
        Profiles(database, clock),
        Passwords(database, user_cache, clock),
        OneTimeTokens(database, clock),
    )
    sessions = SessionServicer(
        Sessions(database, user_cache, clock), SessionLists(database, totals, clock)
    )
    product_reads = CachedReads(PRODUCTS, database, product_cache, totals)
    products = ProductServicer(
        ProductDirectory(product_reads),
        ProductSearch(database, product_reads),
        ProductCatalogue(database, product_cache, clock, ids),
        Stock(database, product_cache, totals, clock, ids),
    )
    orders = OrderServicer(
        OrderLists(database, totals), Orders(database, product_cache, clock, ids)
    )
    broker = Broker(BrokerAddress.under(settings.redis(), settings.arcana_home))
    publisher = Publisher(Sweep(database, broker, clock, random), clock)
    jobs = JobServicer(
        Enqueueing(database, clock, publisher.tell),
        JobLists(database, totals),
        Attempts(database, clock, random, publisher.tell),
    )
    removal = FileRemoval(database, blobs, clock)
    files = FileServicer(
        FileLists(database, blobs, totals, clock),
        FileUploads(database, blobs, removal, clock),
        removal,
    )

    health = HealthBoard()
    event_log = make_event_log(settings, database, clock, random)
    relay = Relay(
        database,
        event_log,
        clock,
        RelaySettings(
            settings.event_poll_seconds, settings.event_batch, settings.event_kept_seconds
        ),
    )
    lag = EventLag(database, event_log, clock)
    events = EventServicer(
        Outbox(database, clock),
        event_log,
        EventStreams(event_log, lambda: health.is_draining),
        lag,
    )
    status = StoreStatus(
        database,
        lag,
        clock,
        database_kind=kind_of(engines.readers),
        cache_kind="redis" if settings.redis() else "memory",
        cache_is_left_alone=lambda: cache_breaker.is_open,
    )
    if meters is not None:
        StoreReadings(database, lag, clock).add_to(meters)

    health.add_probe("store.database", database.is_up, settings.store_probe_seconds)
    health.add_probe(
        "store.cache",
        # Each puts what it could not put while the store was away.
        lambda: user_cache.is_up() and product_cache.is_up(),
        settings.store_probe_seconds,
    )
    registrations = [
        Registration(
            "arcana.repository.v1.UserRepository",
            partial(add_UserRepositoryServicer_to_server, users),
        ),
        Registration(
            "arcana.repository.v1.SessionRepository",
            partial(add_SessionRepositoryServicer_to_server, sessions),
        ),
        Registration(
            "arcana.repository.v1.ProductRepository",
            partial(add_ProductRepositoryServicer_to_server, products),
        ),
        Registration(
            "arcana.repository.v1.OrderRepository",
            partial(add_OrderRepositoryServicer_to_server, orders),
        ),
        Registration(
            "arcana.repository.v1.FileRepository",
            partial(add_FileRepositoryServicer_to_server, files),
        ),
        Registration(
            "arcana.repository.v1.EventRepository",
            partial(add_EventRepositoryServicer_to_server, events),
        ),
        Registration(
            "arcana.repository.v1.RateLimitRepository",
            partial(add_RateLimitRepositoryServicer_to_server, RateLimitServicer(limits)),
        ),
        Registration(
            "arcana.repository.v1.JobRepository",
            partial(add_JobRepositoryServicer_to_server, jobs),
        ),
        Registration(
            "arcana.repository.v1.ReportRepository",
            partial(
                add_ReportRepositoryServicer_to_server,
                ReportServicer(DailyReports(database, clock)),
            ),
        ),
        Registration(
            "arcana.repository.v1.CleanupRepository",
            partial(
                add_CleanupRepositoryServicer_to_server, CleanupServicer(Expired(database, clock))
            ),
        ),
        Registration(
            "arcana.repository.v1.UserSyncRepository",
            partial(
                add_UserSyncRepositoryServicer_to_server, UserSyncServicer(UserSyncs(database))
            ),
        ),
    ]
    return Tier(
        with_status("repository", registrations, clock, status.complete),
        health,
        [
            publisher.stop,
            relay.stop,
            broker.close,
            event_log.close,
            store.close,
            blobs.close,
            database.close,
        ],
        [publisher.start, relay.start],
        telemetry,
    )


def _database_meter(meters: Meters | None, engines: Engines) -> DatabaseMeter | None:
    if meters is None:
        return None
    meter = DatabaseMeter(meters)
    meter.watch("read", engines.readers)
    meter.watch("write", engines.writers)
    return meter


def _cache_meter(meters: Meters | None, kind: str) -> CacheMeter | None:
    return None if meters is None else CacheMeter(meters, kind)


def _both(first: Callable[[bool], None], second: Callable[[bool], None]) -> Callable[[bool], None]:
    def tell(is_open: bool) -> None:
        first(is_open)
        second(is_open)

    return tell


def make_event_log(
    settings: RepositorySettings, database: Database, clock: Clock, random: Random
) -> EventLog:
    """Return the log of events in Redis, or in the database where there is no Redis."""
    retry = RetryRule(
        settings.event_max_attempts,
        settings.event_retry_seconds,
        settings.event_longest_retry_seconds,
    )
    if not settings.redis():
        return TableLog(database, clock, random, retry)
    # Its own connections: a stream waits for events in one, and for longer than the cache may.
    client = connect_redis(settings.redis(), EVENT_REDIS_SECONDS, settings.grpc().threads * 2)
    return RedisLog(
        client, database, clock, random, retry=retry, max_length=settings.event_stream_length
    )


def open_blobs(settings: RepositorySettings) -> BlobStore:
    """Return the place of the files' bytes.

    Raises:
        StartupError: it is a folder that cannot be written to.
    """
    place = settings.blobs()
    if not isinstance(place, BucketPlace):
        return FolderBlobs.open(place.path)
    # An extra that most installations do without.
    from repository_tier.blobs.s3 import HASTY, S3Blobs, connect_s3  # noqa: PLC0415 - see above.

    connections = settings.threads() + settings.repository_max_streams
    client = connect_s3(place.endpoint_url, connections)
    hasty = connect_s3(place.endpoint_url, connections, HASTY)
    return S3Blobs(client, hasty, place.bucket, place.prefix)


def require_revision(engine: Engine, database_url: str) -> None:
    """Check that the database is at the revision that this build needs, or a newer one.

    Raises:
        StartupError: it is not, or does not answer.
    """
    where = shown_url(database_url)
    file = sqlite_file(database_url)
    try:
        # SQLite would make the file, or say no more than that it cannot.
        if file is not None and not file.exists():
            current = None
        else:
            with engine.connect() as connection:
                current = current_revision(connection)
    except SQLAlchemyError as error:
        raise StartupError(f"The database {where} does not answer: {reason(error)}") from error
    needed = required_revision()
    if current == needed:
        return
    # While a newer build is being rolled out, this one must be able to start again.
    if current is not None and not is_known(current):
        get_logger(__name__).warning("database_is_newer", revision=current, needed=needed)
        return
    raise StartupError(
        f"The database {where} is at revision {current or 'none'} and must be at {needed}: "
        "run `arcana migrate`."
    )


if __name__ == "__main__":
    raise SystemExit(run_main(main))
