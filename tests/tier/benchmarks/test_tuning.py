"""An attempt at a setting, for a moment: that it works, not what it gives."""

from __future__ import annotations

import pytest

from benchmarks import tuning

MOMENT = ["--operation", "get by id", "--callers", "2", "--rounds", "3", "--seconds", "0.1"]


def test_a_setting_is_tried_beside_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert tuning.main(["REPOSITORY_THREADS=4", *MOMENT, "--people", "16"]) == 0
    table = capsys.readouterr().out
    assert "grpc, get by id, 2 at a time" in table
    assert "REPOSITORY_THREADS=4" in table


def test_a_setting_that_a_tier_refuses_ends_it_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tuning.main(["REPOSITORY_THREADS=none", *MOMENT, "--people", "16"]) == 1
    assert "REPOSITORY_THREADS" in capsys.readouterr().out
