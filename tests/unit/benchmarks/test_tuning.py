from __future__ import annotations

import argparse
import io
from array import array

import pytest
from rich.console import Console

from benchmarks import tuning
from benchmarks.samples import Sample


def sample(calls: int) -> Sample:
    return Sample(1.0, array("I", [1000] * calls), {"repository": 0.5})


def test_an_attempt_is_settings_with_commas_between_them() -> None:
    word = "SERVICE_THREADS=4,REDIS_URL=redis://a/0?b=c"
    assert tuning.settings_of(word) == (
        word,
        {"SERVICE_THREADS": "4", "REDIS_URL": "redis://a/0?b=c"},
    )


@pytest.mark.parametrize("word", ["", "4", "=4", "SERVICE_THREADS=4,"])
def test_what_is_no_setting_is_refused(word: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not NAME=VALUE"):
        tuning.settings_of(word)


def test_attempts_are_told_as_ratios_over_the_default() -> None:
    rounds = [100, 110, 105, 102, 108, 104]
    samples = {
        tuning.DEFAULT: [sample(calls) for calls in rounds],
        "SERVICE_THREADS=4": [sample(calls * 2) for calls in rounds],
    }
    console = Console(file=io.StringIO(), width=120)
    console.print(tuning.comparison("grpc", samples))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "2.00 (2.00 to 2.00)" in text
    assert "104" in text


def test_a_variant_that_an_operation_is_not_measured_over_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        tuning.main(["WEB_WORKERS=2", "--operation", "list 50", "--variant", "monolith"])
    assert "list 50 is measured over: grpc, " in capsys.readouterr().err
