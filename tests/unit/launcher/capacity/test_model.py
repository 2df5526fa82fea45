from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.capacity.costs import CONTROLLER, REPOSITORY, SERVICE, TIERS, WORKER
from launcher.capacity.limits import limits_of, reached_first
from launcher.capacity.model import Plan, Sizes, plan_of, usable_connections
from tests.unit.launcher.capacity.made_up import COSTS, SIZES, load

RATES = st.floats(0.0, 1e6)
SHARES = st.floats(0.0, 1.0)
ANY_SIZES = st.builds(
    Sizes,
    utilisation=st.floats(0.1, 0.9),
    replicas_min=st.integers(1, 5),
    cores_per_replica=st.integers(1, 16),
    threads=st.just(SIZES.threads),
    pool_size=st.integers(1, 64),
    max_connections=st.integers(1, 100_000),
    database_cores=st.integers(1, 256),
)


def _needs(plan: Plan) -> list[float]:
    tiers = [
        number for one in plan.tiers.values() for number in (one.replicas, one.cores, one.held)
    ]
    stores = [plan.database_cores, plan.redis_cores, plan.connections, plan.redis_connections]
    return [*tiers, *stores, plan.statements, plan.transactions, plan.jobs, *plan.rpcs.values()]


@settings(deadline=None)
@given(RATES, RATES, SHARES, ANY_SIZES)
def test_more_requests_never_need_less(
    one: float, other: float, write: float, sizes: Sizes
) -> None:
    few, many = (plan_of(COSTS, load(rps, write), sizes) for rps in sorted((one, other)))

    for less, more in zip(_needs(few), _needs(many), strict=True):
        assert less <= more * (1 + 1e-9) + 1e-9


@settings(deadline=None)
@given(st.floats(1.0, 1e5), st.integers(2, 100), SHARES)
def test_what_requests_cause_grows_in_proportion_to_them(
    rps: float, times: int, write: float
) -> None:
    one, many = (plan_of(COSTS, load(each, write), SIZES) for each in (rps, rps * times))

    for tier in TIERS:
        assert many.tiers[tier].held == pytest.approx(times * one.tiers[tier].held)
    assert many.statements == pytest.approx(times * one.statements)
    assert many.jobs == pytest.approx(times * one.jobs)
    assert many.connections_held == pytest.approx(times * one.connections_held)


@settings(deadline=None)
@given(st.floats(1.0, 1e5), SHARES)
def test_a_mix_costs_what_its_parts_cost(rps: float, write: float) -> None:
    free = replace(COSTS, idle_cores={}, edge_process_cores={})
    whole = plan_of(free, load(rps, write), SIZES)
    parts = [plan_of(free, load(rps * (1 - write), 0.0), SIZES)]
    parts.append(plan_of(free, load(rps * write, 1.0), SIZES))

    for tier in TIERS:
        assert whole.tiers[tier].cores == pytest.approx(sum(p.tiers[tier].cores for p in parts))
    assert whole.database_cores == pytest.approx(sum(part.database_cores for part in parts))


@settings(deadline=None)
@given(RATES, SHARES, ANY_SIZES)
def test_no_process_is_given_more_than_it_is_meant_to_use(
    rps: float, write: float, sizes: Sizes
) -> None:
    plan = plan_of(COSTS, load(rps, write), sizes)

    for tier, one in plan.tiers.items():
        assert one.replicas >= sizes.replicas_min
        assert one.processes == one.replicas * sizes.processes_per_replica(tier)
        assert one.cores / one.processes <= sizes.utilisation * (1 + 1e-9)
        assert one.held_per_process <= sizes.threads[tier] * sizes.utilisation * (1 + 1e-9)


def test_a_peak_is_as_so_many_more_requests() -> None:
    assert plan_of(COSTS, load(100, peak_factor=3), SIZES) == plan_of(COSTS, load(300), SIZES)


def test_the_sum_is_the_one_that_paper_gives() -> None:
    without_idleness = replace(COSTS, idle_cores={}, edge_process_cores={})

    plan = plan_of(without_idleness, load(1000, write=0.5), SIZES)

    # 500 * 2 ms + 500 * 3 ms are 2.5 cores; half of each of two cores is used, so 3 replicas.
    assert plan.tiers[CONTROLLER].cores == pytest.approx(2.5)
    assert plan.tiers[CONTROLLER].replicas == 3
    # 500/s for 3 ms and 500/s for 35 ms, twice as long on processors that are half used.
    assert plan.tiers[SERVICE].held == pytest.approx((500 * 3 + 500 * 35) / 1000 / 0.5)
    # 5.5 cores are 6 replicas, and one more while they are rolled out.
    assert plan.tiers[REPOSITORY].replicas == 6
    assert plan.connections == (6 + 1) * 2 * 2 * 16
    # 500 jobs a second of 50 ms, twice as long: 50 at a time, of which a process does 4, half used.
    assert plan.tiers[WORKER].sized_by == "threads"
    assert plan.tiers[WORKER].processes == 25
    assert plan.database_cores == pytest.approx((500 * 0.1 + 500 * 5) / 1000 / 0.5)


def test_a_replica_of_the_worker_is_one_process_however_many_cores_it_has() -> None:
    # WORKER_CONCURRENCY jobs at a time are what a replica does; it has no setting for processes.
    one, many = (
        plan_of(COSTS, load(1000, write=0.5), replace(SIZES, cores_per_replica=cores))
        for cores in (1, 8)
    )

    assert many.tiers[WORKER] == one.tiers[WORKER]
    assert many.tiers[WORKER].replicas == many.tiers[WORKER].processes == 25


def test_what_sizes_a_tier_is_told() -> None:
    assert plan_of(COSTS, load(1), SIZES).tiers[CONTROLLER].sized_by == "the fewest"
    assert plan_of(COSTS, load(50_000), SIZES).tiers[CONTROLLER].sized_by == "CPU"


def test_a_process_that_is_busy_with_itself_still_gives_a_finite_answer() -> None:
    busy = replace(COSTS, idle_cores={REPOSITORY: 0.9})
    assert 5 < plan_of(busy, load(100), SIZES).tiers[REPOSITORY].replicas < 50


def test_the_limit_that_is_reached_first_is_told_with_what_is_dearest() -> None:
    without_idleness = replace(COSTS, idle_cores={}, edge_process_cores={})
    sizes = replace(SIZES, max_connections=10_000)

    reached = reached_first(without_idleness, load(1000, write=0.5), sizes)

    assert [each.rps for each in reached] == sorted(each.rps for each in reached)
    first = reached[0]
    # 500/s of 1 ms and as many of 0.05 ms, at 50 %: about 950/s fill the one core.
    assert first.limit.name == "the one core that Redis works on"
    assert first.rps == pytest.approx(0.5 / (0.5 * 0.00105), rel=1e-6)
    assert (first.dearest, round(first.share, 2)) == ("write", 0.95)
    assert first.limit.is_exceeded


@settings(deadline=None, max_examples=15)
@given(SHARES, ANY_SIZES)
def test_a_limit_holds_up_to_where_it_is_reached_and_not_beyond(write: float, sizes: Sizes) -> None:
    for each in reached_first(COSTS, load(100, write), sizes):
        for factor, is_exceeded in ((0.99, False), (1.01, True)):
            if each.rps == 0 and not is_exceeded:
                continue
            asked = max(each.rps * factor, 0.001)
            at = limits_of(plan_of(COSTS, load(asked, write), sizes), sizes)
            (limit,) = [one for one in at if one.name == each.limit.name]
            assert limit.is_exceeded is is_exceeded


@settings(deadline=None)
@given(st.integers(1, 100_000))
def test_some_connections_are_left_for_others(most: int) -> None:
    assert 0 <= usable_connections(most) < most
