from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from tests.kept_logging import kept_logging
from tier_runtime.logs import configure_logging


@pytest.fixture(scope="module", autouse=True)
def _quiet_fake_tier() -> Iterator[None]:
    """Keep the fake tier's access log, four lines a second, out of the reports."""
    with kept_logging():
        configure_logging("fake", "error", io.StringIO())
        yield
