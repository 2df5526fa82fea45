"""A tier in a process of its own, for the tests of its end. Its log on stdout tells them all.

A call that says "until draining" is answered once the server drains; one that says "until
cancelled" is not answered.
"""

from __future__ import annotations

import sys
import threading

from tests.tier.runtime.arities import Arities
from tier_runtime.clock import SystemClock
from tier_runtime.context import RpcContext
from tier_runtime.deadline import Deadline
from tier_runtime.health import HealthBoard
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.server import GrpcServerSettings, build_server, serve_until_signal
from tier_runtime.startup import run_main

PAUSE = threading.Event()


def main() -> int:
    bind, notserving_wait, drain_seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    configure_logging("test", "info")
    log = get_logger("program")
    health = HealthBoard()

    def answer(text: str, context: RpcContext) -> str:
        log.info("entered", text=text)
        limit = Deadline.after(30, SystemClock().monotonic)
        while text == "until draining" and health.is_serving():
            limit.check()
            PAUSE.wait(0.005)
        while text == "until cancelled" and context.is_active():
            limit.check()
            PAUSE.wait(0.005)
        return text

    settings = GrpcServerSettings(bind=bind, threads=16, notserving_wait_seconds=notserving_wait)
    server = build_server(settings, [Arities(answer).registration()], health, log)
    return serve_until_signal(
        server,
        drain_seconds=drain_seconds,
        on_stop=[lambda: log.info("pools_closed"), lambda: log.info("files_closed")],
    )


if __name__ == "__main__":
    sys.exit(run_main(main))
