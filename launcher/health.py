"""Asking each tier how it is, over the health service and the status that it offers."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import grpc
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)

from arcana.common.v1 import tier_status_pb2, tier_status_pb2_grpc
from launcher.hops import Hop, hop_to, repositories_of, services_of
from launcher.layout import Part
from launcher.settings import LauncherSettings
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.errors import AppError
from tier_runtime.health import THIS_TIER
from tier_runtime.tls.files import TlsFiles

ASK_SECONDS = 2.0
# A proxy that the environment names is not for tiers that are asked by their addresses.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# What the inner tiers say about their neighbours, by the names of tier_runtime.health.
_STORES = {"database": "store.database", "cache": "store.cache"}
_REPOSITORY = "tier.repository"
_SILENT = "does not answer"

Status = tier_status_pb2.TierStatus


@dataclass(frozen=True, slots=True)
class Condition:
    """How one thing is.

    Attributes:
        detail: why it is not well; empty when it is.
        version: of the program that it is, as far as it tells.
        status: what else it tells, if it does.
        hop: how it is called; None of what is no process.
    """

    name: str
    where: str
    detail: str = ""
    version: str = ""
    status: Status | None = None
    hop: Hop | None = None

    @property
    def is_well(self) -> bool:
        """True when nothing speaks against it."""
        return not self.detail


@dataclass(frozen=True, slots=True)
class Report:
    """How everything is: the processes, and the stores as each of those that have them sees them.

    A store's status is that of the process which sees it.
    """

    processes: list[Condition]
    stores: list[Condition]

    @property
    def ill(self) -> list[str]:
        """The names of what is not well, each once."""
        found = (*self.processes, *self.stores)
        return list(dict.fromkeys(each.name for each in found if not each.is_well))


def inner_tier_is_well(
    name: str, url: str, service: str = "", tls: TlsFiles | None = None
) -> Condition:
    """Ask grpc.health.v1 at `url` about a service; the empty one is the tier itself."""
    with _channel_to(url, tls) as channel:
        return Condition(name, url, _ailment(channel, service))


def edge_is_well(url: str) -> Condition:
    """Ask the controller tier whether it is ready to serve."""
    try:
        with _DIRECT.open(f"{url}/health/ready", timeout=ASK_SECONDS) as answer:
            return Condition("controller", url, version=_told(answer).get("version", ""))
    except urllib.error.HTTPError as error:
        with error:
            told = _told(error)
        said = f"answers {error.code}"
        if status := told.get("status"):
            said += f" ({status})"
        return Condition("controller", url, said, told.get("version", ""))
    except (OSError, http.client.HTTPException) as error:
        # urllib wraps what the socket said.
        reason = getattr(error, "reason", error)
        return Condition("controller", url, f"{_SILENT} ({_in_words(reason)})")


def condition_of(part: Part, url: str, tls: TlsFiles | None = None) -> Condition:
    """Ask a process of a layout at one of its URLs."""
    if part.command == "controller":
        return edge_is_well(url)
    return inner_tier_is_well(part.name, url, tls=tls)


def report_on(settings: LauncherSettings) -> Report:
    """Ask everything that is asked over the network, and about the stores behind it.

    Every worker is asked: each has connections of its own to what is behind it.
    """
    edge = replace(edge_is_well(settings.bind("controller").url("http")), hop=Hop("http"))
    tls = settings.own_tls()
    if settings.deployment_mode == "monolithic":
        # Nothing of it listens but the edge and the service tier, which knows of the others.
        return _monolith(edge, settings.service_target(), tls)
    processes, stores = [edge], []
    for name, url in services_of(settings):
        with _channel_to(url, tls) as channel:
            processes.append(_process(channel, name, url, tls))
    for url in repositories_of(settings):
        with _channel_to(url, tls) as channel:
            found = _process(channel, "repository", url, tls)
            processes.append(found)
            stores += _stores(channel, url, found.status)
    # By store, and not by who sees it.
    return Report(processes, sorted(stores, key=lambda each: list(_STORES).index(each.name)))


def cache_is_well(settings: LauncherSettings) -> bool:
    """Ask every process of the repository tier whether it reaches its cache."""
    # In the monolith the service tier knows.
    urls = repositories_of(settings) or [settings.service_target()]
    tls = settings.own_tls()
    return all(inner_tier_is_well("cache", url, _STORES["cache"], tls).is_well for url in urls)


@contextmanager
def _channel_to(url: str, tls: TlsFiles | None) -> Iterator[grpc.Channel]:
    """Open a channel to a tier; nothing else here does."""
    with open_channel(url, ChannelSettings(tls=tls)) as channel:
        yield channel


def _monolith(edge: Condition, url: str, tls: TlsFiles | None) -> Report:
    with _channel_to(url, tls) as channel:
        answer = _status_answer(channel)
        service = answer.status if answer else None
        behind = answer.behind[0] if answer and answer.behind else None
        hop, in_place = hop_to(url, tls, looks=answer is not None), Hop("inproc")
        return Report(
            [
                edge,
                _condition("service", url, _ailment(channel, THIS_TIER), service, hop),
                _condition("repository", url, _ailment(channel, _REPOSITORY), behind, in_place),
            ],
            _stores(channel, url, behind),
        )


def _process(channel: grpc.Channel, name: str, url: str, tls: TlsFiles | None) -> Condition:
    ailment = _ailment(channel, THIS_TIER)
    # One that does not even say how it is would only cost the same time once more.
    is_silent = ailment.startswith(_SILENT)
    answer = None if is_silent else _status_answer(channel)
    hop = hop_to(url, tls, looks=not is_silent)
    return _condition(name, url, ailment, answer.status if answer else None, hop)


def _condition(name: str, url: str, ailment: str, status: Status | None, hop: Hop) -> Condition:
    return Condition(name, url, ailment, status.version if status else "", status, hop)


def _stores(channel: grpc.Channel, url: str, status: Status | None) -> list[Condition]:
    return [
        Condition(name, url, _ailment(channel, asked), status=status)
        for name, asked in _STORES.items()
    ]


def _ailment(channel: grpc.Channel, service: str) -> str:
    """Say what a tier's health has against a service; empty if nothing."""
    stub = health_pb2_grpc.HealthStub(channel)
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=ASK_SECONDS)
    except AppError as error:
        return f"{_SILENT} ({error.code})"
    except grpc.RpcError as error:
        return f"{_SILENT} ({error})"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    status: str = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return status.lower()


def _status_answer(channel: grpc.Channel) -> tier_status_pb2.GetTierStatusResponse | None:
    """Ask a tier what it is; None where it does not say, as one of an older build."""
    stub = tier_status_pb2_grpc.TierStatusServiceStub(channel)
    try:
        return stub.GetTierStatus(tier_status_pb2.GetTierStatusRequest(), timeout=ASK_SECONDS)
    except (AppError, grpc.RpcError):
        return None


def _in_words(reason: object) -> str:
    """Say what went wrong without the number and the type around it."""
    said = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
    return said.lower()


def _told(answer: http.client.HTTPResponse | urllib.error.HTTPError) -> dict[str, str]:
    """Return the texts of the document that an edge answers; none if that is no such document."""
    try:
        document = json.loads(answer.read())
    except (ValueError, OSError, http.client.HTTPException):
        return {}
    if not isinstance(document, dict):
        return {}
    return {name: text for name, text in document.items() if isinstance(text, str)}
