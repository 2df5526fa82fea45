"""What requests of each kind cost: measured by `make bench-capacity`, and shipped as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

# Everything that uses a processor on behalf of a request, from the edge inwards.
CONTROLLER, SERVICE, REPOSITORY, WORKER = "controller", "service", "repository", "worker"
DATABASE, CACHE = "database", "cache"
TIERS: Sequence[str] = (CONTROLLER, SERVICE, REPOSITORY, WORKER)
PARTS: Sequence[str] = (*TIERS, DATABASE, CACHE)
# Stands beside the tiers among the times: how long a connection to the database is taken.
CONNECTION = "connection"

MEASURED = "measured.json"


@dataclass(frozen=True, slots=True)
class OperationCost:
    """What one request of a kind costs, with the jobs and events that it makes.

    Attributes:
        about: what was asked.
        requests: how many were measured.
        callers: how many were under way at a time while CPU time, calls and statements were
            counted; concurrent reads share a call.
        cpu_ms: CPU time of each part, in milliseconds.
        held_ms: how long one request, alone, keeps a thread of each tier, a worker's place and a
            connection to the database, in milliseconds, all its calls together.
        rpcs: calls to the service tier and to the repository tier.
        statements: of SQL.
        transactions: that ended with a commit.
        jobs: that it makes.
    """

    about: str
    requests: int
    callers: int
    cpu_ms: Mapping[str, float]
    held_ms: Mapping[str, float]
    rpcs: Mapping[str, float]
    statements: float
    transactions: float
    jobs: float


@dataclass(frozen=True, slots=True)
class Check:
    """What the model said of the machine that measured it, and what came about there.

    Attributes:
        mix: shares of the operations, which add up to 1.
        free_cores: that nobody else used at the time.
        used_cores: that the tiers, the stores and whoever asked used.
        drain_seconds: how long jobs and events still took after the last answer.
    """

    mix: Mapping[str, float]
    seconds: float
    free_cores: float
    used_cores: float
    drain_seconds: float
    predicted_rps: float
    measured_rps: float

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted_rps / self.measured_rps


@dataclass(frozen=True, slots=True)
class Costs:
    """All that one run has measured.

    Attributes:
        idle_cores: what each part uses while nothing is asked, one process of each tier running.
        edge_process_cores: how much of that one process of the edge causes behind it, by asking.
        redis_connections: that one process of a tier holds to Redis.
        operations: by their names.
    """

    made: str
    seconds: float
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    stores: Sequence[str]
    settings: Mapping[str, str]
    idle_cores: Mapping[str, float]
    edge_process_cores: Mapping[str, float]
    redis_connections: Mapping[str, int]
    operations: Mapping[str, OperationCost]
    check: Check

    def to_json(self) -> str:
        """Return it as a file's text; `from_json` gives it back unchanged."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Costs:
        """Return the costs that `to_json` wrote."""
        known = json.loads(text)
        operations = {name: OperationCost(**one) for name, one in known.pop("operations").items()}
        check = Check(**known.pop("check"))
        return cls(operations=operations, check=check, **known)


def measured_text() -> str:
    """Return the text of the file that ships."""
    return files("launcher.capacity").joinpath(MEASURED).read_text()


def measured_costs() -> Costs:
    """Return the costs that ship."""
    return Costs.from_json(measured_text())


def write_measured(costs: Costs) -> Path:
    """Replace the file that ships, in a checkout, and return its path."""
    file = Path(__file__).with_name(MEASURED)
    file.write_text(costs.to_json())
    return file
