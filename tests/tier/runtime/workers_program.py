"""A tier of several processes, for the tests of their supervisor. Its log on stdout tells them all.

A call that says "end" ends the process that serves it, without a word.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace

from tests.tier.runtime.arities import Arities
from tier_runtime.context import RpcContext
from tier_runtime.deadline import Deadline
from tier_runtime.health import HealthBoard
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.metrics.port import metrics_port
from tier_runtime.server import GrpcServerSettings
from tier_runtime.startup import run_main
from tier_runtime.telemetry import Telemetry
from tier_runtime.tier import Serving, Tier, serve_tier

PAUSE = threading.Event()


def make_tier() -> Tier:
    log = get_logger("program")
    health = HealthBoard()

    def answer(text: str, context: RpcContext) -> str:
        log.info("entered", text=text)
        if text == "end":
            os._exit(9)
        limit = Deadline.after(30)
        while text == "until draining" and health.is_serving():
            limit.check()
            PAUSE.wait(0.005)
        while text == "until cancelled" and context.is_active():
            limit.check()
            PAUSE.wait(0.005)
        return str(os.getpid())

    return Tier(
        [Arities(answer).registration()],
        health,
        [lambda: log.info("pools_closed", pid=os.getpid())],
    )


def main() -> int:
    configure_logging("test", "info")
    bind, workers = sys.argv[1], int(sys.argv[2])
    settings = GrpcServerSettings(bind=bind, threads=8, notserving_wait_seconds=0.0)
    serving = Serving("test", "grpc", workers, settings)
    metrics_bind = sys.argv[3] if len(sys.argv) > 3 else ""
    with metrics_port(metrics_bind, "test", forks=serving.forks) as metrics:
        return serve_tier(
            serving, lambda: replace(make_tier(), telemetry=Telemetry(metrics.meters()))
        )


if __name__ == "__main__":
    sys.exit(run_main(main))
