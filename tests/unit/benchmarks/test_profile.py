from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import profile
from benchmarks.worker import BenchmarkError

# As py-spy writes it: the outermost function first, and how often that stack was seen.
RAW = """main (a.py:1);serve (b.py:2);encode (c.py:3) 6
main (a.py:1);serve (b.py:2) 3
main (a.py:1);serve (b.py:2);serve (b.py:2) 1
"""


def test_stacks_are_counted_as_they_were_seen() -> None:
    seen = profile.read_stacks(RAW)
    assert seen["main (a.py:1)", "serve (b.py:2)"] == 3
    assert sum(seen.values()) == 10


def test_a_function_counts_by_itself_and_with_what_it_called_but_once_in_each_stack() -> None:
    seen = profile.read_stacks(RAW)
    assert profile.by_itself(seen) == Counter({"encode (c.py:3)": 6, "serve (b.py:2)": 4})
    assert profile.with_what_it_called(seen)["serve (b.py:2)"] == 10


def test_a_profile_is_shown_in_percent() -> None:
    console = Console(file=io.StringIO(), width=160)
    profile.show(console, "edge", profile.read_stacks(RAW))
    profile.show(console, "idle", {})
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "edge: 10 samples" in text
    assert "60.0" in text
    assert "idle" not in text


def test_a_process_that_cannot_be_sampled_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(BenchmarkError, match="py-spy"),
        # No process has this number (proc(5), pid_max).
        profile.sampled({"edge": [2**22 + 1]}, 0.1, tmp_path) as files,
    ):
        assert list(files) == [f"edge, process {2**22 + 1}"]


def test_nothing_is_sampled_where_there_is_nothing(tmp_path: Path) -> None:
    with profile.sampled({}, 0.1, tmp_path) as files:
        assert files == {}
    assert list(tmp_path.iterdir()) == []
