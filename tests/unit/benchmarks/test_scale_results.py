from __future__ import annotations

from dataclasses import replace

from benchmarks.scale.results import Measured, ScaleResults

SIZES = (1_000, 100_000)


def _measured(*pairs: tuple[float, float]) -> Measured:
    return Measured(tuple(dict(zip(SIZES, pair, strict=True)) for pair in pairs), SIZES)


RESULTS = ScaleResults(
    made="2026-11-30T12:00:00+00:00",
    seconds=12.0,
    sizes=SIZES,
    machine={"cores": 2},
    versions={"Python": "CPython 3.11"},
    stores=("MariaDB",),
    operations={
        "get": _measured((2_000, 3_000), (2_000, 4_000), (4_000, 20_000)),
        "slow": _measured((1_000, 4_000), (1_000, 3_500), (1_000, 2_000)),
    },
)


def test_a_ratio_is_the_median_of_the_rounds_ratios_and_not_that_of_the_medians() -> None:
    measured = RESULTS.operations["get"]

    assert measured.ratio.rounds == (1.5, 2.0, 5.0)
    assert measured.ratio.value == 2.0
    assert (measured.p50_ms(SIZES[0]), measured.p50_ms(SIZES[1])) == (2.0, 4.0)


def test_what_is_above_the_target_is_told() -> None:
    assert RESULTS.operations["get"].is_within_target
    assert not RESULTS.operations["slow"].is_within_target
    lines = RESULTS.table().splitlines()
    assert lines[2] == "| get | 2.0 ms | 4.0 ms | **2.00** (1.50 to 5.00) |"
    assert lines[3].endswith("**3.50** (2.00 to 4.00), **above 3** |")


def test_json_keeps_all_of_it() -> None:
    again = ScaleResults.from_dict(RESULTS.to_dict())

    assert replace(again, seconds=0) == replace(RESULTS, seconds=0)
