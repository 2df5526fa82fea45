"""The suite of the transports' fixtures, with TLS in place of plaintext."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from tests.tier.tls.certificates import make, served_by_tls, tls_plan
from tests.tier.transports.conftest import (  # noqa: F401 - fixtures
    MAX_MESSAGE_BYTES,
    _quiet_tiers,
    bare_probe,
    connect,
    peer,
    probe,
    raw_probe,
)
from tests.tier.transports.wires import SOCKETS, Peer, TierProcess, Wire


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates that nobody replaces."""
    return make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def served(folder: Path) -> Iterator[Callable[[Wire], tuple[Peer, TierProcess]]]:
    """Serve the probe by mutual TLS over a transport, once for all tests of this worker."""
    found: dict[Wire, tuple[Peer, TierProcess]] = {}
    with ExitStack() as stack:

        def find(wire: Wire) -> tuple[Peer, TierProcess]:
            if wire not in found:
                plan = tls_plan(folder, wire, threads=48, max_message_bytes=MAX_MESSAGE_BYTES)
                found[wire] = stack.enter_context(served_by_tls(wire, plan, folder))
            return found[wire]

        yield find


@pytest.fixture(scope="session")
def peer_of(served: Callable[[Wire], tuple[Peer, TierProcess]]) -> Callable[[Wire], Peer]:
    return lambda wire: served(wire)[0]


@pytest.fixture(params=SOCKETS)
def wire(request: pytest.FixtureRequest) -> Wire:
    """Run the test over each transport that has sockets."""
    return cast(Wire, request.param)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out calls in place: no TLS is there."""
    here = Path(__file__).parent
    items[:] = [
        item
        for item in items
        if here not in item.path.parents
        or "inproc" not in getattr(getattr(item, "callspec", None), "params", {}).values()
    ]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Put the fixture `stderr` in its place: pytest's own goes there again after the fixtures."""
    stderr: Any = pyfuncitem.funcargs.get("stderr")
    if stderr is None:
        return (yield)
    with stderr.in_place():
        return (yield)
