"""Relays in front of every process of the service tier, which act as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Protocol

from tests.stores import TcpRelay


class Hop(Protocol):
    """The way from an edge to the service tier, as tests take it away."""

    @property
    def urls(self) -> Mapping[str, str]:
        """Where the way begins, by the names of the processes that it leads to.

        Empty where it has no addresses of its own.
        """
        ...

    def cut(self) -> None:
        """Have all connections end, and new ones refused."""
        ...

    def stall(self) -> None:
        """Keep all connections open, with no answer on any."""
        ...

    def restore(self) -> None:
        """Make it as it was."""
        ...


class Relays:
    """Stand between an edge and the service tier. Use as a context manager.

    Args:
        urls: where the service tier's processes are, by their names; none in the monolith, where
            nothing can stand in between.
    """

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._closing = ExitStack()
        self._relays = {
            name: self._closing.enter_context(TcpRelay.to(url)) for name, url in urls.items()
        }

    @property
    def urls(self) -> dict[str, str]:
        """The same URLs, through the relays."""
        return {name: relay.url for name, relay in self._relays.items()}

    def cut(self) -> None:
        """Reset all connections, and refuse new ones."""
        self._all(TcpRelay.cut)

    def stall(self) -> None:
        """Keep all connections open and pass nothing on."""
        self._all(TcpRelay.stall)

    def restore(self) -> None:
        """Pass on again."""
        self._all(TcpRelay.restore)

    def __enter__(self) -> Relays:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()

    def _all(self, act: Callable[[TcpRelay], None]) -> None:
        for relay in self._relays.values():
            act(relay)
