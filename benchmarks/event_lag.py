"""`python -m benchmarks.event_lag`: how long after its commit does an event reach its handler?

Events are appended one by one at a steady rate, each in a transaction of its own, to a repository
tier in a process of its own, on real stores; the service tier's consumer runs here. The time counts
from before the call that appends, so what is told is never less than the lag.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from arcana.common.v1.domain_event_pb2 import DomainEvent
from arcana.repository.v1.event_repository_pb2 import AppendEventsRequest
from arcana.repository.v1.job_repository_pb2 import NewJob
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.plan import StoreKind
from benchmarks.ports import free_ports
from benchmarks.processes import Program, Stack, environment
from benchmarks.ratios import percentile
from benchmarks.stores import BenchmarkStore, migrate_store, real_stores
from benchmarks.worker import ROOT, BenchmarkError
from launcher.health import inner_tier_is_well
from service_tier.event_consumer import EventConsumer
from service_tier.repository import Repository, channel_settings
from tier_runtime.channel import open_channel
from tier_runtime.ids import Uuid7Source
from tier_runtime.timestamps import timestamp_from

# What the slowest of a hundred events may take.
TARGET_MS = 1000.0
EVENT_TYPE = "benchmark.appended"
SENDERS = 4
# How long the last events may take.
WAIT_SECONDS = 10.0
BUILD = ROOT / "build" / "bench" / "event_lag.json"
DOCS = ROOT / "docs" / "benchmarks" / "event_lag.json"


@dataclass(frozen=True, slots=True)
class LagPlan:
    """How much is measured: events per second, for how long, after how long a warm-up."""

    rate: int = 200
    seconds: float = 30.0
    warm_seconds: float = 3.0
    store: StoreKind = "real"


@dataclass(frozen=True, slots=True)
class LagResult:
    """What came out; times are in milliseconds."""

    made: str
    store: str
    rate: int
    events: int
    p50_ms: float
    p99_ms: float
    most_ms: float
    machine: dict[str, Any]
    versions: dict[str, str]

    @property
    def is_within_target(self) -> bool:
        """True when 99 of 100 events took no longer than the target."""
        return self.p99_ms <= TARGET_MS

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")


class Lags:
    """When each event was appended, and how long after that it was handled. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._appended: dict[str, float] = {}
        self._lags: dict[str, float] = {}

    def appended(self, event_id: str, at: float) -> None:
        """Note when an event is about to be appended."""
        with self._lock:
            self._appended[event_id] = at

    def handled(self, event: DomainEvent) -> Sequence[NewJob]:
        """Note that an event has come, the first time that it does; the consumer's reaction."""
        now = time.monotonic()
        with self._lock:
            self._lags.setdefault(event.id, now - self._appended[event.id])
        return ()

    def missing(self) -> int:
        """Return how many events have not come."""
        with self._lock:
            return len(self._appended) - len(self._lags)

    def since(self, begin: float) -> list[float]:
        """Return the sorted lags, in seconds, of those that were appended from then on."""
        with self._lock:
            return sorted(lag for key, lag in self._lags.items() if self._appended[key] >= begin)


def run(plan: LagPlan, folder: Path, say: Callable[[str], None]) -> LagResult:
    """Measure.

    Raises:
        BenchmarkError: with what failed; there is no result then.
    """
    lags = Lags()
    with _store(plan.store, folder) as store, _repository(store, folder) as repository:
        consumer = EventConsumer(repository, {EVENT_TYPE: lags.handled})
        consumer.start()
        try:
            say(f"{plan.rate} events a second for {plan.warm_seconds + plan.seconds:g} s")
            begin = time.monotonic() + plan.warm_seconds
            _append(plan, repository, lags)
            ends = time.monotonic() + WAIT_SECONDS
            while lags.missing() and time.monotonic() < ends:
                time.sleep(0.05)
        finally:
            consumer.stop()
    if lags.missing():
        raise BenchmarkError(f"{lags.missing()} events did not come within {WAIT_SECONDS:g} s")
    found = [1000 * lag for lag in lags.since(begin)]
    return LagResult(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        store=plan.store,
        rate=plan.rate,
        events=len(found),
        p50_ms=round(percentile(found, 50), 1),
        p99_ms=round(percentile(found, 99), 1),
        most_ms=round(found[-1], 1),
        machine=describe_machine(),
        versions=describe_versions(),
    )


def _append(plan: LagPlan, repository: Repository, lags: Lags) -> None:
    ids, count = Uuid7Source(), int(plan.rate * (plan.warm_seconds + plan.seconds))
    begin = time.monotonic()

    def send(number: int) -> None:
        time.sleep(max(begin + number / plan.rate - time.monotonic(), 0.0))
        event = DomainEvent(
            id=ids.new_id(),
            type=EVENT_TYPE,
            aggregate_type="benchmark",
            aggregate_id=str(number % 50),
            payload={"number": str(number)},
            occurred_time=timestamp_from(datetime.now(UTC)),
        )
        lags.appended(event.id, time.monotonic())
        repository.events.AppendEvents(AppendEventsRequest(events=[event]))

    with ThreadPoolExecutor(SENDERS) as senders:
        # Whatever one of them raises ends the run.
        for _ in senders.map(send, range(count)):
            pass


@contextmanager
def _repository(store: BenchmarkStore, folder: Path) -> Iterator[Repository]:
    """Run a repository tier on the store, and give the service tier's way to it."""
    migrate_store(store, folder)
    (port,) = free_ports(1)
    url = f"grpc://127.0.0.1:{port}"
    settings = {
        "ARCANA_HOME": str(folder),
        "REPOSITORY_BIND": f"127.0.0.1:{port}",
        **store.environ(),
    }
    program = Program(
        "repository",
        ("launcher.cli", "repository"),
        environment(settings),
        lambda: inner_tier_is_well("repository", url),
    )
    with (
        Stack("event lag", [program], folder),
        open_channel(url, channel_settings()) as channel,
    ):
        yield Repository.over(channel)


@contextmanager
def _store(kind: StoreKind, folder: Path) -> Iterator[BenchmarkStore]:
    if kind == "embedded":
        yield BenchmarkStore(kind, f"sqlite:///{folder / 'arcana.db'}", "")
        return
    with real_stores(1) as ((store,), _, _):
        yield store


def main(arguments: Sequence[str]) -> int:
    """Measure, show, and return 1 when something failed or is above the target."""
    options = _options(arguments)
    console = Console()
    plan = LagPlan(options.rate, options.seconds, store=options.store)
    try:
        with tempfile.TemporaryDirectory(prefix="arcana-events-") as folder:
            result = run(plan, Path(folder), console.print)
    except BenchmarkError as error:
        console.print(f"No result: {error}", style="red", markup=False)
        return 1
    for file in [BUILD, DOCS] if options.docs else [BUILD]:
        result.write(file)
        console.print(f"The figures: {file}", markup=False)
    console.print(
        f"{result.events} events on {result.store} stores: p50 {result.p50_ms} ms, "
        f"p99 {result.p99_ms} ms, at most {result.most_ms} ms; p99 may be {TARGET_MS:g} ms."
    )
    return 0 if result.is_within_target else 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.event_lag", description=__doc__)
    usual = LagPlan()
    parser.add_argument("--rate", type=int, default=usual.rate, help="events per second")
    parser.add_argument("--seconds", type=float, default=usual.seconds, help="how long")
    parser.add_argument("--store", choices=["embedded", "real"], default=usual.store)
    parser.add_argument("--docs", action="store_true", help="write docs/benchmarks/ too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
