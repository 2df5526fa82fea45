"""Where the time goes: the processes of one variant, sampled from outside while they are loaded.

    python -m benchmarks.profile [--variant rest-fair] [--callers 64] [--seconds 10]
    python -m benchmarks.profile --operation "list 50" --callers 16

The first loads the edge of a chain, the second a repository tier alone: as the operation says.

Prints for each process the functions that held the interpreter's lock most often, by themselves and
with what they called; the rest of the CPU time is that of the kernel and of native threads. py-spy
takes the samples: a profiler inside the process would wait for the same lock, and so see little but
the places where it is given away. It needs the right to trace processes (root, or the capability
SYS_PTRACE).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.options import add_cell_options, parse_cell
from benchmarks.plan import Block, Cell, part_of
from benchmarks.stores import populated
from benchmarks.targets import open_target
from benchmarks.worker import BenchmarkError

SHOWN = 25
RATE = 500
WARM_SECONDS = 1.0
_PATIENCE_SECONDS = 60.0
_WIDTH = 170

# A stack, the outermost function first.
Stack = tuple[str, ...]


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for and return the exit code."""
    options = _options(arguments)
    console = Console()
    console = Console(width=max(console.width, _WIDTH))
    seconds = WARM_SECONDS + options.seconds
    try:
        with tempfile.TemporaryDirectory(prefix="arcana-profile-") as name, ExitStack() as opened:
            folder = Path(name)
            store = opened.enter_context(populated("embedded", options.people, folder / "store"))
            part = part_of(options.operation)
            target = opened.enter_context(open_target(part, options.variant, store, folder))
            cell = Cell(part, store.kind, options.operation, options.callers, (options.variant,))
            block = Block((cell,), 1, WARM_SECONDS, options.seconds)
            # What a tier does first is not what it does most.
            target.turn(cell, block, 1)
            with sampled(target.pids(), seconds, folder) as files:
                sample = target.turn(cell, block, 2)
            console.print(
                f"{options.variant}, {options.operation}, {options.callers} at a time: "
                f"{sample.throughput:,.0f} calls/s while sampled"
            )
            for tier, used in sample.cpu_per_1000.items():
                console.print(f"{tier}: {used:.3f} CPU s per 1,000 calls")
            for title, file in files.items():
                show(console, title, read_stacks(file.read_text()))
    except BenchmarkError as error:
        console.print(f"No profile: {error}", style="red", markup=False)
        return 1
    return 0


@contextmanager
def sampled(
    pids: Mapping[str, Sequence[int]], seconds: float, folder: Path
) -> Iterator[Mapping[str, Path]]:
    """Sample processes for a time that begins now; yields where the samples will be at the end.

    Raises:
        BenchmarkError: there is no py-spy, or it must not look.
    """
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or "py-spy"
    files: dict[str, Path] = {}
    faults: list[str] = []
    threads = []

    def sample(pid: int, file: Path) -> None:
        words = [program, "record", "--format", "raw", "--function", "--gil", "--rate", str(RATE)]
        words += ["--duration", str(max(round(seconds), 1)), "--pid", str(pid)]
        try:
            done = subprocess.run(
                [*words, "--output", str(file)],
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds + _PATIENCE_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            faults.append(str(error))
        else:
            if done.returncode != 0:
                faults.append(done.stderr.strip())

    for tier, members in pids.items():
        for pid in members:
            files[f"{tier}, process {pid}"] = file = folder / f"{tier}-{pid}.stacks"
            threads.append(threading.Thread(target=sample, args=(pid, file)))
    for thread in threads:
        thread.start()
    try:
        yield files
    finally:
        for thread in threads:
            thread.join()
    if faults:
        raise BenchmarkError(f"py-spy: {faults[0]}")


def read_stacks(text: str) -> Counter[Stack]:
    """Return how often each stack was seen, from py-spy's raw format."""
    seen: Counter[Stack] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        seen[tuple(stack.split(";"))] += int(count)
    return seen


def by_itself(seen: Mapping[Stack, int]) -> Counter[str]:
    """Return how often each function itself was seen."""
    own: Counter[str] = Counter()
    for stack, count in seen.items():
        own[stack[-1]] += count
    return own


def with_what_it_called(seen: Mapping[Stack, int]) -> Counter[str]:
    """Return how often each function, or what it had called, was seen."""
    total: Counter[str] = Counter()
    for stack, count in seen.items():
        for name in set(stack):
            total[name] += count
    return total


def show(console: Console, title: str, seen: Mapping[Stack, int]) -> None:
    """Print the functions of one process that were seen most."""
    everything = sum(seen.values())
    if not everything:
        return
    table = Table(title=f"{title}: {everything} samples", title_justify="left")
    for name in ("% itself", "function", "% with what it called", "function"):
        table.add_column(name, justify="right" if name.startswith("%") else "left")
    most = by_itself(seen).most_common(SHOWN), with_what_it_called(seen).most_common(SHOWN)
    for (mine, my_count), (caller, its_count) in zip(*most, strict=False):
        table.add_row(
            f"{100 * my_count / everything:.1f}",
            mine,
            f"{100 * its_count / everything:.1f}",
            caller,
        )
    console.print(table)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    add_cell_options(parser, people=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    return parse_cell(parser, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
