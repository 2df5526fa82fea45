"""The public gRPC server of one worker."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent import futures
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]  # ships no types

from controller_tier.entrance import Entrance
from controller_tier.grpc_edge.callers import REFLECTION_METHOD, Doorkeeper
from controller_tier.grpc_edge.forwarding import forwarding_handler
from controller_tier.grpc_edge.gate import Gate
from controller_tier.grpc_edge.reflected import public_pool
from controller_tier.service_channels import ServiceChannels
from controller_tier.settings import ControllerSettings
from controller_tier.stubs import GrpcHealth
from tier_runtime.addresses import Address
from tier_runtime.channel_settings import FLOW_OPTIONS
from tier_runtime.clock import Clock
from tier_runtime.health import HEALTH_SERVICE, THIS_TIER, HealthBoard
from tier_runtime.ids import IdSource
from tier_runtime.logs import get_logger
from tier_runtime.metrics.rpcs import ServedMeter
from tier_runtime.rpc_desk import CallLimits, RpcDesk
from tier_runtime.server_interceptors import CallServerInterceptor
from tier_runtime.startup import StartupError
from tier_runtime.telemetry import NO_TELEMETRY, Telemetry

# Of calls that wait for a thread, so many for each thread; the others are refused at once.
_WAITING_PER_THREAD = 8
# Reflection is for everyone, and each of its streams holds a thread: these have their own, so that
# strangers can take neither the streams nor the threads of others.
_REFLECTION_STREAMS = 2
# What the smallest useful answer needs.
_MIN_DEADLINE_SECONDS = 0.005
_PROBE_SECONDS = 1.0
# For an answer on its way when the time of its request ends.
_GRACE_SPARE_SECONDS = 5.0


class PublicServer:
    """Serves the rows of the access table on a port that all workers share."""

    def __init__(self, server: grpc.Server, address: Address, health: HealthBoard) -> None:
        self._server = server
        self._health = health
        self._address = address
        self._ended: threading.Event | None = None

    def start(self) -> int:
        """Listen, begin to serve, and return the port.

        Raises:
            StartupError: the address cannot be listened on.
        """
        try:
            port = self._server.add_insecure_port(str(self._address))
        except RuntimeError as error:
            raise StartupError(
                f"Cannot listen on {self._address}: gRPC refuses the address."
            ) from error
        self._server.start()
        self._health.start()
        self._health.set(THIS_TIER, serving=True)
        return port

    def begin_stop(self, grace_seconds: float) -> None:
        """Take no new RPC, and cancel those still running after the grace. Waits for nothing."""
        if self._ended is None:
            self._health.drain()
            self._ended = self._server.stop(grace_seconds)
            # Last, so that no Watch can begin after all have been ended.
            self._health.stop()

    def close(self, grace_seconds: float = 0.0) -> None:
        """Stop, and return when every RPC has ended or been cancelled."""
        self.begin_stop(grace_seconds)
        if self._ended is not None:
            self._ended.wait()


def build_public_server(
    settings: ControllerSettings,
    address: Address,
    channels: ServiceChannels,
    entrance: Entrance,
    *,
    clock: Clock,
    ids: IdSource,
    telemetry: Telemetry = NO_TELEMETRY,
) -> PublicServer:
    """Return a server of every public RPC, of health and of reflection; it does not listen yet."""
    desk = _desk(settings, entrance, clock, ids, telemetry)
    server = grpc.server(
        futures.ThreadPoolExecutor(
            settings.public_grpc_threads + _REFLECTION_STREAMS, thread_name_prefix="public-rpc"
        ),
        interceptors=[CallServerInterceptor(desk)],
        maximum_concurrent_rpcs=settings.public_grpc_threads * _WAITING_PER_THREAD,
        options=(
            # The workers share the port on purpose; that nobody else has it was seen to before.
            ("grpc.so_reuseport", 1),
            *FLOW_OPTIONS,
            ("grpc.max_receive_message_length", settings.max_body_bytes),
            ("grpc.max_connection_age_ms", 300_000),
            # Without it a connection lives on for as long as one of its RPCs does; and an answer
            # that is never read, or a health watch, does so until the client likes to go.
            ("grpc.max_connection_age_grace_ms", _grace_ms(settings)),
            ("grpc.max_connection_idle_ms", 300_000),
            # As our own channels do it, every 30 s.
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ),
    )
    gate = Gate(entrance.limits, entrance.denials, trusted_proxies=settings.trusted_proxies)
    server.add_generic_rpc_handlers((_Public(entrance, channels, gate),))
    health = _health(settings, channels, entrance)
    health.add_to(server)
    others = (HEALTH_SERVICE, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(
        (*entrance.rpcs.services(), *others), server, public_pool(entrance.rpcs, *others)
    )
    return PublicServer(server, address, health)


def _grace_ms(settings: ControllerSettings) -> int:
    # Whatever began before the end of its connection has its whole time.
    longest = max(settings.request_timeout_seconds, settings.public_grpc_stream_seconds)
    return int((longest + _GRACE_SPARE_SECONDS) * 1000)


class _Public(grpc.GenericRpcHandler):
    """Knows the rows of the table and no other method: those stay UNIMPLEMENTED.

    An internal RPC is answered like one that there is not. What it is called is nothing to
    strangers.
    """

    def __init__(self, entrance: Entrance, channels: ServiceChannels, gate: Gate) -> None:
        self._handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]] = {
            rpc.path: forwarding_handler(rpc, channels.of(rpc.service), gate)
            for rpc in entrance.rpcs
        }

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a method, None where it is not public."""
        return self._handlers.get(handler_call_details.method)


def _desk(
    settings: ControllerSettings,
    entrance: Entrance,
    clock: Clock,
    ids: IdSource,
    telemetry: Telemetry,
) -> RpcDesk:
    limits = CallLimits(
        default_deadline_seconds=settings.request_timeout_seconds,
        min_deadline_seconds=_MIN_DEADLINE_SECONDS,
        max_open_streams=settings.public_grpc_max_streams,
        max_deadline_seconds=settings.request_timeout_seconds,
        max_deadline_seconds_of={
            rpc.path: settings.public_grpc_stream_seconds for rpc in entrance.rpcs if rpc.unbounded
        },
        max_open_streams_of={REFLECTION_METHOD: _REFLECTION_STREAMS},
    )
    doorkeeper = Doorkeeper(
        entrance.rpcs,
        entrance.admission,
        entrance.denials,
        trusted_proxies=settings.trusted_proxies,
    )
    return RpcDesk(
        limits,
        clock,
        ids,
        get_logger("controller_tier.access"),
        find_actor=doorkeeper.find_actor,
        awaits_requests=True,
        meter=None if telemetry.meters is None else ServedMeter(telemetry.meters),
        tracing=telemetry.tracing,
        begins_traces=True,
    )


def _health(
    settings: ControllerSettings, channels: ServiceChannels, entrance: Entrance
) -> HealthBoard:
    """Return the board: "" is this worker, and each service is what serves it behind the edge."""
    board = HealthBoard(max_watches=settings.public_grpc_max_watches)
    for service in entrance.rpcs.services():
        behind = GrpcHealth([channels.of(service)])

        def is_serving(behind: GrpcHealth = behind) -> bool:
            return behind.is_serving(THIS_TIER)

        board.add_probe(service, is_serving, _PROBE_SECONDS)
    return board
