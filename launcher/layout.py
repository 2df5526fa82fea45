"""The processes that a deployment mode consists of: what each runs, is told, and listens on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from launcher.hops import hops_of
from launcher.peers import tls_variables
from launcher.settings import (
    JOBS_SERVICE,
    SERVICES,
    LauncherSettings,
    WiringSettings,
    read_urls,
    worker_addresses,
)
from launcher.tiers import START_ORDER, ProgramName
from tier_runtime.addresses import Address
from tier_runtime.startup import StartupError

MONOLITH = "monolith"
METRICS_BIND = "METRICS_BIND"


# Who a program is to the others, by its certificate. The monolith serves as the service tier does.
_PEERS: Mapping[ProgramName, str] = {
    "controller": "controller",
    "service": "service",
    "repository": "repository",
    "worker": "worker",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One process of a layout, with the processes that it forks.

    Attributes:
        name: stands before its log lines.
        title: what it is called in a sentence, after "the".
        command: which program the `arcana` command runs in it.
        programs: whose code runs in it, and whose secrets it therefore sees.
        services: of the service tier, those that it has.
        settings: what it is told that the others are not.
        listens: its addresses, by the variables that decide about them.
        urls: where its health is asked.
    """

    name: str
    title: str
    command: ProgramName
    programs: tuple[ProgramName, ...]
    services: tuple[str, ...] = SERVICES
    settings: Mapping[str, str] = field(default_factory=dict)
    listens: Sequence[tuple[str, Address]] = ()
    urls: tuple[str, ...] = ()


def parts_of(settings: LauncherSettings) -> tuple[Part, ...]:
    """Give the processes in the order in which they start; they are stopped the other way round.

    Raises:
        StartupError: the settings contradict each other, or two processes would share an address.
    """
    if settings.deployment_mode == "monolithic":
        parts = [_monolith(settings)]
    else:
        _require_callable(settings)
        parts = [_repository(settings), *_services(settings), _controller(settings)]
    if settings.arcana_worker:
        parts.append(_worker(settings))
    if settings.metrics_bind:
        first = Address.parse(settings.metrics_bind)
        parts = [_measured(part, first, place) for place, part in enumerate(parts)]
    if settings.arcana_tls:
        parts = [_with_certificate(part, settings.tls_folder) for part in parts]
    _require_different_addresses(parts)
    return tuple(parts)


def metrics_of(parts: Sequence[Part]) -> list[str]:
    """Say in lines for the operator where the metrics of each process are read, if anywhere."""
    urls = [
        f"{part.name} {address.url('http')}/metrics"
        for part in parts
        for variable, address in part.listens
        if variable == METRICS_BIND
    ]
    return [f"Metrics: {', '.join(urls)}."] if urls else []


def description_of(settings: LauncherSettings) -> list[str]:
    """Say in lines for the operator what runs behind the edge."""
    by_tls = ", by mutual TLS" if settings.own_tls() is not None else ""
    if settings.deployment_mode == "monolithic":
        return [
            "Monolithic: one process with all tiers, which call each other in place.",
            f"Admin commands reach it at {settings.service_target()}{by_tls}.",
        ]
    told = service_urls_told(settings, settings.workers).values()
    repository = settings.repository_target(settings.repository_workers)
    lines = [
        f"{settings.deployment_mode.capitalize()}, with {hops_of(settings)} between the tiers.",
        f"Behind the edge{by_tls}: service {' '.join(told)}, repository {repository}.",
    ]
    if settings.workers > settings.repository_workers:
        lines.append(
            f"{settings.workers} workers of the service tier, and one of the repository tier: "
            "the embedded database is a file that one process owns (set DATABASE_URL for more)."
        )
    return lines


def require_free_addresses(parts: Sequence[Part]) -> None:
    """Refuse to start where a process could not listen.

    Raises:
        StartupError: naming all addresses that are taken.
    """
    taken = [
        f"{address} is taken, or is no address of this machine: "
        f"stop what listens there, or set {variable}."
        for part in parts
        for variable, address in part.listens
        if not address.is_free()
    ]
    if taken:
        raise StartupError("\n".join(taken))


def _with_certificate(part: Part, folder: Path) -> Part:
    peer = "service" if part.name == MONOLITH else _PEERS[part.command]
    return replace(part, settings={**part.settings, **tls_variables(folder, peer)})


def _repository(settings: LauncherSettings) -> Part:
    workers = settings.repository_workers
    addresses = _served(settings, settings.bind("repository"), workers)
    return Part(
        "repository",
        "repository tier",
        "repository",
        ("repository",),
        settings={"WORKERS": str(workers)},
        listens=[("REPOSITORY_BIND", address) for address in addresses],
        urls=_urls(settings, addresses),
    )


def _services(settings: LauncherSettings) -> list[Part]:
    repository = {
        "REPOSITORY_URL": settings.repository_target(settings.repository_workers),
        "WORKERS": str(settings.workers),
    }
    if settings.deployment_mode == "layered":
        return [_service(settings, "service", "service tier", SERVICES, repository)]
    return [_service(settings, name, f"{name} service", (name,), repository) for name in SERVICES]


def _service(
    settings: LauncherSettings,
    name: str,
    title: str,
    services: tuple[str, ...],
    told: Mapping[str, str],
) -> Part:
    bind = settings.service_address(services[0])
    addresses = _served(settings, bind, settings.workers)
    return Part(
        name,
        title,
        "service",
        ("service",),
        services=services,
        settings={**told, "SERVICE_BIND": str(bind), "SERVICES": ",".join(services)},
        listens=[("SERVICE_BIND", address) for address in addresses],
        urls=_urls(settings, addresses),
    )


def _controller(settings: LauncherSettings) -> Part:
    return Part(
        "controller",
        "controller tier",
        "controller",
        ("controller",),
        settings=service_urls_told(settings, settings.workers),
        listens=_edge(settings),
        urls=(settings.bind("controller").url("http"),),
    )


def _monolith(settings: LauncherSettings) -> Part:
    return Part(
        MONOLITH,
        "monolith",
        "controller",
        START_ORDER,
        listens=[*_edge(settings), ("SERVICE_BIND", settings.bind("service"))],
        urls=(settings.bind("controller").url("http"),),
    )


def _measured(part: Part, first: Address, place: int) -> Part:
    """Give the process a port for its metrics: the first one, or so many after it."""
    if not first.port:
        # Each takes a free one, and says so in its log.
        return part
    address = replace(first, port=first.port + place)
    return replace(
        part,
        settings={**part.settings, METRICS_BIND: str(address)},
        listens=[*part.listens, (METRICS_BIND, address)],
    )


def _worker(settings: LauncherSettings) -> Part:
    return Part(
        "worker",
        "worker",
        "worker",
        ("worker",),
        settings={"SERVICE_URL": settings.service_target(JOBS_SERVICE, settings.workers)},
    )


def service_urls_told(settings: WiringSettings, workers: int = 1) -> dict[str, str]:
    """Give the settings by which a controller tier finds the services."""
    if settings.deployment_mode == "microservices":
        urls = {name: settings.service_target(name, workers) for name in SERVICES}
        return {"SERVICE_URLS": ",".join(f"{name}={url}" for name, url in urls.items())}
    return {"SERVICE_URL": settings.service_target(workers=workers)}


def _edge(settings: LauncherSettings) -> list[tuple[str, Address]]:
    http = ("CONTROLLER_BIND", settings.bind("controller"))
    if not settings.public_grpc_enabled:
        return [http]
    return [http, ("PUBLIC_GRPC_BIND", settings.bind("public_grpc"))]


def _served(settings: LauncherSettings, bind: Address, workers: int) -> list[Address]:
    """Give the addresses of a server: gRPC workers have one each, HTTP workers share theirs."""
    return worker_addresses(bind, workers if settings.communication_protocol == "grpc" else 1)


def _urls(settings: LauncherSettings, addresses: Sequence[Address]) -> tuple[str, ...]:
    return tuple(address.url(settings.communication_protocol) for address in addresses)


def _require_callable(settings: LauncherSettings) -> None:
    """Refuse URLs that what is started here does not serve.

    Raises:
        StartupError: naming every setting in the way.
    """
    protocol = settings.communication_protocol
    schemes = ("http",) if protocol == "http" else ("grpc", "dns")
    given = {"REPOSITORY_URL": settings.repository_url, "SERVICE_URL": settings.service_url}
    given |= {
        f"SERVICE_URLS, {name}": url for name, url in read_urls(settings.service_urls).items()
    }
    faults = [
        f"{name}: {url} does not speak {protocol}, which COMMUNICATION_PROTOCOL asks for."
        for name, url in given.items()
        if url and url.partition(":")[0] not in schemes
    ]
    if settings.deployment_mode == "microservices" and settings.service_url:
        faults.append(
            "SERVICE_URL: is the address of one service tier; in microservices leave it unset, or "
            "name each service in SERVICE_URLS."
        )
    if faults:
        raise StartupError("\n".join(faults))


def _require_different_addresses(parts: Sequence[Part]) -> None:
    """Refuse two processes at one address.

    Raises:
        StartupError: naming the settings that lead there.
    """
    listens = [each for part in parts for each in part.listens]
    by_port: dict[int, list[tuple[str, Address]]] = {}
    for variable, address in listens:
        by_port.setdefault(address.port, []).append((variable, address))
    faults = [
        f"{' and '.join(sorted({variable for variable, _ in found}))}: "
        f"port {port} is needed more than once."
        for port, found in by_port.items()
        if len(found) > 1
    ]
    if faults:
        raise StartupError("\n".join(faults))
