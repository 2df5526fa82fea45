"""Which of a peer's addresses is next: in turn, and not one that failed a moment ago."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence

from tier_runtime.addresses import Address

# A name may get new addresses, as replicas come and go.
RESOLVE_SECONDS = 5.0
# How long an address rests that could not be reached; longer each time.
FIRST_REST_SECONDS = 0.1
LONGEST_REST_SECONDS = 1.0

Resolve = Callable[[str, int], Sequence[tuple[str, int]]]


class NoAddressError(Exception):
    """The names stand for no address, or cannot be resolved."""


def resolve_name(host: str, port: int) -> list[tuple[str, int]]:
    """Return the addresses of a name.

    Raises:
        OSError: it cannot be resolved.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((str(sockaddr[0]), int(sockaddr[1])) for *_, sockaddr in found))


class Addresses:
    """The addresses behind some targets, each "host:port". Safe to use from several threads."""

    def __init__(
        self,
        targets: Sequence[str],
        *,
        resolve: Resolve = resolve_name,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parsed = [Address.parse(target) for target in targets]
        self._names = [(target.host, target.port) for target in parsed]
        self._resolve = resolve
        self._clock = clock
        self._lock = threading.Lock()
        # Numbers need no name server, now or later.
        self._is_fixed = all(_is_number(host) for host, _ in self._names)
        self._known: list[tuple[str, int]] = list(self._names) if self._is_fixed else []
        self._resolved_at = 0.0
        self._is_resolving = False
        self._turn = 0
        # Until when an address rests, and how long it rested last.
        self._rests: dict[tuple[str, int], tuple[float, float]] = {}

    def next(self, tried: Collection[tuple[str, int]] = ()) -> tuple[str, int]:
        """Return the address whose turn it is, or the one that has rested longest if all do.

        Raises:
            NoAddressError: there is none, or none that was not tried.
        """
        self._refresh()
        with self._lock:
            untried = [address for address in self._known if address not in tried]
            if not untried:
                raise NoAddressError
            now = self._clock()
            awake = [one for one in untried if self._rests.get(one, (0.0, 0.0))[0] <= now]
            if not awake:
                return min(untried, key=lambda one: self._rests[one][0])
            self._turn += 1
            return awake[self._turn % len(awake)]

    def known(self) -> frozenset[tuple[str, int]]:
        """Return the addresses that the targets stand for now."""
        with self._lock:
            return frozenset(self._known)

    def failed(self, address: tuple[str, int]) -> None:
        """Leave an address alone for a moment: it could not be reached."""
        with self._lock:
            last = self._rests.get(address, (0.0, FIRST_REST_SECONDS / 2))[1]
            rest = min(last * 2, LONGEST_REST_SECONDS)
            self._rests[address] = (self._clock() + rest, rest)

    def reached(self, address: tuple[str, int]) -> None:
        """Forget that an address ever failed."""
        if address in self._rests:
            with self._lock:
                self._rests.pop(address, None)

    def _refresh(self) -> None:
        if self._is_fixed:
            return
        with self._lock:
            is_recent = self._clock() - self._resolved_at < RESOLVE_SECONDS
            if self._known and (is_recent or self._is_resolving):
                return
            is_first = not self._known
            self._is_resolving = True
        if is_first:
            self._resolve_all()
        else:
            # A slow name server must delay no request while the old addresses will do.
            threading.Thread(target=self._resolve_all, name="resolve", daemon=True).start()

    def _resolve_all(self) -> None:
        found: list[tuple[str, int]] = []
        for host, port in self._names:
            try:
                found += self._resolve(host, port)
            except OSError:
                continue
        with self._lock:
            self._is_resolving = False
            if found:
                self._known = list(dict.fromkeys(found))
                self._resolved_at = self._clock()
                self._rests = {one: rest for one, rest in self._rests.items() if one in found}


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
