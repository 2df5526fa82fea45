"""What the health boards say, as one report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller_tier.stubs import HealthStub

# Names on the service tier's board (tier_runtime.health); "" is that tier itself.
_SERVICE = ""
_BEHIND = {
    "repository": "tier.repository",
    "database": "store.database",
    "cache": "store.cache",
}


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How each part is, and how each breaker towards the service tier stands."""

    tiers: dict[str, str]
    breakers: Mapping[str, str]

    @property
    def status(self) -> str:
        """`ok`, `degraded` while only the cache is missing, else `down`."""
        ill = {name for name, state in self.tiers.items() if state != "up"}
        if not ill:
            return "ok"
        return "degraded" if ill == {"cache"} else "down"

    def document(self, version: str) -> dict[str, Any]:
        """Return the report as JSON shows it."""
        return {
            "status": self.status,
            "tiers": self.tiers,
            "breakers": dict(self.breakers),
            "version": version,
        }


def health_report(health: HealthStub, breakers: Mapping[str, str]) -> HealthReport:
    """Ask the service tier how it and everything behind it is."""
    tiers = {"controller": "up"}
    if not health.is_serving(_SERVICE):
        unknown = dict.fromkeys(_BEHIND, "unknown")
        return HealthReport(tiers | {"service": "down"} | unknown, breakers)
    tiers["service"] = "up"
    for name, on_board in _BEHIND.items():
        tiers[name] = "up" if health.is_serving(on_board) else "down"
    return HealthReport(tiers, breakers)
