"""Which programs make a variant: its tiers, how each is started, and how they find each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from benchmarks import people
from benchmarks.plan import (
    GRPC,
    GRPC_PLAIN,
    MONOLITH,
    MONOLITH_PLAIN,
    REST_BEST,
    REST_FAIR,
    REST_NAIVE,
)
from benchmarks.ports import free_ports
from benchmarks.processes import Program, environment
from benchmarks.stores import BenchmarkStore
from launcher.health import Condition, edge_is_well, inner_tier_is_well

LOOPBACK = "127.0.0.1"

# The same for all variants: quick sign-ins, no limit on them, a cache that outlives the run, since
# what is compared are warm caches, and one process of the edge. So "layered over monolithic"
# compares an edge with two tiers behind it, one process each, with one process that does it all.
COMMON_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "CACHE_TTL_SECONDS": "86400",
        "LOG_LEVEL": "info",
        "PASSWORD_HASH_METHOD": people.HASH_METHOD,
        "RATE_LIMIT_LOGIN_EMAIL": "100000/60",
        "RATE_LIMIT_LOGIN_IP": "100000/60",
        "WEB_WORKERS": "1",
        "WORKERS": "1",
    }
)

NOTHING_MORE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Wiring:
    """How a variant's tiers are started.

    Attributes:
        scheme: of the URLs of its inner tiers.
        settings: what its tiers are told on top of the common settings.
        serve: whether `benchmarks.serve` starts its tiers, for what no setting can say.
    """

    scheme: str
    settings: Mapping[str, str]
    serve: bool = False


_HTTP = {"COMMUNICATION_PROTOCOL": "http"}
_ALONE = {"COALESCE_MAX_BATCH": "1"}
WIRINGS: Mapping[str, Wiring] = MappingProxyType(
    {
        GRPC: Wiring("grpc", {"COMMUNICATION_PROTOCOL": "grpc"}),
        GRPC_PLAIN: Wiring("grpc", {"COMMUNICATION_PROTOCOL": "grpc", **_ALONE}, serve=True),
        REST_FAIR: Wiring("http", {**_HTTP, **_ALONE}),
        REST_BEST: Wiring("http", _HTTP, serve=True),
        REST_NAIVE: Wiring("http", {**_HTTP, **_ALONE}, serve=True),
    }
)
# What each monolith is told on top of the common settings.
_MONOLITHS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {MONOLITH: {}, MONOLITH_PLAIN: _ALONE}
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Programs, and where they listen once they run."""

    programs: list[Program]
    edge_url: str = ""
    service_url: str = ""
    repository_url: str = ""


# Puts something between two tiers: takes "service" or "repository" and its URL, and returns what
# its caller is told.
Between = Callable[[str, str], str]


def straight(_name: str, url: str) -> str:
    """Put nothing there."""
    return url


def hop_layout(
    variant: str, store: BenchmarkStore, home: Path, told: Mapping[str, str] = NOTHING_MORE
) -> Layout:
    """Return the repository tier of a variant by itself, told some settings on top of its own."""
    wiring = WIRINGS[variant]
    (port,) = free_ports(1)
    url = f"{wiring.scheme}://{LOOPBACK}:{port}"
    settings = {"ARCANA_HOME": str(home), "REPOSITORY_BIND": f"{LOOPBACK}:{port}"}
    program = Program(
        "repository",
        _words(variant, "repository"),
        environment({**COMMON_SETTINGS, **wiring.settings, **settings, **store.environ(), **told}),
        partial(_inner_is_well, "repository", url),
    )
    return Layout([program], repository_url=url)


def chain_layout(
    variant: str,
    store: BenchmarkStore,
    home: Path,
    between: Between = straight,
    told: Mapping[str, str] = NOTHING_MORE,
) -> Layout:
    """Return all tiers of a variant; `between` says where the tiers' callers call them.

    They are told some settings on top of their own.
    """
    if variant in _MONOLITHS:
        return _monolith({**_MONOLITHS[variant], **told}, store, home)
    wiring = WIRINGS[variant]
    tiers = ("repository", "service", "controller", "public")
    ports = dict(zip(tiers, free_ports(len(tiers)), strict=True))
    repository = f"{wiring.scheme}://{LOOPBACK}:{ports['repository']}"
    service = f"{wiring.scheme}://{LOOPBACK}:{ports['service']}"
    edge = f"http://{LOOPBACK}:{ports['controller']}"
    settings = environment(
        {
            **COMMON_SETTINGS,
            **wiring.settings,
            **store.environ(),
            "DEPLOYMENT_MODE": "layered",
            "ARCANA_HOME": str(home),
            "REPOSITORY_BIND": f"{LOOPBACK}:{ports['repository']}",
            "SERVICE_BIND": f"{LOOPBACK}:{ports['service']}",
            "CONTROLLER_BIND": f"{LOOPBACK}:{ports['controller']}",
            "PUBLIC_GRPC_BIND": f"{LOOPBACK}:{ports['public']}",
            "REPOSITORY_URL": between("repository", repository),
            "SERVICE_URL": between("service", service),
            **told,
        }
    )
    programs = [
        Program(
            "repository",
            _words(variant, "repository"),
            settings,
            partial(_inner_is_well, "repository", repository),
        ),
        Program(
            "service",
            _words(variant, "service"),
            settings,
            partial(_inner_is_well, "service", service),
        ),
        Program("controller", _words(variant, "controller"), settings, partial(edge_is_well, edge)),
    ]
    return Layout(programs, edge, service, repository)


def _monolith(told: Mapping[str, str], store: BenchmarkStore, home: Path) -> Layout:
    tiers = ("service", "controller", "public")
    ports = dict(zip(tiers, free_ports(len(tiers)), strict=True))
    edge = f"http://{LOOPBACK}:{ports['controller']}"
    settings = environment(
        {
            **COMMON_SETTINGS,
            **told,
            **store.environ(),
            "DEPLOYMENT_MODE": "monolithic",
            "ARCANA_HOME": str(home),
            "SERVICE_BIND": f"{LOOPBACK}:{ports['service']}",
            "CONTROLLER_BIND": f"{LOOPBACK}:{ports['controller']}",
            "PUBLIC_GRPC_BIND": f"{LOOPBACK}:{ports['public']}",
        }
    )
    program = Program(
        "monolith", ["launcher.cli", "controller"], settings, partial(edge_is_well, edge)
    )
    return Layout([program], edge)


def _words(variant: str, tier: str) -> list[str]:
    if WIRINGS[variant].serve:
        return ["benchmarks.serve", variant, tier]
    return ["launcher.cli", tier]


def _inner_is_well(name: str, url: str) -> Condition:
    return inner_tier_is_well(name, url)
