"""Which of a peer's addresses is next: in turn, and not one that failed a moment ago."""

from __future__ import annotations

import contextlib
import ipaddress
import math
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain

from tier_runtime.addresses import Address

# A name may get new addresses, as replicas come and go.
RESOLVE_SECONDS = 5.0
# After a lookup that failed. A name server that is down must not be asked for each request; one
# that is back shall not be missed for long.
RETRY_SECONDS = 1.0
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
        # Numbers need no name server, now or later.
        self._names = [(one.host, one.port) for one in parsed if not _is_number(one.host)]
        self._resolve = resolve
        self._clock = clock
        self._lock = threading.Lock()
        self._resolved = threading.Condition(self._lock)
        # By target: what it stood for when it was last answered.
        self._found: dict[tuple[str, int], list[tuple[str, int]]] = {
            (one.host, one.port): [(one.host, one.port)] if _is_number(one.host) else []
            for one in parsed
        }
        self._known = _unique(self._found.values())
        self._is_resolving = False
        self._resolve_again_at = -math.inf
        self._turn = 0
        # Until when an address rests, and how long it rested last.
        self._rests: dict[tuple[str, int], tuple[float, float]] = {}

    def next(
        self, tried: Collection[tuple[str, int]] = (), seconds: float | None = None
    ) -> tuple[str, int]:
        """Return the address whose turn it is, or the one that has rested longest if all do.

        While none is known, wait so many seconds at most for the names to be resolved.

        Raises:
            NoAddressError: there is none, none that was not tried, or none was found in time.
        """
        with self._lock:
            self._refresh(seconds)
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

    def name_of(self, address: tuple[str, int]) -> str:
        """Return the host that a target names, and that stands for this address now."""
        with self._lock:
            for (host, _), found in self._found.items():
                if address in found:
                    return host
        return address[0]

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

    def _refresh(self, seconds: float | None) -> None:
        """Have names resolved whose time has come; the lock is held.

        That is done beside the requests: nothing limits how long a name server may take, neither
        to those who have addresses nor to those who wait for the first one.
        """
        if not self._names:
            return
        if not self._is_resolving and self._clock() >= self._resolve_again_at:
            self._is_resolving = True
            try:
                threading.Thread(target=self._resolve_all, name="resolve", daemon=True).start()
            except RuntimeError:
                # No thread can be had at the moment. The next request tries again.
                self._is_resolving = False
        if not self._known:
            self._resolved.wait_for(lambda: self._known or not self._is_resolving, seconds)

    def _resolve_all(self) -> None:
        missing = len(self._names)
        try:
            for name in self._names:
                found: Sequence[tuple[str, int]] = ()
                # The second is what Python raises of a host that is no name.
                with contextlib.suppress(OSError, UnicodeError):
                    found = self._resolve(*name)
                if found:
                    self._keep(name, found)
                    missing -= 1
        finally:
            with self._lock:
                self._is_resolving = False
                pause = RETRY_SECONDS if missing else RESOLVE_SECONDS
                self._resolve_again_at = self._clock() + pause
                self._resolved.notify_all()

    def _keep(self, name: tuple[str, int], found: Sequence[tuple[str, int]]) -> None:
        """Replace what one name stood for; what others stand for is not said by that."""
        with self._lock:
            self._found[name] = list(found)
            self._known = _unique(self._found.values())
            known = set(self._known)
            self._rests = {one: rest for one, rest in self._rests.items() if one in known}
            self._resolved.notify_all()


def _unique(found: Iterable[Iterable[tuple[str, int]]]) -> list[tuple[str, int]]:
    return list(dict.fromkeys(chain.from_iterable(found)))


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
