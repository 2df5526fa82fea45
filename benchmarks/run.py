"""One run from the first start of a process to the last sample."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from benchmarks.machine import describe_machine, describe_versions
from benchmarks.plan import Block, Part, Plan, StoreKind
from benchmarks.results import Results
from benchmarks.stores import Populated, populated
from benchmarks.targets import Target, chain_target, hop_target, in_random_order, load_worker
from benchmarks.wire import chain_bytes, hop_bytes

_PARTS: tuple[Part, ...] = ("hop", "chain")


class Progress(Protocol):
    """Whoever is told how far a run has come."""

    def stage(self, text: str) -> None:
        """Say what begins now."""
        ...

    def turn(self, text: str) -> None:
        """Say that a turn has ended, and what it gave."""
        ...


def run(plan: Plan, folder: Path, progress: Progress) -> Results:
    """Measure all that the plan names; a single failed call ends the run.

    Raises:
        BenchmarkError: with what failed; there are no results then.
    """
    began = time.monotonic()
    notes: dict[str, list[str]] = {}
    results = Results(
        plan.name,
        plan.seed,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=describe_machine(),
        versions=describe_versions(),
        stores=notes,
    )
    for kind in sorted({*plan.stores("hop"), *plan.stores("chain")}):
        progress.stage(f"{kind} stores: filling them with {plan.people} users")
        with populated(kind, plan.people, folder / kind) as store:
            notes[kind] = list(store.notes)
            work = _Work(plan, store, folder / kind, results, progress)
            if plan.wire_calls and kind == "embedded":
                work.weigh()
            for part in _PARTS:
                if kind in plan.stores(part):
                    work.measure(part)
    results.sort(plan.cells)
    results.seconds = time.monotonic() - began
    return results


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done on one kind of store."""

    plan: Plan
    store: Populated
    folder: Path
    results: Results
    progress: Progress

    def weigh(self) -> None:
        """Take the bytes on the wire, apart from everything that is timed."""
        self.progress.stage("bytes on the wire")
        folder = self.folder / "wire"
        self.results.wire += hop_bytes(self.plan, self.store, folder)
        if self.plan.wire_chain:
            self.results.wire += chain_bytes(self.plan, self.store, folder)

    def measure(self, part: Part) -> None:
        """Let all variants of a part have their turns."""
        where = f"{part} on {self.store.kind} stores"
        dice = random.Random(f"{self.plan.seed} {where}")  # noqa: S311 - an order, no secret.
        with ExitStack() as opened:
            targets = self._targets(part, opened)
            self.progress.stage(where)
            for block in self.plan.blocks:
                turns = in_random_order(_of(block, part, self.store.kind), dice)
                for number, cell, variant in turns:
                    sample = targets[variant].turn(cell, block, self.plan.seed + number)
                    self.results.add(cell, variant, sample)
                    self.progress.turn(
                        f"{cell.operation}, {cell.callers} at a time, {variant}: "
                        f"{sample.throughput:,.0f}/s"
                    )

    def _targets(self, part: Part, opened: ExitStack) -> Mapping[str, Target]:
        """Start every variant of a part; all sleep until their turns."""
        targets: dict[str, Target] = {}
        load = opened.enter_context(load_worker(self.folder))
        for variant in self.plan.variants(part, self.store.kind):
            self.progress.stage(f"{part} on {self.store.kind} stores: starting {variant}")
            if part == "hop":
                target: Target = opened.enter_context(hop_target(variant, self.store, self.folder))
            else:
                target = opened.enter_context(chain_target(variant, self.store, self.folder, load))
            targets[variant] = target
        return targets


def _of(block: Block, part: Part, kind: StoreKind) -> Block:
    cells = tuple(cell for cell in block.cells if (cell.part, cell.store) == (part, kind))
    return Block(cells, block.rounds, block.warm_seconds, block.seconds)
