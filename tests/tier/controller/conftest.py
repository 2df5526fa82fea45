from __future__ import annotations

import io

import pytest

from tier_runtime.logs import configure_logging


@pytest.fixture(scope="session", autouse=True)
def _quiet_fake_tier() -> None:
    """Keep the fake tier's access log, four lines a second, out of the reports."""
    configure_logging("fake", "error", io.StringIO())
