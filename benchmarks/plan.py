"""What is measured: the variants, the operations, and how often and how long each has its turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Part = Literal["hop", "chain"]
StoreKind = Literal["embedded", "real"]

GRPC = "grpc"
GRPC_PLAIN = "grpc-plain"
REST_FAIR = "rest-fair"
REST_BEST = "rest-best"
REST_NAIVE = "rest-naive"
INPROC = "inproc"
MONOLITH = "monolith"
MONOLITH_PLAIN = "monolith-plain"

# What each variant is, in the words of the report. Where a choice moves the answer, it is named.
VARIANTS = MappingProxyType(
    {
        GRPC: "gRPC as shipped: concurrent point reads of a process leave as one batch, and tiers "
        "pass on the bytes of messages that they do not read, cached ones included",
        GRPC_PLAIN: "gRPC alone: no coalescing, every message decoded and encoded at both ends of "
        "every hop, so cached bytes are parsed before they are sent",
        REST_FAIR: "fair REST: verbs and paths of google.api.http, JSON by orjson, gunicorn's "
        "threaded worker, a kept-alive urllib3 pool; no coalescing; no bytes passed on: the server "
        "parses cached protobuf and encodes JSON for every answer, and where the caller passes its "
        "answer on, it serializes what it has decoded, which takes some 15 µs per 50 users that a "
        "tier would save that knows nothing but JSON",
        REST_BEST: "best REST: the same JSON, served by granian (Rust), called over kept-alive raw "
        "sockets, with coalescing; passing bytes on is gRPC's alone, since JSON is another form "
        "than what is cached: it is parsed, encoded and serialized again here as in fair REST",
        REST_NAIVE: "naive REST: the same JSON between the tiers, werkzeug's development server "
        "and `requests.request` as they come, so a new connection for every call; in the chain the "
        "edge itself is the same as everywhere",
        INPROC: "in-process: the same stub calls the same handlers in its own thread",
        MONOLITH: "monolithic as shipped: edge, service and repository tier in one process, "
        "coalescing concurrent point reads",
        MONOLITH_PLAIN: "the same without coalescing (COALESCE_MAX_BATCH=1); messages and bytes "
        "still go from tier to tier without a copy",
    }
)

GET_BY_ID = "get by id"
GET_BY_EMAIL = "get by e-mail"
LIST_20, LIST_50, LIST_100 = "list 20", "list 50", "list 100"
CREATE = "create"
UPDATE = "update"
READS = "reads"
MIX = "90/10 mix"

OPERATIONS = MappingProxyType(
    {
        GET_BY_ID: "UserRepository.GetUser of a user chosen at random; the cache is warm",
        GET_BY_EMAIL: "UserRepository.GetCredentials by e-mail address; always read from the "
        "database",
        LIST_20: "UserRepository.ListUsers, the first page of 20 users with the total",
        LIST_50: "UserRepository.ListUsers, the first page of 50 users with the total",
        LIST_100: "UserRepository.ListUsers, the first page of 100 users with the total",
        CREATE: "UserRepository.CreateUser with an event for the outbox",
        UPDATE: "UserRepository.UpdateUser of a user's name with an event for the outbox",
        READS: "GET /api/v1/users/{id} of a user chosen at random",
        MIX: "the same, and one request in ten is PATCH /api/v1/users/{id} of the name",
    }
)

# What is asked of the edge; all else is asked of the repository tier alone.
CHAIN_OPERATIONS = (READS, MIX)

HOP_VARIANTS = (GRPC, GRPC_PLAIN, REST_FAIR, REST_BEST, REST_NAIVE, INPROC)
CHAIN_VARIANTS = (
    GRPC, GRPC_PLAIN, REST_FAIR, REST_BEST, REST_NAIVE, MONOLITH, MONOLITH_PLAIN,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing that all its variants do in turn, and are compared by.

    Attributes:
        callers: threads in the calling process of a hop; connections to the edge of a chain.
    """

    part: Part
    store: StoreKind
    operation: str
    callers: int
    variants: tuple[str, ...]

    @property
    def key(self) -> tuple[Part, StoreKind, str, int]:
        """What tells it from all other cells."""
        return self.part, self.store, self.operation, self.callers


def part_of(operation: str) -> Part:
    """Tell which part of the benchmark an operation belongs to."""
    return "chain" if operation in CHAIN_OPERATIONS else "hop"


def variants_of(part: Part) -> tuple[str, ...]:
    """Return all variants of a part."""
    return CHAIN_VARIANTS if part == "chain" else HOP_VARIANTS


@dataclass(frozen=True, slots=True)
class Block:
    """Cells that have the same number of rounds, and turns of the same length."""

    cells: tuple[Cell, ...]
    rounds: int
    warm_seconds: float
    seconds: float

    @property
    def turns(self) -> int:
        """How many turns it has in all."""
        return self.rounds * sum(len(cell.variants) for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of the benchmark.

    Attributes:
        people: users in the database before the first turn.
        wire_calls: calls that the bytes on the wire are averaged over; 0 leaves them out.
        wire_chain: whether they are told for the chain's inner hops too.
    """

    name: str
    blocks: tuple[Block, ...]
    # Ten for each of 64 connections.
    people: int = 640
    wire_calls: int = 400
    wire_operations: tuple[str, ...] = (GET_BY_ID, LIST_50)
    wire_chain: bool = True
    seed: int = field(default=1)

    @property
    def cells(self) -> list[Cell]:
        """All cells of all blocks."""
        return [cell for block in self.blocks for cell in block.cells]

    @property
    def seconds(self) -> float:
        """How long the turns take, without what stands around them."""
        return sum(block.turns * (block.warm_seconds + block.seconds) for block in self.blocks)

    def stores(self, part: Part) -> list[StoreKind]:
        """Return the stores that a part is measured on."""
        return sorted({cell.store for cell in self.cells if cell.part == part})

    def variants(self, part: Part, store: StoreKind) -> list[str]:
        """Return the variants that a part needs on a store, in the order of the report."""
        needed = {
            variant
            for cell in self.cells
            if (cell.part, cell.store) == (part, store)
            for variant in cell.variants
        }
        return [variant for variant in VARIANTS if variant in needed]


def _hop(
    store: StoreKind,
    operations: Sequence[str],
    callers: Sequence[int],
    variants: tuple[str, ...] = HOP_VARIANTS,
) -> tuple[Cell, ...]:
    return tuple(
        Cell("hop", store, operation, count, variants)
        for operation in operations
        for count in callers
    )


def _chain(
    store: StoreKind,
    operations: Sequence[str],
    connections: Sequence[int],
    variants: tuple[str, ...] = CHAIN_VARIANTS,
) -> tuple[Cell, ...]:
    return tuple(
        Cell("chain", store, operation, count, variants)
        for operation in operations
        for count in connections
    )


_QUICK_HOP = (GRPC, GRPC_PLAIN, REST_FAIR, REST_NAIVE)
_QUICK_CHAIN = (*_QUICK_HOP, MONOLITH, MONOLITH_PLAIN)

# What the cells beside the headline's leave out (`LEFT_OUT` tells the reader).
_LONE_HOP = (*_QUICK_HOP, INPROC)
_REAL_HOP = _QUICK_HOP
_OTHER_CHAIN = (*_QUICK_HOP, MONOLITH)

LEFT_OUT = """
To end within twelve minutes the full plan leaves cells out. The best REST is measured in hops with
16 callers and in the chain with reads over 64 connections, and nowhere else; the monolith without
coalescing in the latter alone, so no other cell has a "transport only" over the monolith. A hop
with one caller does point reads by id and lists of 50. Real stores have no best REST, no in-process
hop, no lists of 20 and 100, and of the chain only 64 connections, all of it in 4 rounds. Bytes on
the wire are those of point reads and lists of 50, on embedded stores.
"""

# About twelve minutes, of which the turns are seven. What the headline is made of has more
# rounds than the rest; real stores have too few for an interval, and so are told with the range of
# their rounds. Users are created after all that counts them.
FULL = Plan(
    "full",
    (
        Block(_hop("embedded", [GET_BY_ID, LIST_50], [16]), 9, 0.2, 0.4),
        Block(
            _hop("embedded", [GET_BY_EMAIL, LIST_20, LIST_100, UPDATE], [16])
            + _hop("embedded", [GET_BY_ID, LIST_50], [1], _LONE_HOP),
            6,
            0.15,
            0.3,
        ),
        Block(_hop("embedded", [CREATE], [16]), 6, 0.15, 0.3),
        Block(_chain("embedded", [READS], [64]), 9, 0.3, 0.7),
        Block(
            _chain("embedded", [READS], [1, 16], _OTHER_CHAIN)
            + _chain("embedded", [MIX], [1, 16, 64], _OTHER_CHAIN),
            6,
            0.2,
            0.4,
        ),
        Block(
            _hop("real", [GET_BY_ID, GET_BY_EMAIL, LIST_50, UPDATE], [16], _REAL_HOP), 4, 0.2, 0.4
        ),
        Block(_hop("real", [CREATE], [16], _REAL_HOP), 4, 0.2, 0.4),
        Block(_chain("real", [READS, MIX], [64], _OTHER_CHAIN), 4, 0.3, 0.6),
    ),
)

# About 90 seconds: what the headline is made of, and nothing else.
QUICK = Plan(
    "quick",
    (
        Block(_hop("embedded", [GET_BY_ID, LIST_50], [16], _QUICK_HOP), 6, 0.15, 0.3),
        Block(_chain("embedded", [READS], [64], _QUICK_CHAIN), 6, 0.3, 0.5),
    ),
    wire_calls=0,
)

PLANS = MappingProxyType({plan.name: plan for plan in (FULL, QUICK)})
