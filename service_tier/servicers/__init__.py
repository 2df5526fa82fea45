"""The gRPC face of the use cases: presence, conversion in, one call, conversion out."""

from __future__ import annotations
