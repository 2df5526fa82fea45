"""The repository tier in memory, behind the same stubs, for tests of the tiers above it.

It passes the tests of `tests/tier/service/test_repository_*.py`, as the real one does.
"""

from __future__ import annotations

from arcana.repository.v1 import (
    cleanup_repository_pb2_grpc,
    event_repository_pb2_grpc,
    file_repository_pb2_grpc,
    job_repository_pb2_grpc,
    order_repository_pb2_grpc,
    product_repository_pb2_grpc,
    rate_limit_repository_pb2_grpc,
    report_repository_pb2_grpc,
    session_repository_pb2_grpc,
    user_repository_pb2_grpc,
    user_sync_repository_pb2_grpc,
)
from tests.fakes.repository.background import FakeCleanup, FakeReports, FakeUserSyncs
from tests.fakes.repository.channel import InPlaceChannel
from tests.fakes.repository.events import FakeEvents
from tests.fakes.repository.files import FakeFiles
from tests.fakes.repository.jobs import FakeJobs
from tests.fakes.repository.orders import FakeOrders
from tests.fakes.repository.others import FakeRateLimits
from tests.fakes.repository.products import FakeProducts
from tests.fakes.repository.sessions import CHANGES_PER_PAGE, FakeSessions
from tests.fakes.repository.state import State
from tests.fakes.repository.users import FakeUsers
from tier_runtime.clock import Clock
from tier_runtime.server import Registration

__all__ = ["FakeRepository", "InPlaceChannel"]


class FakeRepository:
    """All services over one state."""

    def __init__(self, clock: Clock, *, changes_per_page: int = CHANGES_PER_PAGE) -> None:
        self.state = State(clock)
        self.users = FakeUsers(self.state)
        self.sessions = FakeSessions(self.state, changes_per_page)
        self.products = FakeProducts(self.state)
        self.orders = FakeOrders(self.state)
        self.files = FakeFiles(self.state)
        self.events = FakeEvents(self.state)
        self.rate_limits = FakeRateLimits(self.state)
        self.jobs = FakeJobs(self.state)
        self.reports = FakeReports(self.state)
        self.cleanup = FakeCleanup()
        self.user_syncs = FakeUserSyncs(self.state)

    def registrations(self) -> list[Registration]:
        """Return the services, for a real server or for an InPlaceChannel."""
        package = "arcana.repository.v1"
        return [
            Registration(
                f"{package}.UserRepository",
                lambda server: user_repository_pb2_grpc.add_UserRepositoryServicer_to_server(
                    self.users, server
                ),
            ),
            Registration(
                f"{package}.SessionRepository",
                lambda server: session_repository_pb2_grpc.add_SessionRepositoryServicer_to_server(
                    self.sessions, server
                ),
            ),
            Registration(
                f"{package}.ProductRepository",
                lambda server: product_repository_pb2_grpc.add_ProductRepositoryServicer_to_server(
                    self.products, server
                ),
            ),
            Registration(
                f"{package}.OrderRepository",
                lambda server: order_repository_pb2_grpc.add_OrderRepositoryServicer_to_server(
                    self.orders, server
                ),
            ),
            Registration(
                f"{package}.FileRepository",
                lambda server: file_repository_pb2_grpc.add_FileRepositoryServicer_to_server(
                    self.files, server
                ),
            ),
            Registration(
                f"{package}.EventRepository",
                lambda server: event_repository_pb2_grpc.add_EventRepositoryServicer_to_server(
                    self.events, server
                ),
            ),
            Registration(
                f"{package}.JobRepository",
                lambda server: job_repository_pb2_grpc.add_JobRepositoryServicer_to_server(
                    self.jobs, server
                ),
            ),
            Registration(
                f"{package}.ReportRepository",
                lambda server: report_repository_pb2_grpc.add_ReportRepositoryServicer_to_server(
                    self.reports, server
                ),
            ),
            Registration(
                f"{package}.CleanupRepository",
                lambda server: cleanup_repository_pb2_grpc.add_CleanupRepositoryServicer_to_server(
                    self.cleanup, server
                ),
            ),
            Registration(
                f"{package}.UserSyncRepository",
                lambda server: (
                    user_sync_repository_pb2_grpc.add_UserSyncRepositoryServicer_to_server(
                        self.user_syncs, server
                    )
                ),
            ),
            Registration(
                f"{package}.RateLimitRepository",
                lambda server: (
                    rate_limit_repository_pb2_grpc.add_RateLimitRepositoryServicer_to_server(
                        self.rate_limits, server
                    )
                ),
            ),
        ]

    def channel(self) -> InPlaceChannel:
        """Return a channel to it that opens no socket."""
        return InPlaceChannel(self.registrations())

    def event_types(self) -> list[str]:
        """Return the types of all events so far, in order."""
        return [event.type for event in self.state.events]
