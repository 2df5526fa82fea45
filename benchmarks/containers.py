"""The processes that do the work where a container engine's proxy only passes bytes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

_PROXY = "docker-proxy"
_PROC = Path("/proc")


def behind_proxies(pids: Iterable[int]) -> list[int]:
    """Return these processes, and instead of each proxy among them what listens behind it.

    A proxy names the address that it passes bytes on to; the processes that work there are those in
    whose network that address is a local one.
    """
    found: list[int] = []
    for pid in pids:
        try:
            words = psutil.Process(pid).cmdline()
        except psutil.Error:
            continue
        if words and words[0].endswith(_PROXY):
            found += _at_home_in(_word_after(words, "-container-ip"))
        else:
            found.append(pid)
    return sorted(set(found))


def _word_after(words: Sequence[str], name: str) -> str:
    place = words.index(name) if name in words else len(words)
    return words[place + 1] if place + 1 < len(words) else ""


def _at_home_in(address: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        # It may end while it is looked at, and only root may look at all of them.
        with contextlib.suppress(OSError, psutil.Error):
            table = (_PROC / str(process.pid) / "net" / "fib_trie").read_text()
            if (
                address
                and f"-- {address}\n" in table
                and "/32 host LOCAL" in _after(table, address)
            ):
                found.append(process.pid)
    return found


def _after(table: str, address: str) -> str:
    """Return the line of the table that says what an address is."""
    return table.partition(f"-- {address}\n")[2].partition("\n")[0]
