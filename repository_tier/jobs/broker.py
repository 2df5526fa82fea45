"""The broker: Celery over Redis, or over a folder where there is no server."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import celery
import kombu.transport
from kombu.exceptions import OperationalError

from repository_tier.jobs import folder_transport

QUEUE = "arcana.jobs"
RUN_JOB = "arcana.run_job"
# Before every key in Redis.
KEY_PREFIX = "arcana:broker:"
# A message that a worker has taken and not acknowledged comes back after it. Longer than any job
# may take; that the job of a dead worker is begun again sooner is the leases' business.
VISIBILITY_SECONDS = 3600
CONNECT_SECONDS = 1.0
# How often a folder is looked into.
POLL_SECONDS = 0.1


class BrokerError(Exception):
    """The broker cannot be reached."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is: at a Redis, or without its URL in a folder."""

    redis_url: str
    folder: Path

    @classmethod
    def under(cls, redis_url: str, home: Path) -> BrokerAddress:
        """Return the address by the settings of a tier."""
        return cls(redis_url, home.absolute() / "broker")


def celery_app(address: BrokerAddress) -> celery.Celery:
    """Return the Celery application; nothing is connected yet."""
    kombu.transport.TRANSPORT_ALIASES[folder_transport.SCHEME] = (
        f"{folder_transport.__name__}:Transport"
    )
    app = celery.Celery("arcana", set_as_current=False)
    app.conf.update(
        broker_url=_url(address),
        broker_transport_options=_options(address),
        broker_connection_retry_on_startup=True,
        # A worker waits for its broker however long that is away.
        broker_connection_max_retries=None,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        # A message is acknowledged when its job has ended, so one whose worker dies comes back.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        # The rows tell what happens to jobs: there is nobody to ask or tell by the broker.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        enable_utc=True,
        timezone="UTC",
    )
    if address.redis_url.startswith("rediss:"):
        app.conf.broker_use_ssl = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    return app


def _url(address: BrokerAddress) -> str:
    """Return where the broker is, as kombu writes it, which has a name of its own for sockets."""
    if not address.redis_url:
        return f"{folder_transport.SCHEME}://"
    parts = urlsplit(address.redis_url)
    if parts.scheme != "unix":
        return address.redis_url
    numbers = parse_qs(parts.query).get("db", ["0"])
    return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={numbers[0]}"


def _options(address: BrokerAddress) -> dict[str, Any]:
    if not address.redis_url:
        return {
            folder_transport.FOLDER_OPTION: str(address.folder),
            "polling_interval": POLL_SECONDS,
        }
    return {
        "global_keyprefix": KEY_PREFIX,
        "visibility_timeout": VISIBILITY_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        # A server that is silent is noticed; between two polls of a worker lie fewer seconds.
        "socket_timeout": 10.0,
        "socket_keepalive": True,
    }


class Broker:
    """Publishes the ids of jobs. For one thread."""

    def __init__(self, address: BrokerAddress) -> None:
        self._address = address

    @cached_property
    def _app(self) -> celery.Celery:
        # Made when the first job is published: Celery takes its time to load.
        return celery_app(self._address)

    def publish(self, job_id: str) -> None:
        """Publish one job.

        Raises:
            BrokerError: the broker cannot be reached; it may have been published all the same.
        """
        with self._told_errors():
            self._app.send_task(RUN_JOB, args=(job_id,), queue=QUEUE, retry=False)

    def waiting(self) -> int:
        """Return how many messages no worker has taken yet.

        Raises:
            BrokerError: the broker cannot be reached.
        """
        pool: Any = self._app.pool
        with self._told_errors(), pool.acquire(block=True) as connection:
            return int(connection.default_channel.queue_declare(queue=QUEUE).message_count)

    def close(self) -> None:
        """Close what is open."""
        if "_app" in self.__dict__:
            self._app.close()

    @cached_property
    def _errors(self) -> tuple[type[BaseException], ...]:
        # What a transport's driver raises is known to its connections only.
        with self._app.connection_for_write() as connection:
            own = (*connection.connection_errors, *connection.channel_errors)
        return (OSError, OperationalError, *own)

    @contextmanager
    def _told_errors(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise BrokerError from error
