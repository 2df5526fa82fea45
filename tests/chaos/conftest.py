"""Running tiers for the tests that break them."""

from __future__ import annotations

from tests.system.conftest import start_arcana

__all__ = ["start_arcana"]
