"""An audit log whose records a test can look at."""

from __future__ import annotations

from tier_runtime.audit import Act


class KeptActs:
    """Implements AuditTrail; `acts` has the records in order."""

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.is_closed = False

    def record(self, act: Act) -> None:
        self.acts.append(act)

    def close(self) -> None:
        self.is_closed = True

    def of(self, name: str) -> list[Act]:
        """Give the records of one kind of act."""
        return [act for act in self.acts if act.name == name]
