"""What spans and metrics cost a hop: processor time of calls in place, which have both its sides.

Run as ``python -m benchmarks.span_cost``. Each way has one turn in each round, and the least of its
turns counts: whatever else the machine does can only add to it. ``off`` alone also runs on a commit
from before there was tracing. With PROMETHEUS_MULTIPROC_DIR, ``counted`` counts as it is done where
several processes count together.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.deadline import Deadline
from tier_runtime.handlers import Registration
from tier_runtime.health import HealthBoard
from tier_runtime.inproc import LocalServer
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.server import GrpcServerSettings
from tier_runtime.tier import Tier

SERVICE = "benchmark.v1.Echo"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
# The ways, with what a request comes with. `counted` has metrics and no tracing.
WAYS = {"off": "", "counted": "", "unrecorded": f"{TRACE}00", "recorded": f"{TRACE}01"}
SECONDS = 3600.0


def _echo(server: grpc.Server) -> None:
    handler = grpc.unary_unary_rpc_method_handler(
        lambda request, _context: request, StringValue.FromString, StringValue.SerializeToString
    )
    server.add_registered_method_handlers(SERVICE, {"Echo": handler})
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {"Echo": handler}),)
    )


def _watched(way: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the tier and what the channel are given besides, in one of the ways."""
    if way == "off":
        return {}, {}
    from tier_runtime.telemetry import Telemetry  # noqa: PLC0415 - one way needs none of it.

    if way == "counted":
        from prometheus_client import CollectorRegistry  # noqa: PLC0415

        from tier_runtime.metrics.meters import Meters  # noqa: PLC0415
        from tier_runtime.metrics.rpcs import CalledMeter  # noqa: PLC0415

        meters = Meters(CollectorRegistry())
        settings = ChannelSettings(meter=CalledMeter(meters))
        return {"telemetry": Telemetry(meters)}, {"settings": settings}
    tracing = _tracing()
    return {"telemetry": Telemetry(tracing=tracing)}, {"tracing": tracing}


def _tracing() -> Any:
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - one way needs none of it.
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: PLC0415
        InMemorySpanExporter,
    )

    from tier_runtime.tracing.otel import OtelTracing  # noqa: PLC0415

    provider = TracerProvider(shutdown_on_exit=False)
    exporter = InMemorySpanExporter()
    # What waits is thrown away and not sent: this is the cost to who makes spans.
    exporter.shutdown()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return OtelTracing(provider, provider.shutdown)


def _caller(way: str, stack: ExitStack) -> Callable[[int], float]:
    """Return what makes so many calls and gives their processor time, in microseconds for each."""
    tier_has, channel_has = _watched(way)
    tier = Tier([Registration(SERVICE, _echo)], HealthBoard(), **tier_has)
    server = LocalServer(tier, GrpcServerSettings(bind="127.0.0.1:0"), get_logger("benchmark"))
    stack.callback(server.stop)
    channel = stack.enter_context(
        open_channel("inproc:it", in_process={"it": server}, **channel_has)
    )
    echo = channel.unary_unary(
        f"/{SERVICE}/Echo", StringValue.SerializeToString, StringValue.FromString
    )

    def call(count: int) -> float:
        message = StringValue(value="x")
        with call_scope(Call(Actor("u"), "r-1", Deadline.after(SECONDS), WAYS[way])):
            began = time.thread_time()
            for _ in range(count):
                echo(message)
            return (time.thread_time() - began) / count * 1e6

    return call


def main() -> int:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--ways", default=",".join(WAYS), help="of off, counted, unrecorded, recorded"
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=2000)
    options = parser.parse_args()
    configure_logging("benchmark", "error", sys.stderr)
    with ExitStack() as stack:
        callers = {way: _caller(way, stack) for way in options.ways.split(",")}
        turns = [
            {way: call(options.calls) for way, call in callers.items()}
            for _ in range(options.rounds)
        ]
    least = {way: round(min(turn[way] for turn in turns), 1) for way in callers}
    sys.stdout.write(f"{json.dumps({'microseconds_a_hop': least})}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
