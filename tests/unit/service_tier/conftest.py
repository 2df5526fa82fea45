"""What the unit tests of the service tier share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.service_tier.harness import Harness


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path)
