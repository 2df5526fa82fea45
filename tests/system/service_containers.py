"""The service tier of a system in containers, taken away from its edges."""

from __future__ import annotations

from collections.abc import Mapping

from tests.system.composed import UP, Composed


class ServiceContainers:
    """Kill or pause the service tier, as Relays cut it off or stall it."""

    # Edges in containers find it by its name in their network.
    urls: Mapping[str, str] = {}

    def __init__(self, system: Composed) -> None:
        self._system = system

    def cut(self) -> None:
        """Kill the containers, after which not even their names are known."""
        for each in self._system.tier("service"):
            each.kill()

    def stall(self) -> None:
        """Stop the processes where they are; their connections stand."""
        for each in self._system.tier("service"):
            each.pause()

    def restore(self) -> None:
        """Let run again what was paused; start what was killed, and wait until it is healthy."""
        running = self._system.tier("service")
        for each in running:
            if each.status == "paused":
                each.unpause()
        if not running:
            self._system.compose(*UP, *self._system.services_of("service"))
