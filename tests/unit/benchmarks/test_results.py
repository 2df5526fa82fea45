from __future__ import annotations

import json
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import results as results_module
from benchmarks.headline import FIGURES, headline_of, verdicts
from benchmarks.plan import GRPC, MONOLITH, REST_FAIR
from benchmarks.results import CPU, THROUGHPUT, Results, total_cpu
from benchmarks.samples import Sample, packed, unpacked
from tests.unit.benchmarks.made_up import CHAIN, LIST, POINT, results, sample

# The issue's own words.
NAMES = [
    "hop_point_over_naive",
    "hop_point_over_fair",
    "hop_list50_over_fair",
    "chain_point_over_fair_c64",
    "chain_point_over_naive_c64",
    "layered_over_monolithic_c64",
    "cpu_layered_over_monolithic",
]


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_every_latency_survives_being_written_down(numbers: list[int]) -> None:
    assert list(unpacked(packed(array("I", numbers)))) == numbers


def test_a_sample_survives_being_written_down() -> None:
    before = sample(25, GRPC)
    assert Sample.from_dict(json.loads(json.dumps(before.to_dict()))) == before


def test_cpu_time_is_told_per_thousand_calls_and_without_the_load_generators() -> None:
    taken = Sample(2.0, array("I", [1000] * 500), {"edge": 0.5, "service": 0.25, "load": 9.0})
    assert taken.throughput == 250
    assert taken.cpu_per_1000 == {"edge": 1.0, "service": 0.5, "load": 18.0}
    assert total_cpu(taken) == 1.5


def test_percentiles_are_of_all_calls() -> None:
    taken = Sample(1.0, array("I", range(1, 101)))
    assert taken.percentiles_us() == {50: 50, 95: 95, 99: 99}


def test_a_comparison_is_of_throughput_or_of_cpu_time() -> None:
    made = results()
    faster = made.compare(CHAIN, THROUGHPUT, GRPC, MONOLITH)
    dearer = made.compare(CHAIN, CPU, GRPC, MONOLITH)
    assert faster is not None
    assert faster.value == 0.75
    assert dearer is not None
    assert dearer.value == pytest.approx(2.0)


def test_what_was_not_measured_is_not_compared() -> None:
    assert results().compare(LIST, THROUGHPUT, GRPC, MONOLITH) is None


def test_turns_too_short_for_the_kernels_clock_have_no_ratio_of_cpu_time() -> None:
    made = Results("short", 1)
    for variant in (GRPC, MONOLITH):
        made.add(CHAIN, variant, Sample(0.1, array("I", [10]), {"edge": 0.0}))
    assert made.compare(CHAIN, CPU, GRPC, MONOLITH) is None


def test_the_headline_has_exactly_the_names_that_were_asked_for() -> None:
    assert list(headline_of(results())) == NAMES
    assert [figure.name for figure in FIGURES] == NAMES


def test_the_headline_tells_both_columns_and_the_interval_of_what_is_shipped() -> None:
    told = headline_of(results())["hop_point_over_fair"]
    assert told == {"transport_only": 2.0, "as_shipped": 4.0, "low": 3.96, "high": 4.04}


def test_a_figure_that_one_round_carries_is_not_in_the_headline() -> None:
    told = headline_of(results())["hop_list50_over_fair"]
    assert told["as_shipped"] is None
    assert told["low"] is None
    assert told["transport_only"] == 1.0
    assert "one round carries it" in told["withheld"]


def test_a_figure_that_was_not_measured_is_not_in_the_headline() -> None:
    told = headline_of(Results("nothing", 1))["hop_point_over_fair"]
    assert told["as_shipped"] is None
    assert told["withheld"] == "not measured in this run"


def test_each_figure_of_the_headline_is_reached_missed_or_withheld() -> None:
    words = verdicts(headline_of(results()))
    assert words["hop_point_over_fair"] == "reached"
    assert words["hop_list50_over_fair"] == "withheld"
    assert words["layered_over_monolithic_c64"] == "reached"
    # Less is better, and 2 is less than what is asked.
    assert words["cpu_layered_over_monolithic"] == "reached"
    assert words["chain_point_over_naive_c64"] == "reached"


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((260, 270, 280, 290, 300, 310), "reached"),
        ((240, 270, 280, 290, 300, 310), "uncertain"),
        ((200, 210, 220, 230, 240, 260), "uncertain"),
        ((200, 210, 220, 230, 240, 245), "missed"),
    ],
)
def test_a_verdict_is_uncertain_when_the_interval_holds_what_is_asked(
    counts: tuple[int, ...], expected: str
) -> None:
    made = Results("noisy", 1)
    for count in counts:
        made.add(POINT, GRPC, sample(count, GRPC))
        made.add(POINT, REST_FAIR, sample(100, REST_FAIR))
    assert verdicts(headline_of(made))["hop_point_over_fair"] == expected


def test_the_transport_is_compared_with_a_monolith_that_does_not_coalesce_either() -> None:
    told = headline_of(results())["layered_over_monolithic_c64"]
    assert (told["transport_only"], told["as_shipped"]) == (0.5, 0.75)


def test_a_withheld_ratio_is_not_in_the_document_but_its_rounds_are() -> None:
    document = results().to_dict({})
    (told,) = [
        each
        for each in document["ratios"]
        if each["operation"] == LIST.operation
        and (each["measure"], each["column"]) == (THROUGHPUT, "as_shipped")
    ]
    assert (told["value"], told["low"], told["high"]) == (None, None, None)
    assert told["rounds"] == (1.0, 1.0, 3.0, 3.0)
    assert "one round carries it" in told["withheld"]
    assert told["interval"] == "range of the rounds"


def test_a_figure_below_what_is_asked_is_missed() -> None:
    made = Results("slow", 1)
    for _ in range(3):
        made.add(POINT, GRPC, sample(110, GRPC))
        made.add(POINT, REST_FAIR, sample(100, REST_FAIR))
    assert verdicts(headline_of(made))["hop_point_over_fair"] == "missed"


def test_results_are_told_in_the_order_of_the_plan() -> None:
    made = results()
    made.sort([CHAIN, POINT])
    assert made.cells() == [CHAIN, POINT]
    assert [variant for cell, variant in made.samples if cell == POINT] == list(POINT.variants)


def test_results_survive_being_saved_and_read(tmp_path: Path) -> None:
    made = results()
    file = tmp_path / "deep" / "latest.json"
    results_module.save(made.to_dict(headline_of(made)), file)
    again = results_module.read(file)
    assert again.samples == made.samples
    assert again.to_dict({}) == made.to_dict({})


def test_the_document_has_its_raw_samples_and_every_ratio() -> None:
    made = results()
    document = made.to_dict(headline_of(made))
    first = document["samples"][0]
    assert first["variant"] == GRPC
    assert first["rounds"][1]["count"] == 404
    assert list(unpacked(first["rounds"][1]["latencies_us"])) == list(range(100, 504))
    shipped = [
        each["value"]
        for each in document["ratios"]
        if each["column"] == "as_shipped" and each["over"] == REST_FAIR and each["part"] == "chain"
    ]
    assert shipped[0] == 3.0


def test_the_committed_document_leaves_the_latencies_out() -> None:
    document = results().to_dict({}, latencies=False)
    assert all(
        "latencies_us" not in each and each["p99_us"]
        for sampled in document["samples"]
        for each in sampled["rounds"]
    )
