"""The command that the documentation gives for what spans and metrics cost."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.span_cost import WAYS


def test_each_way_has_its_processor_time() -> None:
    command = [sys.executable, "-m", "benchmarks.span_cost", "--rounds", "1", "--calls", "20"]
    told = subprocess.run(command, check=True, capture_output=True, timeout=60)

    found = json.loads(told.stdout)["microseconds_a_hop"]

    assert list(found) == list(WAYS)
    assert min(found.values()) > 0
