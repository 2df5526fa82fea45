"""The rules themselves: no I/O, no protobuf, nothing that knows a tier."""

from __future__ import annotations
