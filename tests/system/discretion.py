"""Looking through the logs of a run for what must never stand in them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from tests.system.client import Edge, Observer
from tests.system.plan import Tier
from tests.system.running import RunningSystem

TIERS: tuple[Tier, ...] = ("controller", "service", "repository")
# Whatever the tests sent: nothing that looks like one of these has any business in a log.
LOOKS_SECRET = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]+"  # a signed token
    r"|[\w.+-]+(@|%40)[\w-]+\.(example|local|com)"  # an e-mail address
    r"|(scrypt|pbkdf2):[\w:]+\$"  # a password hash
)
# Of the characters that addresses, passwords and tokens of the tests consist of.
WORDS = re.compile(r"[\w.@%+-]+")


@contextlib.contextmanager
def watched_edge(arcana: RunningSystem, observe: Observer | None = None) -> Iterator[Edge]:
    """Give a client, and when it is done with look whether a log tells what went over the wire."""
    with Edge(arcana.edge_url, observe) as edge:
        yield edge
    expect_discreet_logs(arcana, edge.secrets)


def expect_discreet_logs(arcana: RunningSystem, sent: Iterable[str]) -> None:
    """Look for what was sent, plain and as it stands in a URL, and for what looks like it."""
    forms = {form for secret in sent for form in (secret, quote(secret, safe=""))}
    for tier in TIERS:
        text = arcana.logs(tier)
        # Compared as whole words, since a run has thousands of secrets and of lines.
        told = forms & {word.strip(".") for word in WORDS.findall(text)}
        assert not told, f"the {tier} tier's log tells {told}"
        match = LOOKS_SECRET.search(text)
        assert match is None, f"the {tier} tier's log tells {match.group()}"
