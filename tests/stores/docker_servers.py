"""Servers in containers, through testcontainers."""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
import time
from collections.abc import Sequence

import docker
import docker.errors
import requests
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from tests.stores.local_servers import MYSQL_TUNING, REDIS_OPTIONS
from tests.stores.servers import CannotProvideError, one_line, wait_for_mysql, wait_for_redis

MYSQL_IMAGE = "mysql:8.4"
REDIS_IMAGE = "redis:7-alpine"
ENGINE_SECONDS = 5
# A pull that says nothing for this long has no registry to talk to.
PULL_SILENCE_SECONDS = 20.0
PULL_SECONDS = 300.0
START_SECONDS = 90.0


class DockerServers:
    """Starts containers and removes them."""

    def __init__(self) -> None:
        self._containers: list[DockerContainer] = []
        # The reaper is one more image to pull; whoever holds these servers removes them instead.
        testcontainers_config.ryuk_disabled = True

    def start_mysql(self) -> tuple[str, str]:
        """Start MySQL in a container; returns its root URL and a few words about it."""
        ensure_image(MYSQL_IMAGE)
        password = secrets.token_urlsafe(12)
        container = DockerContainer(MYSQL_IMAGE).with_env("MYSQL_ROOT_PASSWORD", password)
        host, port = self._run(container, 3306, ["mysqld", *MYSQL_TUNING])
        url = f"mysql+pymysql://root:{password}@{host}:{port}/"
        version = wait_for_mysql(url, START_SECONDS)
        return url, f"{MYSQL_IMAGE} {version} in a container on port {port}"

    def start_redis(self) -> tuple[str, str]:
        """Start Redis in a container; as `start_mysql`."""
        ensure_image(REDIS_IMAGE)
        host, port = self._run(DockerContainer(REDIS_IMAGE), 6379, ["redis-server", *REDIS_OPTIONS])
        url = f"redis://{host}:{port}"
        version = wait_for_redis(url, START_SECONDS)
        return url, f"{REDIS_IMAGE} {version} in a container on port {port}"

    def stop(self) -> None:
        for container in self._containers:
            with contextlib.suppress(docker.errors.DockerException, requests.RequestException):
                container.stop()
        self._containers.clear()

    def _run(
        self, container: DockerContainer, port: int, command: Sequence[str]
    ) -> tuple[str, int]:
        container.with_exposed_ports(port).with_command(list(command))
        self._containers.append(container)
        try:
            container.start()
            host = container.get_container_host_ip()
            # By number: MySQL clients and resolvers have ideas of their own about that name.
            return host.replace("localhost", "127.0.0.1"), int(container.get_exposed_port(port))
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise CannotProvideError(f"the container did not start: {one_line(error)}") from error


def require_engine() -> None:
    """Raise CannotProvideError unless a Docker engine answers within a few seconds."""
    try:
        with contextlib.closing(docker.from_env(timeout=ENGINE_SECONDS)) as client:
            client.ping()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise CannotProvideError("no Docker engine answers") from error


def ensure_image(name: str) -> None:
    """Have the image on this machine, pulling it when a registry answers."""
    with contextlib.closing(docker.from_env(timeout=ENGINE_SECONDS)) as client:
        try:
            client.images.get(name)
        except docker.errors.ImageNotFound:
            _pull(name)


def _pull(name: str) -> None:
    """Pull in a thread, and give up on silence: an engine without a way out retries for minutes."""
    steps: queue.Queue[BaseException | str | None] = queue.Queue()

    def pull() -> None:
        try:
            with contextlib.closing(docker.from_env(timeout=int(PULL_SECONDS))) as client:
                for step in client.api.pull(name, stream=True, decode=True):
                    if "error" in step:
                        raise CannotProvideError(one_line(step["error"]))
                    steps.put("moving")
        except (
            CannotProvideError,
            docker.errors.DockerException,
            requests.RequestException,
            OSError,
        ) as error:
            steps.put(error)
        else:
            steps.put(None)

    threading.Thread(target=pull, daemon=True, name=f"pull {name}").start()
    ends = time.monotonic() + PULL_SECONDS
    while time.monotonic() < ends:
        try:
            step = steps.get(timeout=PULL_SILENCE_SECONDS)
        except queue.Empty:
            break
        if step is None:
            return
        if isinstance(step, BaseException):
            raise CannotProvideError(f"{name} cannot be pulled: {one_line(step)}") from step
    raise CannotProvideError(f"{name} cannot be pulled: no registry answers in time")
