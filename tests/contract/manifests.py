"""The rendered overlays, and which of our programs each of their containers runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from controller_tier.settings import ControllerSettings
from k8s.kubectl import OVERLAYS as OVERLAYS  # noqa: PLC0414 - whoever renders them needs their names.
from k8s.kubectl import overlay, render
from k8s.network import COMPONENT
from k8s.resources import Pod, Rendering, Resource
from launcher.settings import LauncherSettings
from repository_tier.settings import RepositorySettings
from repository_tier.worker.settings import WorkerSettings
from service_tier.settings import ServiceSettings
from tier_runtime.settings import TierSettings

# What reads the environment of each command.
_READERS: Mapping[tuple[str, ...], type[TierSettings]] = {
    ("python", "-m", "controller_tier.main"): ControllerSettings,
    ("python", "-m", "service_tier.main"): ServiceSettings,
    ("python", "-m", "repository_tier.main"): RepositorySettings,
    ("python", "-m", "repository_tier.worker.main"): WorkerSettings,
    ("arcana", "migrate"): RepositorySettings,
    ("arcana", "create-admin"): LauncherSettings,
}


@dataclass(frozen=True)
class Program:
    """A container that runs one of ours."""

    workload: Resource
    pod: Pod
    container: Mapping[str, Any]
    environ: Mapping[str, str]

    @property
    def command(self) -> tuple[str, ...]:
        return tuple(self.container["command"])

    @property
    def reads(self) -> type[TierSettings]:
        return _READERS[self.command]

    @property
    def image(self) -> str:
        return str(self.container["image"])

    def mounted(self, path: str) -> tuple[str, str] | None:
        """Return the volume, and the path in it, that a path of the container lies in."""
        for mount in self.container["volumeMounts"]:
            if path.startswith(f"{mount['mountPath']}/"):
                return mount["name"], path.removeprefix(f"{mount['mountPath']}/")
        return None

    def secret_at(self, path: str) -> tuple[str, str] | None:
        """Return the Secret and the key that a file of the container comes from."""
        found = self.mounted(path)
        for volume in self.pod.spec["volumes"]:
            if found is None or volume["name"] != found[0]:
                continue
            for item in volume.get("secret", {}).get("items", ()):
                if item["path"] == found[1]:
                    return volume["secret"]["secretName"], item["key"]
        return None

    def __str__(self) -> str:
        return str(self.workload)


@cache
def rendered(name: str) -> Rendering:
    """Return an overlay as kubectl renders it; once for each process."""
    return Rendering(render(overlay(name)))


def programs(name: str) -> list[Program]:
    """Return the containers of an overlay that run our programs."""
    rendering = rendered(name)
    return [
        Program(workload, pod, container, dict(_environ(rendering, container)))
        for workload, pod in rendering.workloads
        for container in pod.spec["containers"]
        if "arcana-" in container["image"]
    ]


def of_component(name: str, component: str) -> list[Program]:
    """Return the programs of a tier, of which there is one for each service in microservices."""
    found = [each for each in programs(name) if each.workload.labels.get(COMPONENT) == component]
    assert found
    return found


def program(name: str, workload: str) -> Program:
    """Return the one of that workload."""
    [found] = [each for each in programs(name) if each.workload.name == workload]
    return found


def _environ(rendering: Rendering, container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for source in container.get("envFrom", ()):
        config = rendering.find("ConfigMap", source["configMapRef"]["name"])
        assert config is not None
        yield from config.document["data"].items()
    for variable in container.get("env", ()):
        yield variable["name"], variable["value"]
