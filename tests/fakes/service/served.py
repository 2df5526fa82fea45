"""The fake service tier behind a real gRPC server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from arcana.service.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    file_service_pb2,
    file_service_pb2_grpc,
    job_service_pb2,
    job_service_pb2_grpc,
    order_service_pb2,
    order_service_pb2_grpc,
    product_service_pb2,
    product_service_pb2_grpc,
    rate_limit_service_pb2,
    rate_limit_service_pb2_grpc,
    user_service_pb2,
    user_service_pb2_grpc,
)
from tests.fakes.service import (
    FakeAuth,
    FakeEvents,
    FakeFiles,
    FakeJobs,
    FakeOrders,
    FakeProducts,
    FakeRateLimits,
    FakeServiceTier,
    FakeUsers,
)
from tier_runtime.health import HealthBoard
from tier_runtime.logs import get_logger
from tier_runtime.server import GrpcServerSettings, Registration, TierServer, build_server

_AUTH = auth_service_pb2.DESCRIPTOR.services_by_name["AuthService"]
_USERS = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
_PRODUCTS = product_service_pb2.DESCRIPTOR.services_by_name["ProductService"]
_ORDERS = order_service_pb2.DESCRIPTOR.services_by_name["OrderService"]
_JOBS = job_service_pb2.DESCRIPTOR.services_by_name["JobService"]
_EVENTS = event_service_pb2.DESCRIPTOR.services_by_name["EventService"]
_FILES = file_service_pb2.DESCRIPTOR.services_by_name["FileService"]
_LIMITS = rate_limit_service_pb2.DESCRIPTOR.services_by_name["RateLimitService"]


@contextmanager
def served(tier: FakeServiceTier, port: int = 0) -> Iterator[TierServer]:
    """Serve the tier on a port of 127.0.0.1 until the block ends."""
    health = HealthBoard()
    for name, serving in tier.serving.items():
        if name:
            health.set(name, serving)
    server = build_server(
        GrpcServerSettings(bind=f"127.0.0.1:{port}", notserving_wait_seconds=0),
        [
            Registration(
                _AUTH.full_name,
                _adder(auth_service_pb2_grpc.add_AuthServiceServicer_to_server, FakeAuth(tier)),
            ),
            Registration(
                _USERS.full_name,
                _adder(user_service_pb2_grpc.add_UserServiceServicer_to_server, FakeUsers(tier)),
            ),
            Registration(
                _PRODUCTS.full_name,
                _adder(
                    product_service_pb2_grpc.add_ProductServiceServicer_to_server,
                    FakeProducts(tier),
                ),
            ),
            Registration(
                _ORDERS.full_name,
                _adder(order_service_pb2_grpc.add_OrderServiceServicer_to_server, FakeOrders(tier)),
            ),
            Registration(
                _JOBS.full_name,
                _adder(job_service_pb2_grpc.add_JobServiceServicer_to_server, FakeJobs(tier)),
            ),
            Registration(
                _EVENTS.full_name,
                _adder(event_service_pb2_grpc.add_EventServiceServicer_to_server, FakeEvents(tier)),
            ),
            Registration(
                _FILES.full_name,
                _adder(file_service_pb2_grpc.add_FileServiceServicer_to_server, FakeFiles(tier)),
            ),
            Registration(
                _LIMITS.full_name,
                _adder(
                    rate_limit_service_pb2_grpc.add_RateLimitServiceServicer_to_server,
                    FakeRateLimits(tier),
                ),
            ),
        ],
        health,
        get_logger("fake_service"),
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _Servicer:
    """Gives each RPC to the fake's method of the same name."""

    def __init__(self, fake: object) -> None:
        self._fake = fake

    def __getattr__(self, name: str) -> Callable[[Any, grpc.ServicerContext], Any]:
        def method(request: Any, context: grpc.ServicerContext) -> Any:
            # StreamUsers, which the edge does not use, has no fake.
            return getattr(self._fake, name)(request)

        return method


def _adder(add: Callable[[Any, grpc.Server], None], fake: object) -> Callable[[grpc.Server], None]:
    return lambda server: add(_Servicer(fake), server)
