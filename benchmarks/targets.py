"""What has a turn: a variant that is up, asleep between its turns, and whoever calls it."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from benchmarks import people
from benchmarks.load import HttpRequest
from benchmarks.people import Person
from benchmarks.plan import INPROC, MIX, READS, Block, Cell, Part
from benchmarks.processes import Stack, environment
from benchmarks.samples import Sample
from benchmarks.stacks import (
    COMMON_SETTINGS,
    NOTHING_MORE,
    Between,
    chain_layout,
    hop_layout,
    straight,
)
from benchmarks.stores import Populated
from benchmarks.worker import BenchmarkError, Worker

API = "/api/v1"
# As many sessions as connections: each speaks for somebody of its own.
MOST_CONNECTIONS = 64
# So that what came due during a tier's sleep is done; the warm-up is still to come.
SETTLE_SECONDS = 0.1
RENAMED = '{"name": "Person Renamed On The Way"}'
_PATIENCE_SECONDS = 10.0


class Target(Protocol):
    """A variant of one part of the benchmark."""

    def turn(self, cell: Cell, block: Block, seed: int) -> Sample:
        """Wake, call, and go back to sleep."""
        ...

    def pids(self) -> Mapping[str, Sequence[int]]:
        """Return the processes that do the work, by their names."""
        ...


class HopTarget:
    """A repository tier, and a process that calls it. INPROC is both in one process."""

    def __init__(
        self, stack: Stack | None, caller: Worker, pids: Mapping[str, Sequence[int]]
    ) -> None:
        self._stack = stack
        self._caller = caller
        # Whose CPU time counts beside the caller's own.
        self._pids = {**(stack.pids() if stack is not None else {}), **pids}

    def turn(self, cell: Cell, block: Block, seed: int) -> Sample:
        """Let the caller's threads do one operation for a time."""
        del seed
        if self._stack is not None:
            self._stack.wake()
        self._caller.ask("well")
        sample = self._caller.ask(
            "run",
            operation=cell.operation,
            callers=cell.callers,
            warm=block.warm_seconds,
            seconds=block.seconds,
            pids=self._pids,
        )
        if self._stack is not None:
            self._stack.sleep()
        return Sample.from_dict(sample)

    def pids(self) -> Mapping[str, Sequence[int]]:
        """Return the processes of the repository tier, and the one that calls it."""
        called = self._stack.pids() if self._stack is not None else {}
        return {**called, "caller": [self._caller.pid]}

    def calls(self, operation: str, callers: int, each: int) -> int:
        """Let each of the caller's threads make so many calls, and return how many that was."""
        if self._stack is not None:
            self._stack.wake()
        self._caller.ask("well")
        made: int = self._caller.ask("calls", operation=operation, callers=callers, calls=each)[
            "calls"
        ]
        if self._stack is not None:
            self._stack.sleep()
        return made


class ChainTarget:
    """All tiers of a variant, and the load that its edge gets."""

    def __init__(self, stack: Stack, edge_url: str, load: Worker, populated: Populated) -> None:
        self._stack = stack
        self._edge_url = edge_url
        self._load = load
        self._pids = populated.pids
        tokens = sign_in(edge_url, populated.people[:MOST_CONNECTIONS])
        reads = [
            HttpRequest("GET", _path(person), answer=person.user_id) for person in populated.people
        ]
        writes = [
            HttpRequest("PATCH", _path(person), RENAMED, person.user_id)
            for person in populated.people
        ]
        preheat(edge_url, reads, tokens[0])
        for operation in (READS, MIX):
            load.ask(
                "know",
                name=self._name(operation),
                url=edge_url,
                requests=[astuple(read) for read in reads],
                writes=[astuple(write) for write in writes] if operation == MIX else [],
                headers=[{"Authorization": f"Bearer {token}"} for token in tokens],
            )

    def turn(self, cell: Cell, block: Block, seed: int) -> Sample:
        """Let the edge have its load for a time."""
        self._stack.wake()
        time.sleep(SETTLE_SECONDS)
        sample = self._load.ask(
            "run",
            name=self._name(cell.operation),
            connections=cell.callers,
            seed=seed,
            warm=block.warm_seconds,
            seconds=block.seconds,
            pids={**self._stack.pids(), **self._pids},
        )
        self._stack.sleep()
        return Sample.from_dict(sample)

    def pids(self) -> Mapping[str, Sequence[int]]:
        """Return the processes of each tier."""
        return self._stack.pids()

    def calls(self, operation: str, connections: int, seconds: float) -> dict[str, int]:
        """Load the edge for a time; return the number of requests, and the bytes up and down."""
        self._stack.wake()
        time.sleep(SETTLE_SECONDS)
        moved: dict[str, int] = self._load.ask(
            "calls",
            name=self._name(operation),
            connections=connections,
            seed=1,
            seconds=seconds,
        )
        self._stack.sleep()
        return moved

    def _name(self, operation: str) -> str:
        return f"{self._stack.name} {operation}"


def sign_in(edge_url: str, persons: Sequence[Person]) -> list[str]:
    """Sign people in as any client would, and return their access tokens.

    Raises:
        BenchmarkError: the edge refuses one of them.
    """
    headers = {"Content-Type": "application/json"}
    with _connected(edge_url) as connection:
        return [
            json.loads(
                _answer(
                    connection,
                    HttpRequest(
                        "POST",
                        f"{API}/auth/login",
                        json.dumps({"email": person.email, "password": people.PASSWORD}),
                    ),
                    headers,
                )
            )["access_token"]
            for person in persons
        ]


def preheat(edge_url: str, reads: Sequence[HttpRequest], token: str) -> None:
    """Read everybody once: what is compared are warm caches, however slow a variant fills them.

    Raises:
        BenchmarkError: a read fails.
    """
    headers = {"Authorization": f"Bearer {token}"}
    with _connected(edge_url) as connection:
        for read in reads:
            _answer(connection, read, headers)


@contextmanager
def _connected(edge_url: str) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(edge_url)
    with closing(
        http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE_SECONDS)
    ) as connection:
        yield connection


def _answer(
    connection: http.client.HTTPConnection, request: HttpRequest, headers: Mapping[str, str]
) -> bytes:
    connection.request(request.method, request.path, request.body or None, dict(headers))
    response = connection.getresponse()
    answer = response.read()
    if response.status != http.client.OK or request.answer.encode() not in answer:
        raise BenchmarkError(f"{request.path} is answered by {response.status}: {answer!r}")
    return answer


def _path(person: Person) -> str:
    return f"{API}/users/{person.user_id}"


@contextmanager
def hop_target(
    variant: str,
    populated: Populated,
    folder: Path,
    *,
    between: Between = straight,
    told: Mapping[str, str] = NOTHING_MORE,
) -> Iterator[HopTarget]:
    """Start one variant's repository tier and its caller; the tier sleeps until its turn."""
    home = _new_folder(folder, f"hop-{populated.kind}-{variant}")
    store = populated.make(home)
    with ExitStack() as opened:
        stack, url = None, "inproc"
        environ: Mapping[str, str] = environment({})
        if variant == INPROC:
            environ = environment(
                {**COMMON_SETTINGS, "ARCANA_HOME": str(home), **store.environ(), **told}
            )
        else:
            layout = hop_layout(variant, store, home, told)
            stack = opened.enter_context(Stack(f"hop {variant}", layout.programs, home))
            url = between("repository", layout.repository_url)
        words = ["benchmarks.callers", variant, url, str(populated.people_file)]
        caller = opened.enter_context(Worker(words, environ, home / "caller.log"))
        caller.ask("well")
        caller.ask("preheat")
        if stack is not None:
            stack.sleep()
        yield HopTarget(stack, caller, populated.pids)


@contextmanager
def load_worker(folder: Path) -> Iterator[Worker]:
    """Start a load generator."""
    folder.mkdir(parents=True, exist_ok=True)
    with Worker(["benchmarks.load"], environment({}), folder / "load.log") as worker:
        yield worker


@contextmanager
def chain_target(
    variant: str,
    populated: Populated,
    folder: Path,
    load: Worker,
    *,
    between: Between = straight,
    told: Mapping[str, str] = NOTHING_MORE,
) -> Iterator[ChainTarget]:
    """Start all tiers of a variant, and tell the load generator of it; it sleeps until its turn."""
    home = _new_folder(folder, f"chain-{populated.kind}-{variant}")
    layout = chain_layout(variant, populated.make(home), home, between, told)
    with Stack(f"chain {variant}", layout.programs, home) as stack:
        target = ChainTarget(stack, layout.edge_url, load, populated)
        stack.sleep()
        yield target


@contextmanager
def open_target(
    part: Part,
    variant: str,
    populated: Populated,
    folder: Path,
    told: Mapping[str, str] = NOTHING_MORE,
) -> Iterator[Target]:
    """Start one variant of a part with whoever calls it, told some settings on top of its own."""
    with ExitStack() as opened:
        if part == "hop":
            yield opened.enter_context(hop_target(variant, populated, folder, told=told))
        else:
            load = opened.enter_context(load_worker(folder))
            yield opened.enter_context(chain_target(variant, populated, folder, load, told=told))


def in_random_order(block: Block, dice: random.Random) -> Iterator[tuple[int, Cell, str]]:
    """Yield the turns of a block: in every round each cell once, its variants one after another.

    Cells and variants come in a new order every round, so that nothing that drifts with time, and
    no neighbour in the order, sides with a variant.
    """
    for number in range(block.rounds):
        for cell in dice.sample(block.cells, len(block.cells)):
            for variant in dice.sample(cell.variants, len(cell.variants)):
                yield number, cell, variant


def _new_folder(folder: Path, name: str) -> Path:
    made = folder / name.replace(" ", "-")
    made.mkdir(parents=True)
    return made
