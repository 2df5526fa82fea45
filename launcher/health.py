"""Asking each tier how it is, over the health service that it offers."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass

import grpc
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)

from launcher.console import Console
from launcher.layout import Part
from launcher.settings import SERVICES, LauncherSettings, split_url
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.errors import AppError
from tier_runtime.health import THIS_TIER
from tier_runtime.tls.files import TlsFiles

ASK_SECONDS = 2.0
# A proxy that the environment names is not for tiers that are asked by their addresses.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# What the inner tiers say about their neighbours, by the names of tier_runtime.health.
_STORES = {"database": "store.database", "cache": "store.cache"}
_BEHIND_SERVICE = {"repository": "tier.repository", **_STORES}


@dataclass(frozen=True, slots=True)
class Condition:
    """How one thing is. `detail` says why it is not well; empty when it is."""

    name: str
    where: str
    detail: str = ""

    @property
    def is_well(self) -> bool:
        """True when nothing speaks against it."""
        return not self.detail


def inner_tier_is_well(
    name: str, url: str, service: str = "", tls: TlsFiles | None = None
) -> Condition:
    """Ask grpc.health.v1 at `url` about a service; the empty one is the tier itself."""
    with open_channel(url, ChannelSettings(tls=tls)) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=ASK_SECONDS)
        except AppError as error:
            return Condition(name, url, f"does not answer ({error.code})")
        except grpc.RpcError as error:
            return Condition(name, url, f"does not answer ({error})")
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return Condition(name, url)
    return Condition(
        name, url, health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status).lower()
    )


def edge_is_well(url: str) -> Condition:
    """Ask the controller tier whether it is ready to serve."""
    try:
        with _DIRECT.open(f"{url}/health/ready", timeout=ASK_SECONDS):
            return Condition("controller", url)
    except urllib.error.HTTPError as error:
        with error:
            return Condition("controller", url, _reported(error))
    except (OSError, http.client.HTTPException) as error:
        # urllib wraps what the socket said.
        reason = getattr(error, "reason", error)
        return Condition("controller", url, f"does not answer ({_in_words(reason)})")


def condition_of(part: Part, url: str, tls: TlsFiles | None = None) -> Condition:
    """Ask a process of a layout at one of its URLs."""
    if part.command == "controller":
        return edge_is_well(url)
    return inner_tier_is_well(part.name, url, tls=tls)


def conditions(settings: LauncherSettings) -> list[Condition]:
    """Ask everything that is asked over the network, and about the stores behind it.

    Every worker is asked: each has connections of its own to what is behind it.
    """
    edge, tls = edge_is_well(settings.bind("controller").url("http")), settings.own_tls()
    if settings.deployment_mode == "monolithic":
        # Nothing of it listens but the edge and the service tier, which knows of the others.
        service = settings.service_target()
        behind = _BEHIND_SERVICE.items()
        return [
            edge,
            inner_tier_is_well("service", service, tls=tls),
            *(inner_tier_is_well(name, service, asked, tls) for name, asked in behind),
        ]
    asked = [
        *((name, url, THIS_TIER) for name, url in _services(settings)),
        *(("repository", url, THIS_TIER) for url in _repositories(settings)),
        *((name, url, store) for name, store in _STORES.items() for url in _repositories(settings)),
    ]
    return [edge, *(inner_tier_is_well(*each, tls) for each in asked)]


def cache_is_well(settings: LauncherSettings) -> bool:
    """Ask every process of the repository tier whether it reaches its cache."""
    is_one_process = settings.deployment_mode == "monolithic"
    urls = [settings.service_target()] if is_one_process else _repositories(settings)
    tls = settings.own_tls()
    return all(inner_tier_is_well("cache", url, _STORES["cache"], tls).is_well for url in urls)


def _services(settings: LauncherSettings) -> list[tuple[str, str]]:
    targets = {"service": settings.service_target(workers=settings.workers)}
    if settings.deployment_mode == "microservices":
        targets = {name: settings.service_target(name, settings.workers) for name in SERVICES}
    return [(name, url) for name, target in targets.items() for url in split_url(target)]


def _repositories(settings: LauncherSettings) -> list[str]:
    return split_url(settings.repository_target(settings.repository_workers))


def print_health(settings: LauncherSettings, console: Console) -> int:
    """Show how everything is on one screen.

    Returns:
        0 when requests are served, if only without a cache; else 1.
    """
    found = conditions(settings)
    for each in found:
        console.plain(f"{each.name:<11} {'ok' if each.is_well else each.detail:<40} {each.where}")
    ill = list(dict.fromkeys(each.name for each in found if not each.is_well))
    if not ill:
        console.plain("All is well.")
    elif ill == ["cache"]:
        console.plain("Degraded: reads go to the database.")
    else:
        console.plain(f"Not well: {', '.join(ill)}.")
    return 0 if ill in ([], ["cache"]) else 1


def _in_words(reason: object) -> str:
    """Say what went wrong without the number and the type around it."""
    said = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return said.lower()


def _reported(error: urllib.error.HTTPError) -> str:
    """Say what an answer other than 200 says about itself."""
    try:
        report = json.loads(error.read())
    except (ValueError, OSError):
        return f"answers {error.code}"
    status = report.get("status") if isinstance(report, dict) else None
    return f"answers {error.code} ({status})" if status else f"answers {error.code}"
