"""Both shops in turn, round after round: what grows with the shop, and what does not."""

from __future__ import annotations

import statistics
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from benchmarks.machine import describe_machine, describe_versions
from benchmarks.plan import StoreKind
from benchmarks.scale.caller import Caller
from benchmarks.scale.operations import OPERATIONS
from benchmarks.scale.results import Measured, ScaleResults
from benchmarks.scale.shop import Shop, open_shop
from benchmarks.stores import BenchmarkStore, real_stores

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ScalePlan:
    """How much is measured.

    Attributes:
        sizes: of the small and the large shop.
        calls: of each operation in each turn, after the ones that warm up.
    """

    sizes: tuple[int, int] = (1_000, 100_000)
    users: int = 1_000
    rounds: int = 9
    warm_calls: int = 10
    calls: int = 60
    store: StoreKind = "real"
    seed: int = 1


def run(plan: ScalePlan, folder: Path, say: Say) -> ScaleResults:
    """Measure both shops.

    Raises:
        BenchmarkError: with what failed; there are no results then.
    """
    began = time.monotonic()
    machine = describe_machine()
    dice = Random(plan.seed)  # noqa: S311 - an order of requests, no secret.
    with _stores(plan.store, folder) as (stores, notes), ExitStack() as opened:
        shops = []
        for size, store in zip(plan.sizes, stores, strict=True):
            say(f"making a shop of {size:,} products and orders")
            shop = opened.enter_context(open_shop(size, plan.users, store, folder / str(size)))
            shop.stack.sleep()
            shops.append(shop)
        rounds = []
        for number in range(plan.rounds):
            rounds.append(_round(plan, shops, dice))
            say(f"round {number + 1} of {plan.rounds}")
    return ScaleResults(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.monotonic() - began,
        sizes=plan.sizes,
        machine=machine,
        versions=describe_versions(),
        stores=tuple(notes),
        operations={
            operation: Measured(
                tuple(
                    {size: _p50(latencies[operation]) for size, latencies in one.items()}
                    for one in rounds
                ),
                plan.sizes,
            )
            for operation in OPERATIONS
        },
    )


def _round(
    plan: ScalePlan, shops: Sequence[Shop], dice: Random
) -> Mapping[int, Mapping[str, array[int]]]:
    """Let each shop have its turn, and return its latencies by operation."""
    found = {}
    for shop in dice.sample(shops, len(shops)):
        shop.stack.wake()
        with Caller(shop.edge_url) as caller:
            latencies = {}
            for operation in dice.sample(list(OPERATIONS), len(OPERATIONS)):
                make = OPERATIONS[operation]
                # Made up beforehand: that takes longer than some of the answers.
                calls = [make(shop, dice) for _ in range(plan.warm_calls + plan.calls)]
                caller.time(calls[: plan.warm_calls])
                latencies[operation] = caller.time(calls[plan.warm_calls :])
        found[shop.size] = latencies
        shop.stack.sleep()
    return found


def _p50(latencies: array[int]) -> float:
    return statistics.median(latencies)


@contextmanager
def _stores(
    kind: StoreKind, folder: Path
) -> Iterator[tuple[Sequence[BenchmarkStore], Sequence[str]]]:
    if kind == "real":
        with real_stores(2) as (stores, notes, _):
            yield stores, notes
    else:
        folders = [folder / name for name in ("first", "second")]
        for each in folders:
            each.mkdir(parents=True)
        yield (
            [BenchmarkStore(kind, f"sqlite:///{each / 'arcana.db'}", "") for each in folders],
            ("SQLite file and cache in the repository tier's process",),
        )
