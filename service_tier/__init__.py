"""Business rules, orchestration and the issuing of tokens; it stores nothing itself."""

from __future__ import annotations
