from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.note import noted, wiring_noted
from launcher.settings import WiringSettings
from tier_runtime.settings import load

MONOLITH = {
    "DEPLOYMENT_MODE": "monolithic",
    "COMMUNICATION_PROTOCOL": "http",
    "ARCANA_TLS": "True",
}


def test_the_note_is_there_for_as_long_as_the_launcher_runs(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    assert wiring_noted(home) == {}
    with noted(home, load(WiringSettings, MONOLITH)) as is_written:
        assert is_written
        assert wiring_noted(home) == MONOLITH
    assert wiring_noted(home) == {}
    assert list(home.iterdir()) == []


def test_the_note_is_taken_away_after_a_failure_too(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="ended"),
        noted(tmp_path, load(WiringSettings, MONOLITH)),
    ):
        raise RuntimeError("ended")
    assert list(tmp_path.iterdir()) == []


def test_the_note_of_a_launcher_that_is_gone_says_nothing(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "up.json").write_text(json.dumps({"pid": gone.pid, **MONOLITH}))
    assert wiring_noted(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": "1"}', '{"pid": 1e99}'])
def test_what_is_no_note_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "up.json").write_text(text)
    assert wiring_noted(tmp_path) == {}


def test_the_note_of_a_later_launcher_stays(tmp_path: Path) -> None:
    later = {"pid": os.getppid(), **MONOLITH}
    with noted(tmp_path, load(WiringSettings, {})):
        (tmp_path / "up.json").write_text(json.dumps(later))
    assert wiring_noted(tmp_path) == MONOLITH


def test_a_home_that_cannot_be_written_keeps_nobody_from_running(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("no folder")
    with noted(home, load(WiringSettings, {})) as is_written:
        assert not is_written
    assert wiring_noted(home) == {}
