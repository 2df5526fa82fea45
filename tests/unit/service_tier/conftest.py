"""What the unit tests of the service tier share."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from tests.unit.service_tier.harness import Harness


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path)


@pytest.fixture(autouse=True)
def _logging_as_it_comes() -> None:
    """Undo what tests of other folders told the log: some lines here must be seen."""
    structlog.reset_defaults()
