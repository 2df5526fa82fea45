"""CPU time of processes between two moments."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import psutil


class CpuMeter:
    """Reads what named groups of processes have used since `begin`.

    The kernel counts in ticks of 10 ms on most machines, for each process.

    Args:
        pids: the processes of each group; they live as long as the meter.
        own_name: the name of this process's group; empty when it is not counted.
    """

    def __init__(self, pids: Mapping[str, Sequence[int]], own_name: str = "") -> None:
        groups = {name: list(members) for name, members in pids.items()}
        if own_name:
            groups[own_name] = [*groups.get(own_name, []), os.getpid()]
        self._groups = {
            name: [psutil.Process(pid) for pid in members] for name, members in groups.items()
        }
        self._before: dict[str, float] = {}

    def begin(self) -> None:
        """Begin to count."""
        self._before = self._read()

    def end(self) -> dict[str, float]:
        """Return the CPU seconds of each group since `begin`."""
        return {name: after - self._before[name] for name, after in self._read().items()}

    def _read(self) -> dict[str, float]:
        return {name: sum(map(_used, members)) for name, members in self._groups.items()}


def _used(process: psutil.Process) -> float:
    # Not the children's: those that count are members of a group themselves.
    times = process.cpu_times()
    return float(times.user + times.system)


def family(pid: int) -> list[int]:
    """Return a process and everything it has started."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]
