"""The system as `docker compose` runs it, for the tests of the edge and those of the containers.

`python -m tests.containers` starts it before the tests and removes it after them. Nothing here
starts more than containers of a test's own.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import docker
from docker.models.containers import Container

from launcher.settings import Mode
from tests.stores import Store
from tests.stores.waiting import eventually
from tests.system.client import Edge
from tests.system.credentials import Credentials
from tests.system.log_lines import json_lines
from tests.system.plan import Tier
from tests.system.wiring import COMPOSED, Wiring

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "arcana-test"
# As an operator has them, but for what all tests of the edge need at the layered one.
FILES: Mapping[Mode, tuple[str, ...]] = {
    "layered": ("docker-compose.layered.yml", "tests/containers/compose.tests.yml"),
    "microservices": ("docker-compose.layered.yml", "docker-compose.microservices.yml"),
    "monolithic": ("docker-compose.monolithic.yml",),
}
VERSION = os.environ.get("ARCANA_VERSION", "dev")
ADMIN_EMAIL = "admin@arcana.example"
COMMAND_SECONDS = 300
# Adds containers, and leaves alone those that run.
UP = ("up", "--detach", "--no-deps", "--no-recreate", "--no-build", "--wait")


class Composed:
    """What tests ask of a running system, as ArcanaProcesses has it, and its containers.

    What is here now is looked up anew each time: a rolling restart changes it.

    Args:
        wiring: which of the layouts runs.
        edge: the id of the container that is asked as the edge; the layout's first one without.
    """

    def __init__(self, wiring: Wiring = COMPOSED, edge: str = "") -> None:
        self.wiring = wiring
        self._edge = edge
        self._docker = docker.from_env()

    # --- What ArcanaProcesses has too.

    @property
    def edge_url(self) -> str:
        """Where the edge is published on this machine."""
        return f"http://127.0.0.1:{self.published(5000)}"

    @property
    def grpc_edge_url(self) -> str:
        return f"grpc://127.0.0.1:{self.published(50050)}"

    @property
    def unproxied_edge_url(self) -> str:
        """Where the edge listens itself, so that its sockets are the client's peers."""
        return f"http://{address_of(self.tier('controller')[0], 'edge')}:5000"

    @property
    def admin(self) -> Credentials:
        """The credentials of the admin that the system made on its first start."""
        return Credentials(ADMIN_EMAIL, self.secret("admin", "password"))

    def pid(self, tier: Tier) -> int:
        """Give the id of a tier's first process, as this machine counts."""
        return int(self.tier(tier)[0].attrs["State"]["Pid"])

    def logs(self, tier: Tier) -> str:
        """Give all that the running containers of a tier have written."""
        return "".join(each.logs().decode(errors="replace") for each in self.tier(tier))

    def log_lines(self, tier: Tier) -> list[dict[str, object]]:
        """Give those lines of a tier's log that are JSON objects."""
        return json_lines(self.logs(tier))

    def __enter__(self) -> Composed:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._docker.close()

    # --- Its containers.

    def containers(self, service: str = "", *, stopped: bool = False) -> list[Container]:
        """Give the containers of a service of the compose file, in the order of their numbers.

        Without a service it is those of all.
        """
        labels = [
            f"com.docker.compose.project={PROJECT}",
            "com.docker.compose.service" + (f"={service}" if service else ""),
            "com.docker.compose.oneoff=False",
        ]
        found = self._docker.containers.list(all=stopped, filters={"label": labels})
        return sorted(
            found, key=lambda each: int(each.labels["com.docker.compose.container-number"])
        )

    def tier(self, tier: Tier) -> list[Container]:
        """Give the containers of a tier; in the monolith one container is all of them."""
        if tier == "controller" and self._edge:
            return [self._docker.containers.get(self._edge)]
        return [each for name in self.services_of(tier) for each in self.containers(name)]

    def services_of(self, tier: Tier) -> tuple[str, ...]:
        """Give what the compose files call the services of a tier."""
        if self.wiring.mode == "monolithic":
            return ("worker",) if tier == "worker" else ("service",)
        if tier != "service":
            return (tier,)
        # What signs tokens is also what is found without an address of its own.
        names = {"auth": "service"}
        return tuple(names.get(each, each.replace("_", "-")) for each in self.wiring.services)

    @contextlib.contextmanager
    def one_more_edge(self, **settings: str) -> Iterator[Composed]:
        """Run an edge more, and give the system as it is seen from there.

        It is a container as the compose file has it, but for these settings and its ports.
        """
        words = [f"--env={name}={value}" for name, value in settings.items()]
        [service] = self.services_of("controller")
        ran = self.compose("run", "--detach", "--no-deps", "--service-ports", *words, service)
        [edge] = ran.splitlines()[-1:]
        try:
            with Composed(self.wiring, edge) as seen:
                with Edge(seen.edge_url) as live:
                    eventually(live.is_live, 30, "one more edge")
                yield seen
        finally:
            self._docker.containers.get(edge).remove(force=True)

    def address(self, service: str, network: str, number: int = 0) -> str:
        """Give the IP address of a container in one of the compose file's networks."""
        return address_of(self.containers(service)[number], network)

    def published(self, port: int) -> int:
        """Give the port of this machine that leads to a port of the edge."""
        return int(self.tier("controller")[0].ports[f"{port}/tcp"][0]["HostPort"])

    def secret(self, reader: str, name: str) -> str:
        """Read a secret out of its volume."""
        return self.run_once(
            ["python", "-c", f"print(open('/secrets/{reader}/{name}').read())"],
            volumes={f"{PROJECT}_secrets-{reader}": {"bind": f"/secrets/{reader}", "mode": "ro"}},
        ).removesuffix("\n")

    def run_once(self, command: list[str], image: str = "operator", **options: Any) -> str:
        """Run a command in a new container of one of our images, and give its output.

        Raises:
            docker.errors.ContainerError: its exit code is not 0.
        """
        ran = self._docker.containers.run(
            f"arcana-{image}:{VERSION}",
            command[1:],
            entrypoint=command[:1],
            remove=True,
            read_only=True,
            cap_drop=["ALL"],
            # As the compose file has it.
            tmpfs={"/tmp": ""},  # noqa: S108 - inside the container.
            **({"network_mode": "none"} | options if "network" not in options else options),
        )
        return str(ran.decode())

    @contextlib.contextmanager
    def stranger(self) -> Iterator[str]:
        """Run a container outside of the system that listens at port 8000, and give its address."""
        container = self._docker.containers.run(
            f"arcana-operator:{VERSION}",
            ["-m", "http.server", "8000"],
            entrypoint=["python"],
            detach=True,
        )
        try:
            eventually(lambda: "Serving HTTP" in container.logs().decode(), 20, "the stranger")
            container.reload()
            yield str(container.attrs["NetworkSettings"]["IPAddress"])
        finally:
            container.remove(force=True)

    def network(self, name: str) -> str:
        """Give what a network of the compose file is called."""
        return f"{PROJECT}_{name}"

    def compose(self, *words: str) -> str:
        """Run `docker compose` on this system and give its output, without what it warns of.

        Raises:
            AssertionError: its exit code is not 0; tells both.
        """
        return self._command(["docker", "compose", *words])

    def roll(self, tier: Tier) -> str:
        """Replace all containers of a tier, one after the other."""
        return self._command(["sh", "containers/roll.sh", tier])

    def addresses(self) -> list[str]:
        """Give where an operator is told that the edge is."""
        return self._command(["sh", "containers/addresses.sh"]).splitlines()

    @contextlib.contextmanager
    def one_more(self, service: str) -> Iterator[None]:
        """Run a container more of a service inside the block."""
        usual = len(self.containers(service))
        self.compose(*UP, "--scale", f"{service}={usual + 1}", service)
        try:
            yield
        finally:
            self.compose(*UP, "--scale", f"{service}={usual}", service)

    def store(self) -> Store:
        """Give where the repository tier keeps its data, as this machine reaches it."""
        database = self.secret("repository", "database_url")
        cache = self.secret("repository", "redis_url")
        return Store(
            "real",
            database.replace("@mysql:", f"@{self.address('mysql', 'stores')}:"),
            cache.replace("@redis:", f"@{self.address('redis', 'broker')}:"),
        )

    def _command(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **environ(self.wiring)},
            stdin=subprocess.DEVNULL,
            # Each by itself: what compose warns of is no part of what it is asked for.
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout


def address_of(container: Container, network: str) -> str:
    """Give the IP address of a container in one of the compose file's networks."""
    networks = container.attrs["NetworkSettings"]["Networks"]
    return str(networks[f"{PROJECT}_{network}"]["IPAddress"])


def environ(wiring: Wiring) -> Mapping[str, str]:
    """Give what makes `docker compose` speak of the system of a layout."""
    return {
        "COMPOSE_PROJECT_NAME": PROJECT,
        "COMPOSE_FILE": ":".join(FILES[wiring.mode]),
        # As the system tests call it; no tier may tell it in its log.
        "ARCANA_ADMIN_EMAIL": ADMIN_EMAIL,
        # A run makes hundreds of accounts.
        "ARCANA_PASSWORD_HASH_METHOD": "scrypt:1024:8:1",
        # Ports of the kernel's choice, so that another system may run and each replica has its own.
        "ARCANA_HTTP": "127.0.0.1:",
        "ARCANA_GRPC": "127.0.0.1:",
    }
