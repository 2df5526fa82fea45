"""Looking through the logs of a run for what must never stand in them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from tests.system.client import Edge, Observer
from tests.system.processes import ArcanaProcesses, Tier

TIERS: tuple[Tier, ...] = ("controller", "service", "repository")
# Whatever the tests sent: nothing that looks like one of these has any business in a log.
LOOKS_SECRET = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]+"  # a signed token
    r"|[\w.+-]+(@|%40)[\w-]+\.(example|local|com)"  # an e-mail address
    r"|(scrypt|pbkdf2):[\w:]+\$"  # a password hash
)


@contextlib.contextmanager
def watched_edge(arcana: ArcanaProcesses, observe: Observer | None = None) -> Iterator[Edge]:
    """Give a client, and when it is done with look whether a log tells what went over the wire."""
    with Edge(arcana.edge_url, observe) as edge:
        yield edge
    expect_discreet_logs(arcana, edge.secrets)


def expect_discreet_logs(arcana: ArcanaProcesses, sent: Iterable[str]) -> None:
    forms = {form for secret in sent for form in (secret, quote(secret, safe=""))}
    for tier in TIERS:
        for line in arcana.logs(tier).splitlines():
            told = [form for form in forms if form in line]
            assert not told, f"the {tier} tier's log tells {told}: {line}"
            match = LOOKS_SECRET.search(line)
            assert match is None, f"the {tier} tier's log tells {match.group()}: {line}"
