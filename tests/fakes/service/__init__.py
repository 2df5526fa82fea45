"""A service tier in memory: called in place, or served over gRPC."""

from __future__ import annotations

from controller_tier.stubs import ServiceTier
from tests.fakes.service.auth import FakeAuth
from tests.fakes.service.events import FakeEvents
from tests.fakes.service.files import FakeFiles
from tests.fakes.service.jobs import FakeJobs
from tests.fakes.service.limits import FakeHealth, FakeRateLimits
from tests.fakes.service.memory import FakeServiceTier
from tests.fakes.service.orders import FakeOrders
from tests.fakes.service.products import FakeProducts
from tests.fakes.service.users import FakeUsers

__all__ = [
    "FakeAuth",
    "FakeEvents",
    "FakeFiles",
    "FakeHealth",
    "FakeJobs",
    "FakeOrders",
    "FakeProducts",
    "FakeRateLimits",
    "FakeServiceTier",
    "FakeUsers",
    "stubs_of",
]


def stubs_of(tier: FakeServiceTier) -> ServiceTier:
    """Return the tier as the edge calls it, in place."""
    return ServiceTier(
        auth=FakeAuth(tier),
        users=FakeUsers(tier),
        products=FakeProducts(tier),
        orders=FakeOrders(tier),
        jobs=FakeJobs(tier),
        events=FakeEvents(tier),
        files=FakeFiles(tier),
        rate_limits=FakeRateLimits(tier),
        health=FakeHealth(tier),
    )
