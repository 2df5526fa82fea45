"""The way from the edge to each service of the service tier, wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType

import grpc

from arcana.service.v1 import (
    auth_service_pb2,
    event_service_pb2,
    file_service_pb2,
    job_service_pb2,
    order_service_pb2,
    product_service_pb2,
    rate_limit_service_pb2,
    user_service_pb2,
)
from controller_tier.settings import DEFAULT_NEIGHBOUR, ControllerSettings
from tier_runtime.breaker import Breaker
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.clock import Clock, SystemClock
from tier_runtime.logs import get_logger

# The services by the names that SERVICES and SERVICE_URLS know them by.
SERVICE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "auth": auth_service_pb2.DESCRIPTOR.services_by_name["AuthService"].full_name,
        "users": user_service_pb2.DESCRIPTOR.services_by_name["UserService"].full_name,
        "rate_limits": rate_limit_service_pb2.DESCRIPTOR.services_by_name[
            "RateLimitService"
        ].full_name,
        "products": product_service_pb2.DESCRIPTOR.services_by_name["ProductService"].full_name,
        "orders": order_service_pb2.DESCRIPTOR.services_by_name["OrderService"].full_name,
        "jobs": job_service_pb2.DESCRIPTOR.services_by_name["JobService"].full_name,
        "events": event_service_pb2.DESCRIPTOR.services_by_name["EventService"].full_name,
        "files": file_service_pb2.DESCRIPTOR.services_by_name["FileService"].full_name,
    }
)

# Only these may be sent twice: they change nothing. A stream is sent again only while nothing of
# its answer has come. A contract test holds the list to the comments of the contract.
READ_METHODS = (
    "arcana.service.v1.AuthService/CheckSession",
    "arcana.service.v1.AuthService/GetJwks",
    "arcana.service.v1.AuthService/ListSessions",
    "arcana.service.v1.JobService/GetDailyReport",
    "arcana.service.v1.JobService/GetJob",
    "arcana.service.v1.JobService/ListJobs",
    "arcana.service.v1.EventService/StreamEvents",
    "arcana.service.v1.FileService/DownloadFile",
    "arcana.service.v1.FileService/GetDownload",
    "arcana.service.v1.FileService/GetFile",
    "arcana.service.v1.FileService/ListFiles",
    "arcana.service.v1.OrderService/GetOrder",
    "arcana.service.v1.OrderService/ListOrders",
    "arcana.service.v1.ProductService/BatchGetProducts",
    "arcana.service.v1.ProductService/GetProduct",
    "arcana.service.v1.ProductService/ListProducts",
    "arcana.service.v1.ProductService/ListStockMovements",
    "arcana.service.v1.ProductService/SearchProducts",
    "arcana.service.v1.UserService/BatchGetUsers",
    "arcana.service.v1.UserService/GetUser",
    "arcana.service.v1.UserService/GetUserProfile",
    "arcana.service.v1.UserService/ListUsers",
    "arcana.service.v1.UserService/StreamUsers",
)

Open = Callable[[str, ChannelSettings], grpc.Channel]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One address of the service tier: what it is called, the way to it, and what it serves.

    `services` are full names. `breaker` is the one inside of the channel, if there is one.
    """

    name: str
    channel: grpc.Channel
    services: tuple[str, ...]
    breaker: Breaker | None = None


class ServiceChannels:
    """The channel of each service. They belong to one process, and end with `close`."""

    def __init__(
        self, neighbours: Sequence[Neighbour], on_close: Sequence[Callable[[], None]] = ()
    ) -> None:
        self.neighbours = tuple(neighbours)
        self._channels = {
            service: neighbour.channel
            for neighbour in self.neighbours
            for service in neighbour.services
        }
        self._on_close = tuple(on_close)

    @classmethod
    def single(
        cls, channel: grpc.Channel, on_close: Sequence[Callable[[], None]] = ()
    ) -> ServiceChannels:
        """Return the channels of a service tier that serves everything at one place."""
        whole = Neighbour(DEFAULT_NEIGHBOUR, channel, tuple(SERVICE_NAMES.values()))
        return cls([whole], on_close)

    def of(self, service: str) -> grpc.Channel:
        """Return the channel of the service with this full name.

        Raises:
            KeyError: there is no such service.
        """
        return self._channels[service]

    def breakers(self) -> dict[str, str]:
        """Return how each breaker stands, `open` or `closed`, by its neighbour's name."""
        return {
            neighbour.name: "open" if neighbour.breaker.is_open else "closed"
            for neighbour in self.neighbours
            if neighbour.breaker is not None
        }

    def close(self) -> None:
        """Close every channel, and then call what was to be called after that, in its order."""
        with ExitStack() as closing:
            for callback in reversed(self._on_close):
                closing.callback(callback)
            for neighbour in reversed(self.neighbours):
                closing.callback(neighbour.channel.close)


def connect_services(
    settings: ControllerSettings,
    open_one: Open = open_channel,
    *,
    clock: Clock | None = None,
    on_close: Sequence[Callable[[], None]] = (),
) -> ServiceChannels:
    """Return a channel for each address that the settings name.

    `open_one` opens it; who has tiers in this process gives one that knows them. Nothing is
    connected yet. Call it after the fork.
    """
    services_at: dict[tuple[str, str], list[str]] = {}
    for service, full_name in SERVICE_NAMES.items():
        services_at.setdefault(settings.neighbour_of(service), []).append(full_name)
    clock = clock or SystemClock()
    neighbours: list[Neighbour] = []
    with ExitStack() as opened:
        for (name, url), services in services_at.items():
            breaker = _breaker(settings, name, clock)
            channel = opened.enter_context(
                open_one(
                    url,
                    ChannelSettings(
                        default_deadline_seconds=settings.request_timeout_seconds,
                        retried_methods=READ_METHODS,
                        breaker=breaker,
                        tls=settings.tls_files(),
                    ),
                )
            )
            neighbours.append(Neighbour(name, channel, tuple(services), breaker))
        # All of them are open: from here on they are the caller's to close.
        opened.pop_all()
    return ServiceChannels(neighbours, on_close)


def _breaker(settings: ControllerSettings, neighbour: str, clock: Clock) -> Breaker:
    log = get_logger(__name__)

    def tell(is_open: bool) -> None:
        if is_open:
            log.warning("breaker_opened", neighbour=neighbour)
        else:
            log.info("breaker_closed", neighbour=neighbour)

    return Breaker(clock, settings.circuit_breaker_failures, settings.circuit_breaker_seconds, tell)
