from __future__ import annotations

import pytest

from tests.unit.controller_tier.edge import Edge


@pytest.fixture
def edge() -> Edge:
    """Give an edge with default settings."""
    return Edge.make()
