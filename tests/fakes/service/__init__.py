"""A service tier in memory: called in place, or served over gRPC."""

from __future__ import annotations

from tests.fakes.service.memory import FakeServiceTier

__all__ = ["FakeServiceTier"]
