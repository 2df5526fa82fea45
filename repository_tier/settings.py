"""What the repository tier can be told."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from tier_runtime.addresses import Bind
from tier_runtime.server import GrpcServerSettings
from tier_runtime.settings import Rule
from tier_runtime.tier import ServedSettings, Serving
from tier_runtime.tls.settings import TLS_FIELDS, everybody_fault

_DATABASES = ("sqlite", "mysql+pymysql", "mariadb+pymysql", "mysql+mysqldb", "mariadb+mysqldb")
# RPCs worked on at the same time, by default; why: "What was tried" in docs/benchmarks/README.md.
SQLITE_THREADS = 4
SERVER_THREADS = 16
_RESERVED = frozenset("@:/")
_CACHES = ("redis", "rediss", "unix")
_S3 = "s3"
_BLOB_SCHEMES = ("file", _S3)


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A folder of this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """A part of a bucket of an object store; an empty endpoint is Amazon's own."""

    endpoint_url: str
    bucket: str
    prefix: str


class RepositorySettings(ServedSettings):
    """Settings of the repository tier. Unset stores mean the embedded ones under ARCANA_HOME."""

    repository_bind: Bind = Field(
        default="127.0.0.1:50052", description="Where the repository tier listens, host:port."
    )
    repository_callers: tuple[str, ...] = Field(
        default=("service", "launcher"),
        min_length=1,
        description="Who may call the tier under TLS: names in the certificates of its peers.",
    )
    repository_readers: tuple[str, ...] = Field(
        default=(),
        description="Who may under TLS call what only reads, and gives no secret: the RPCs whose "
        "google.api.http is a GET or `:batch-get`.",
    )
    arcana_home: Path = Field(
        default=Path(".arcana"), description="The folder of everything the embedded default keeps."
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="`mysql+pymysql://user:password@host:port/name` (MySQL or MariaDB), "
        "`mysql+mysqldb://…` with the faster mysqlclient installed, or `sqlite:////path`; a SQLite "
        "file under ARCANA_HOME when unset.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="`redis://host:port/number` of the cache; inside this process when unset.",
    )

    blob_url: str = Field(
        default="",
        description="Where the bytes of uploaded files lie: `file:///path` or "
        "`s3://bucket/prefix`; the folder `files` under ARCANA_HOME when unset. Processes of "
        "several machines need an object store or a shared folder.",
    )
    s3_endpoint_url: str = Field(
        default="",
        description="The object store of an `s3://` BLOB_URL, such as `https://minio.example.org`; "
        "Amazon's own when unset. Region and credentials are found as AWS's tools find theirs.",
    )

    repository_threads: int = Field(
        default=0,
        ge=0,
        le=256,
        description="RPCs that are worked on at the same time, at least 4, besides streams: these "
        "have threads of their own. 0 means 4 on SQLite, where more of them only take turns at one "
        "interpreter's lock, and 16 on a server, which they wait for.",
    )
    repository_max_streams: int = Field(
        default=32,
        ge=1,
        le=256,
        description="Streams open at the same time: files that come or go.",
    )
    repository_max_concurrent_rpcs: int = Field(
        default=256, ge=1, le=10_000, description="RPCs beyond which new ones are refused at once."
    )
    repository_drain_seconds: float = Field(
        default=20.0, ge=0, le=600, description="How long RPCs in flight may end after SIGTERM (s)."
    )
    repository_default_deadline_seconds: float = Field(
        default=5.0, gt=0, le=600, description="Deadline of a call that came without one (s)."
    )
    grpc_reflection: bool = Field(
        default=True, description="Whether the gRPC servers tell what they serve."
    )

    database_pool_size: int = Field(
        default=16,
        ge=1,
        le=256,
        description="Connections of each pool, one for reads and one for writes; at least "
        "REPOSITORY_THREADS.",
    )
    database_pool_timeout_seconds: float = Field(
        default=1.0, gt=0, le=1, description="How long a call waits for a free connection (s)."
    )
    database_connect_timeout_seconds: int = Field(
        default=1, ge=1, le=10, description="How long connecting to the database may take (s)."
    )
    database_io_timeout_seconds: float = Field(
        default=3.0,
        gt=2,
        le=60,
        description="How long the database may be silent in the middle of a statement (s); longer "
        "than its lock wait of 2 s.",
    )
    store_probe_seconds: float = Field(
        default=1.0, gt=0, le=60, description="Time between two health checks of a store (s)."
    )

    cache_ttl_seconds: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="How long a cached user or product lives at most (s).",
    )
    cache_missing_ttl_seconds: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="How long the cache knows that there is no such thing (s).",
    )
    cache_timeout_seconds: float = Field(
        default=0.1, gt=0, le=5, description="How long Redis may take to connect or answer (s)."
    )
    cache_max_entries: int = Field(
        default=10_000, ge=1, description="Entries of the cache inside this process."
    )
    cache_breaker_failures: int = Field(
        default=3, ge=1, le=100, description="Failures in a row after which Redis is left alone."
    )
    cache_breaker_seconds: float = Field(
        default=1.0, gt=0, le=60, description="How long Redis is left alone then (s)."
    )

    event_poll_seconds: float = Field(
        default=0.2,
        gt=0,
        le=60,
        description="How often the outbox is looked into while nothing is in it (s).",
    )
    event_batch: int = Field(
        default=200, ge=1, le=1000, description="Events that the relay publishes at a time."
    )
    event_kept_seconds: float = Field(
        default=604_800.0,
        ge=60,
        # Half of what `expired.JOBS_KEPT` says: an event may be published once more when it is
        # nearly over, and is kept as long again.
        le=1_296_000,
        description="How long a published event stays in the outbox (s).",
    )
    event_stream_length: int = Field(
        default=100_000,
        ge=1000,
        description="Events that the stream in Redis holds, about; while a group is behind by half "
        "of that, further events wait in the outbox.",
    )
    event_max_attempts: int = Field(
        default=8,
        ge=1,
        le=100,
        description="How often an event is tried before it is given up.",
    )
    event_retry_seconds: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="The pause after an event's first failed attempt (s); it doubles with each.",
    )
    event_longest_retry_seconds: float = Field(
        default=300.0, gt=0, le=3600, description="The longest such pause (s)."
    )
    event_max_consumers: int = Field(
        default=8,
        ge=1,
        le=256,
        description="Streams to consumers of events that are open at the same time; each has a "
        "thread.",
    )
    event_max_followers: int = Field(
        default=16,
        ge=1,
        le=256,
        description="Streams of the live view of events; each has a thread.",
    )

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            parsed = _parsed(url)
            if parsed is None or parsed.drivername not in _DATABASES or not parsed.database:
                raise ValueError(f"must name a database, as one of {', '.join(_DATABASES)}")
            if parsed.get_driver_name() == "mysqldb" and find_spec("MySQLdb") is None:
                raise ValueError("needs mysqlclient: see requirements/mysqlclient.lock")
            # A password's own "@" or "/" ends it too early, and its tail would pass for the rest.
            rest = parsed.database + (parsed.host or "").replace(":", "")
            if parsed.get_backend_name() != "sqlite" and _RESERVED & set(rest):
                raise ValueError("must have '@', ':', '/' and '%' of user and password as %40 etc.")
        return url

    @field_validator("repository_threads")
    @classmethod
    def _is_enough(cls, threads: int) -> int:
        if 0 < threads < SQLITE_THREADS:
            raise ValueError(f"must be 0 or at least {SQLITE_THREADS}")
        return threads

    @field_validator("redis_url")
    @classmethod
    def _is_a_cache(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            parsed = _parsed(url)
            if parsed is None or parsed.drivername not in _CACHES:
                raise ValueError(f"must be a URL with one of {', '.join(_CACHES)}")
        return url

    @field_validator("blob_url")
    @classmethod
    def _is_a_place(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(url)
        if parts.scheme not in _BLOB_SCHEMES or parts.query or parts.fragment:
            raise ValueError("must be file:///path or s3://bucket/prefix")
        if parts.scheme == _S3:
            if not parts.hostname:
                raise ValueError("must name a bucket, as in s3://bucket/prefix")
            if find_spec("boto3") is None:
                raise ValueError("needs boto3: install arcana[s3]")
        elif parts.netloc or not parts.path.strip("/"):
            raise ValueError("must name a folder of this machine, as in file:///var/lib/arcana")
        return url

    @field_validator("s3_endpoint_url")
    @classmethod
    def _is_an_endpoint(cls, url: str) -> str:
        if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise ValueError("must be http://host[:port] or https://host[:port]")
        return url

    def _pools_starve_threads(self) -> str | None:
        if self.database_pool_size >= self.threads():
            return None
        return "must be at least REPOSITORY_THREADS"

    def _processes_share_embedded_stores(self) -> str | None:
        # The embedded file has one owner, and a cache inside each process would keep what another
        # process has changed.
        if self.workers == 1 or not (self.database().startswith("sqlite") or not self.redis()):
            return None
        return (
            "must be 1 on embedded stores, which one process owns; name a MySQL or MariaDB by "
            "DATABASE_URL and a Redis by REDIS_URL"
        )

    def _is_open(self) -> str | None:
        return self.served_in_plaintext(self.repository_bind)

    def _serves_everybody(self) -> str | None:
        return everybody_fault(self.repository_callers)

    def _is_read_by_everybody(self) -> str | None:
        return everybody_fault(self.repository_readers)

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(("repository_bind", *TLS_FIELDS), _is_open),
        Rule(("repository_callers",), _serves_everybody),
        Rule(("repository_readers",), _is_read_by_everybody),
        Rule(
            ("database_pool_size", "repository_threads", "database_url", "arcana_home"),
            _pools_starve_threads,
        ),
        Rule(
            ("workers", "database_url", "redis_url", "arcana_home"),
            _processes_share_embedded_stores,
        ),
    )

    def database(self) -> str:
        """Return the URL of the database, with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.arcana_home.absolute() / 'arcana.db'}"

    def threads(self) -> int:
        """Return how many RPCs are worked on at the same time."""
        is_file = self.database().startswith("sqlite")
        return self.repository_threads or (SQLITE_THREADS if is_file else SERVER_THREADS)

    def redis(self) -> str:
        """Return the URL of Redis, with its password; empty for the cache in this process."""
        return "" if self.redis_url is None else self.redis_url.get_secret_value()

    def blobs(self) -> FolderPlace | BucketPlace:
        """Return where the bytes of files lie."""
        parts = urlsplit(self.blob_url)
        if parts.scheme == _S3:
            return BucketPlace(self.s3_endpoint_url, parts.netloc, parts.path)
        if parts.scheme:
            return FolderPlace(Path(unquote(parts.path)))
        return FolderPlace(self.arcana_home.absolute() / "files")

    def grpc(self) -> GrpcServerSettings:
        """Return how the server is built.

        Streams of events stay open for minutes and hardly use the database, and those of files
        are as slow as who reads them: all have threads on top of those for everything else.
        """
        streams = {
            "/arcana.repository.v1.EventRepository/ConsumeEvents": self.event_max_consumers,
            "/arcana.repository.v1.EventRepository/FollowEvents": self.event_max_followers,
        }
        return GrpcServerSettings(
            bind=self.repository_bind,
            threads=self.threads() + self.repository_max_streams + sum(streams.values()),
            max_at_once=self.threads(),
            max_concurrent_rpcs=self.repository_max_concurrent_rpcs,
            max_open_streams=self.repository_max_streams,
            max_open_streams_of=streams,
            drain_seconds=self.repository_drain_seconds,
            tls=self.server_tls(self.repository_callers, self.repository_readers),
            default_deadline_seconds=self.repository_default_deadline_seconds,
            reflection=self.grpc_reflection,
            # Every worker of the edge asks the first four times a second; the others come with
            # every batch of events.
            quiet_methods=(
                "/arcana.repository.v1.SessionRepository/ListAccessChanges",
                "/arcana.repository.v1.EventRepository/ConsumeEvents",
                "/arcana.repository.v1.EventRepository/SettleEvents",
            ),
        )

    def serving(self) -> Serving:
        """Return how the tier is served."""
        return Serving(
            "repository",
            self.communication_protocol,
            self.workers,
            self.grpc(),
            health_bind=self.health_bind,
        )


def _parsed(url: SecretStr) -> URL | None:
    try:
        return make_url(url.get_secret_value())
    except ArgumentError:
        return None
