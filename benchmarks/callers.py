"""The process that calls a repository tier: threads over stubs, each in a closed loop.

`python -m benchmarks.callers VARIANT URL PEOPLE` serves the commands of `benchmarks.worker`.
"""

from __future__ import annotations

import sys
import threading
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)

from benchmarks import people, wirings
from benchmarks.cpu import CpuMeter
from benchmarks.operations import Call as MakeCall
from benchmarks.operations import Operations
from benchmarks.samples import Sample
from benchmarks.worker import BenchmarkError, serve_commands
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError

# What the edge gives a request.
DEADLINE_SECONDS = 5.0
WELL_SECONDS = 10.0
_ACTOR = Actor("0192a000-0000-7000-8000-000000000001", frozenset({"user", "admin"}), "benchmark")


class CallerThread:
    """Calls without a pause until told to stop, and notes when each call ended."""

    def __init__(self, make: MakeCall, number: int, most: int | None = None) -> None:
        self._make = make
        self._number = number
        # How many calls at most; None for no end.
        self._most = most
        self._stop = False
        self.ended = array("d")
        self.latencies_us = array("I")
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"caller {number}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop = True

    def join(self) -> None:
        """Wait for its end.

        Raises:
            BenchmarkError: a call failed.
        """
        self._thread.join()
        if self.fault is not None:
            raise BenchmarkError(f"a call failed: {self.fault!r}") from self.fault

    def _run(self) -> None:
        clock = time.perf_counter
        done = 0
        try:
            while not self._stop and done != self._most:
                began = clock()
                # As a tier does that serves a request: an actor, an id, a deadline.
                call = Call(_ACTOR, f"b{self._number}-{done}", Deadline.after(DEADLINE_SECONDS))
                with call_scope(call):
                    self._make()
                ended = clock()
                done += 1
                self.ended.append(ended)
                self.latencies_us.append(int((ended - began) * 1e6))
        # Whatever it is: a thread that ends without a word leaves the others a lighter load, and
        # the figures would be those of fewer callers.
        except BaseException as error:  # noqa: BLE001 - told by `join`, which ends the run.
            self.fault = error


class Caller:
    """Answers the commands of the harness."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def well(self, _command: Mapping[str, Any]) -> dict[str, Any]:
        """Wait until the tier answers: connections may be dead after its sleep."""
        stub = health_pb2_grpc.HealthStub(self._operations.channel)
        ends = time.monotonic() + WELL_SECONDS
        while True:
            try:
                stub.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
            except AppError as error:
                if time.monotonic() > ends:
                    raise BenchmarkError(f"the tier does not answer: {error}") from error
                time.sleep(0.05)
            else:
                return {}

    def preheat(self, _command: Mapping[str, Any]) -> dict[str, Any]:
        """Fill the tier's cache."""
        self._operations.preheat()
        return {}

    def run(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Call for a time, and tell what was measured after the warm-up."""
        threads = self._threads(command)
        meter = CpuMeter(command["pids"], "caller")
        for thread in threads:
            thread.start()
        time.sleep(command["warm"])
        meter.begin()
        began = time.perf_counter()
        time.sleep(command["seconds"])
        ended = time.perf_counter()
        cpu = meter.end()
        _end(threads)
        latencies = array("I")
        for thread in threads:
            latencies.extend(
                latency
                for at, latency in zip(thread.ended, thread.latencies_us, strict=True)
                if began < at <= ended
            )
        if not latencies:
            raise BenchmarkError("no call ended within the measured time")
        return Sample(ended - began, latencies, cpu).to_dict()

    def calls(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """Make a number of calls by each thread, and nothing else."""
        threads = self._threads(command, command["calls"])
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"calls": sum(len(thread.latencies_us) for thread in threads)}

    def _threads(self, command: Mapping[str, Any], most: int | None = None) -> list[CallerThread]:
        count = command["callers"]
        return [
            CallerThread(self._operations.call(command["operation"], number, count), number, most)
            for number in range(count)
        ]


def _end(threads: Sequence[CallerThread]) -> None:
    for thread in threads:
        thread.stop()
    for thread in threads:
        thread.join()


def main(arguments: Sequence[str]) -> None:
    """Serve commands about one repository tier until stdin ends."""
    variant, url, file = arguments
    with ExitStack() as closing:
        callback: Callable[[Callable[[], None]], Any] = closing.callback
        channel = wirings.open_hop(variant, url, on_close=callback)
        operations = Operations(
            channel,
            wirings.reads_of(variant, channel),
            people.read(Path(file)),
        )
        caller = Caller(operations)
        serve_commands(
            {
                "well": caller.well,
                "preheat": caller.preheat,
                "run": caller.run,
                "calls": caller.calls,
            }
        )


if __name__ == "__main__":
    main(sys.argv[1:])
