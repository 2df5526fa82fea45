"""Messages of the repository tier to and from those of this tier's own contract."""

from __future__ import annotations
