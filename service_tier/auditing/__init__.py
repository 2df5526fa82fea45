"""The audit log of the service tier: which RPC is recorded when, and what records it."""

from __future__ import annotations
