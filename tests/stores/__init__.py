"""Real and embedded stores for tests.

The fixtures are in `tests.stores.fixtures`; `python -m tests.stores` starts the servers by hand.
"""

from __future__ import annotations

from tests.stores.handout import Store, StoreKind, Stores
from tests.stores.relay import TcpRelay

__all__ = ["Store", "StoreKind", "Stores", "TcpRelay"]
