"""The five ways in which the same tiers are wired, and which tests run in which of them.

ARCANA_TEST_WIRING names one of them, for all tests of the edge; `make test-modes` runs all. Three
more are what `make compose-test` starts in containers, a layout of the compose files each.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

from launcher.settings import SERVICES, Mode, Protocol
from tests.stores import StoreKind

VARIABLE = "ARCANA_TEST_WIRING"


@dataclass(frozen=True, slots=True)
class Wiring:
    """A deployment mode, and what its tiers speak to each other."""

    mode: Mode
    protocol: Protocol = "grpc"
    # Whether containers run it that are there before the tests.
    is_composed: bool = False

    def __str__(self) -> str:
        if self.is_composed:
            return "compose" if self.mode == "layered" else f"compose-{self.mode}"
        return self.mode if self.mode == "monolithic" else f"{self.mode}-{self.protocol}"

    @property
    def services(self) -> dict[str, tuple[str, ...]]:
        """The services by the name of the process that has them; none where there is no hop."""
        if self.mode == "monolithic":
            return {}
        if self.mode == "layered":
            return {"service": SERVICES}
        return {name: (name,) for name in SERVICES}


USUAL = Wiring("layered")
MONOLITHIC = Wiring("monolithic")
COMPOSED = Wiring("layered", is_composed=True)
COMPOSED_WIRINGS = (
    COMPOSED,
    Wiring("microservices", is_composed=True),
    Wiring("monolithic", is_composed=True),
)
WIRINGS = (
    MONOLITHIC,
    USUAL,
    Wiring("layered", "http"),
    Wiring("microservices"),
    Wiring("microservices", "http"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a test runs: how the tiers are wired, and on which kind of store."""

    wiring: Wiring
    kind: StoreKind

    def __str__(self) -> str:
        return f"{self.wiring}-{self.kind}"


def chosen_wiring() -> Wiring | None:
    """Give the wiring that the environment asks for, None if it leaves the choice to the tests."""
    name = os.environ.get(VARIABLE)
    if not name:
        return None
    known = {str(wiring): wiring for wiring in (*WIRINGS, *COMPOSED_WIRINGS)}
    if name not in known:
        raise ValueError(f"{VARIABLE} is {name!r}, and must be one of {', '.join(known)}")
    return known[name]


def default_wiring() -> Wiring:
    """Give the wiring of tests that run in one."""
    return chosen_wiring() or USUAL


def places(real: Collection[Wiring]) -> list[Place]:
    """Give all five wirings on the embedded stores, and these on the real ones.

    When the environment asks for one wiring, it is that one on both kinds.
    """
    if one := chosen_wiring():
        if one.is_composed:
            return [Place(one, "real")]
        return [Place(one, "embedded"), Place(one, "real")]
    embedded = [Place(wiring, "embedded") for wiring in WIRINGS]
    return embedded + [Place(wiring, "real") for wiring in WIRINGS if wiring in real]
