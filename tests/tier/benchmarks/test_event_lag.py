"""The benchmark of the events' lag, for a moment: that it works, not how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import event_lag
from benchmarks.event_lag import LagPlan, Lags, main, run
from benchmarks.worker import BenchmarkError

SMOKE = LagPlan(rate=20, seconds=0.5, warm_seconds=0.0, store="embedded")


def test_a_run_measures_every_event(tmp_path: Path) -> None:
    said: list[str] = []
    result = run(SMOKE, tmp_path, said.append)
    assert result.events == 10
    assert 0 < result.p50_ms <= result.p99_ms <= result.most_ms
    assert said == ["20 events a second for 0.5 s"]
    result.write(tmp_path / "lag.json")
    assert json.loads((tmp_path / "lag.json").read_text())["events"] == 10


@pytest.mark.parametrize(("p99", "code"), [(999.0, 0), (1001.0, 1)])
def test_what_is_above_the_target_is_told_by_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, p99: float, code: int
) -> None:
    monkeypatch.setattr(event_lag, "BUILD", tmp_path / "build.json")
    monkeypatch.setattr(event_lag, "DOCS", tmp_path / "docs.json")
    result = event_lag.LagResult("now", "real", 200, 1, 1.0, p99, p99, {}, {})
    monkeypatch.setattr(event_lag, "run", lambda *_: result)
    assert main(["--docs"]) == code
    assert (tmp_path / "docs.json").exists()


def test_a_run_that_fails_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise BenchmarkError("3 events did not come")

    monkeypatch.setattr(event_lag, "run", fail)
    assert main([]) == 1
    assert "3 events did not come" in capsys.readouterr().out


def test_an_event_that_never_comes_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_lag, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(Lags, "missing", lambda _: 1)
    with pytest.raises(BenchmarkError, match="did not come"):
        run(SMOKE, tmp_path, print)
