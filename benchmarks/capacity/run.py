"""Each kind of request by itself, then a mixture of them, then nothing at all."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

import psutil

from benchmarks.capacity.callers import ask_for
from benchmarks.capacity.journal import RUN_JOB, SILENT_SECONDS, Journal
from benchmarks.capacity.meter import read_meter
from benchmarks.capacity.operations import OPERATIONS, USERS, Asked
from benchmarks.cpu import CpuMeter
from benchmarks.machine import describe_machine, describe_versions
from benchmarks.plan import StoreKind
from benchmarks.processes import Program
from benchmarks.scale.caller import Request
from benchmarks.scale.shop import Shop, open_shop
from benchmarks.stacks import Layout
from benchmarks.stores import BenchmarkStore, real_stores
from launcher.capacity.costs import (
    CONNECTION,
    CONTROLLER,
    REPOSITORY,
    SERVICE,
    WORKER,
    Check,
    Costs,
    OperationCost,
)
from launcher.capacity.mix import parse_mix
from launcher.health import Condition
from launcher.tiers import settings_class

Say = Callable[[str], None]
# The load generator, which shares the machine with what it loads.
LOAD = "load"
# As fast as it goes, each caller comes to a sign-in soon; with more sign-ins than that the service
# tier would refuse those that wait for a processor.
CHECKED_MIX = "read=78,list=10,search=5,login=1,create=1,order=5"
# As many times as long are requests measured that hash a password.
HASHING_TAKES = 4


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """How much is measured.

    Attributes:
        callers: at a time, of what hashes no password; each hashing takes a core for itself.
        alone_seconds: for how long one caller asks for each kind of request, in each round.
        alone_rounds: of these; the one in which requests were quickest counts.
        seconds: for how long all callers do.
        idle_seconds: for how long nobody asks for anything.
        check_seconds: for how long the mixture is asked for.
        quiet_seconds: how long what was set off may take to be done.
    """

    products: int = 2_000
    callers: int = 8
    hashing_callers: int = 3
    alone_seconds: float = 1.0
    alone_rounds: int = 3
    seconds: float = 5.0
    idle_seconds: float = 8.0
    check_seconds: float = 12.0
    quiet_seconds: float = 60.0
    silent_seconds: float = SILENT_SECONDS
    operations: Sequence[str] = tuple(OPERATIONS)
    store: StoreKind = "real"
    mix: str = CHECKED_MIX
    settings: Mapping[str, str] = field(default_factory=dict)


def run(plan: CapacityPlan, folder: Path, say: Say) -> Costs:
    """Measure.

    Raises:
        BenchmarkError: with what failed; there are no figures then.
    """
    began, machine = time.monotonic(), describe_machine()
    settings = {**_usual_settings(), **plan.settings}
    with (
        _store(plan.store, folder) as (store, notes, pids),
        open_shop(
            plan.products,
            USERS,
            store,
            folder / "shop",
            told=settings,
            arrange=partial(_arranged, folder),
        ) as shop,
    ):
        machinery = _Running(plan, folder, shop, {**shop.stack.pids(), **pids})
        machinery.warm_up()
        say("nothing, to know what idleness costs")
        idle = machinery.idle()
        operations = {}
        for name in plan.operations:
            operations[name] = machinery.cost_of(OPERATIONS[name], idle)
            say(f"{name}: {_told(operations[name])}")
        say("a mixture, as fast as it goes")
        check = machinery.check(operations)
        connections = machinery.redis_connections(store)
        say("nothing, without the edge")
        machinery.end_edge()
        behind = machinery.idle(without=CONTROLLER)
    return Costs(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - began, 1),
        machine=machine,
        versions=describe_versions(),
        stores=tuple(notes),
        settings=settings,
        idle_cores=_rounded(idle.cores),
        edge_process_cores=_rounded(
            {name: max(idle.cores[name] - cores, 0.0) for name, cores in behind.cores.items()}
        ),
        redis_connections=connections,
        operations=operations,
        check=check,
    )


@dataclass(frozen=True, slots=True)
class _Idle:
    """What is used each second while nobody asks: cores, and what a `DatabaseUse` counts."""

    cores: Mapping[str, float]
    database_rates: Sequence[float]


@dataclass(frozen=True, slots=True)
class _Used:
    """What requests used, over what would have been used without them."""

    cpu_seconds: Mapping[str, float]
    statements: float
    transactions: float
    held_ms: float


class _Running:
    """The running shop, and the instruments on it."""

    def __init__(
        self, plan: CapacityPlan, folder: Path, shop: Shop, pids: Mapping[str, Sequence[int]]
    ) -> None:
        self._plan = plan
        self._shop = shop
        self._pids = {name: members for name, members in pids.items() if members}
        self._meter_file = _meter_file(folder)
        self._journal = Journal(
            folder / "shop", (CONTROLLER, SERVICE, REPOSITORY, WORKER), plan.silent_seconds
        )
        self._seed = 0

    def warm_up(self) -> None:
        """Ask for everything once, so that caches are warm and connections are open."""
        for name in self._plan.operations:
            asked = OPERATIONS[name]
            self._ask(asked, 1 if asked.hashes else self._plan.callers, 0.5)
        self._journal.wait_for_silence(self._plan.quiet_seconds)

    def cost_of(self, asked: Asked, idle: _Idle) -> OperationCost:
        """Measure one kind: by one caller how long things take, by several what they cost.

        What would have been used without any request is taken off.
        """
        plan, journal = self._plan, self._journal
        # What takes a core for half a second would otherwise be a handful of requests.
        times = HASHING_TAKES if asked.hashes else 1
        # Whatever else runs on this machine lengthens times, and never shortens them.
        held = min(
            (self._held(asked, times * plan.alone_seconds, idle) for _ in range(plan.alone_rounds)),
            key=lambda each: each[CONTROLLER],
        )
        callers = plan.hashing_callers if asked.hashes else plan.callers
        took, used = self._used(asked, callers, times * plan.seconds, idle)
        count = len(took)
        return OperationCost(
            about=asked.about,
            requests=count,
            callers=callers,
            cpu_ms=_rounded(
                {name: 1000 * spent / count for name, spent in used.cpu_seconds.items()}
            ),
            held_ms=_rounded(held),
            rpcs=_rounded(
                {name: journal.calls(name).count / count for name in (SERVICE, REPOSITORY)}
            ),
            statements=round(used.statements / count, 2),
            transactions=round(used.transactions / count, 2),
            jobs=round(journal.calls(SERVICE, method=RUN_JOB).count / count, 2),
        )

    def _held(self, asked: Asked, seconds: float, idle: _Idle) -> dict[str, float]:
        """Return how long one request alone keeps things, in milliseconds."""
        journal = self._journal
        alone, used = self._used(asked, 1, seconds, idle)
        held = {
            CONTROLLER: sum(alone) / 1000,
            SERVICE: journal.calls(SERVICE).took_ms,
            REPOSITORY: journal.calls(REPOSITORY).took_ms,
            WORKER: journal.calls(SERVICE, method=RUN_JOB).took_ms,
            CONNECTION: used.held_ms,
        }
        return {name: took / len(alone) for name, took in held.items()}

    def check(self, operations: Mapping[str, OperationCost]) -> Check:
        """Ask for a mixture as fast as it goes, and say what the costs let expect.

        The tiers have one process each here, so the first of them that fills a core is what all
        wait for; or the machine is full, with the load generator on it.
        """
        plan = self._plan
        mix = parse_mix(plan.mix, operations)
        names, weights = list(mix), list(mix.values())

        def make(shop: Shop, dice: Random) -> Request:
            return OPERATIONS[dice.choices(names, weights)[0]].make(shop, dice)

        mixture = Asked("a mixture", make)
        self._ask(mixture, plan.callers, 1.0)
        own = CpuMeter(self._pids, LOAD)
        own.begin()
        busy, began = _busy_seconds(), time.perf_counter()
        count = len(self._ask(mixture, plan.callers, plan.check_seconds))
        took, cpu = time.perf_counter() - began, own.end()
        others = max(_busy_seconds() - busy - sum(cpu.values()), 0.0) / took
        free = max((os.cpu_count() or 1) - others, 0.0)
        tier_ms = {
            part: sum(share * operations[name].cpu_ms.get(part, 0.0) for name, share in mix.items())
            for part in self._pids
        }
        self._journal.wait_for_silence(plan.quiet_seconds)
        drained = max(time.perf_counter() - began - took - plan.silent_seconds, 0.0)
        per_request = sum(tier_ms.values()) + 1000 * cpu[LOAD] / count
        predicted = min(1000 / max(tier_ms.values()), free * 1000 / per_request)
        return Check(
            {name: round(share, 4) for name, share in mix.items()},
            round(took, 1),
            round(free, 2),
            round(sum(cpu.values()) / took, 2),
            round(drained, 1),
            round(predicted, 1),
            round(count / took, 1),
        )

    def idle(self, without: str = "") -> _Idle:
        """Return what is used while nobody asks for anything, one of the parts perhaps gone."""
        pids = {name: members for name, members in self._pids.items() if name != without}
        self._journal.wait_for_silence(self._plan.quiet_seconds)
        meter, began = CpuMeter(pids), time.perf_counter()
        before = read_meter(self._meter_file)
        meter.begin()
        time.sleep(self._plan.idle_seconds)
        seconds = time.perf_counter() - began
        return _Idle(
            {name: used / seconds for name, used in meter.end().items()},
            read_meter(self._meter_file).since(before).per_second(seconds),
        )

    def redis_connections(self, store: BenchmarkStore) -> dict[str, int]:
        """Count the connections to Redis that each process of a tier holds after all that."""
        if not store.redis_url:
            return {}
        port = int(store.redis_url.rpartition(":")[2].partition("/")[0])
        return {name: _connections(self._pids[name], port) for name in (REPOSITORY, WORKER)}

    def end_edge(self) -> None:
        """End the edge, which asks the tiers behind it what changed."""
        master = psutil.Process(self._pids[CONTROLLER][0])
        master.send_signal(signal.SIGTERM)
        # Its parent, which is this process, has to take note of its end.
        psutil.wait_procs([master], timeout=self._plan.quiet_seconds)

    def _used(
        self, asked: Asked, callers: int, seconds: float, idle: _Idle
    ) -> tuple[Sequence[int], _Used]:
        """Ask, wait until all that this set off is done, and return what it took and used."""
        self._journal.skip()
        meter, began = CpuMeter(self._pids), time.perf_counter()
        before = read_meter(self._meter_file)
        meter.begin()
        latencies = self._ask(asked, callers, seconds)
        self._journal.wait_for_silence(self._plan.quiet_seconds)
        cpu, database = meter.end(), read_meter(self._meter_file).since(before)
        elapsed = time.perf_counter() - began
        statements, transactions, _, held_ns = (
            max(used - elapsed * rate, 0.0)
            for used, rate in zip(database, idle.database_rates, strict=True)
        )
        spent = {name: max(used - elapsed * idle.cores[name], 0.0) for name, used in cpu.items()}
        return latencies, _Used(spent, statements, transactions, held_ns / 1e6)

    def _ask(self, asked: Asked, callers: int, seconds: float) -> Sequence[int]:
        self._seed += 1
        make = partial(asked.make, self._shop)
        return ask_for(self._shop.edge_url, callers, seconds, make, self._seed)


def _usual_settings() -> dict[str, str]:
    """Return what differs from the other benchmarks: here a password costs what it costs."""
    hashing = settings_class("service").model_fields["password_hash_method"].default
    return {
        "PASSWORD_HASH_METHOD": str(hashing),
        "RATE_LIMIT_REGISTER_IP": "100000/60",
    }


def _arranged(folder: Path, layout: Layout) -> Sequence[Program]:
    """Have the repository tier count its SQL, and a worker do the jobs."""
    metered = ("benchmarks.capacity.metered_repository", str(_meter_file(folder)))
    programs = [
        replace(each, words=metered) if each.name == REPOSITORY else each
        for each in layout.programs
    ]
    worker = Program(
        WORKER,
        ("launcher.cli", "worker"),
        {**layout.programs[0].environ, "SERVICE_URL": layout.service_url},
        # It serves nobody whom one could ask; jobs that are never done end the run.
        lambda: Condition(WORKER, ""),
    )
    return [*programs, worker]


def _meter_file(folder: Path) -> Path:
    return folder / "database-use"


def _connections(pids: Sequence[int], port: int) -> int:
    return sum(
        each.status == psutil.CONN_ESTABLISHED and bool(each.raddr) and each.raddr.port == port
        for pid in pids
        for each in psutil.Process(pid).net_connections("tcp")
    )


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    # What a guest uses is in `user` already.
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - _guests(times))


def _guests(times: object) -> float:
    return float(getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0))


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(figure, 4) for name, figure in figures.items()}


def _told(cost: OperationCost) -> str:
    cpu = ", ".join(f"{name} {used:.2f}" for name, used in cost.cpu_ms.items())
    return f"{cost.requests} requests, CPU ms each: {cpu}; {cost.statements:g} statements"


@contextmanager
def _store(
    kind: StoreKind, folder: Path
) -> Iterator[tuple[BenchmarkStore, Sequence[str], Mapping[str, Sequence[int]]]]:
    if kind == "real":
        with real_stores(1) as ((store,), notes, pids):
            yield store, notes, pids
    else:
        yield (
            BenchmarkStore(kind, f"sqlite:///{folder / 'arcana.db'}", ""),
            ("SQLite file and cache in the repository tier's process",),
            {},
        )
