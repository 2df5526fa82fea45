"""Ending together with the launcher that started us, however that one ends."""

from __future__ import annotations

from collections.abc import Mapping

from tier_runtime.parent import end_with_parent
from tier_runtime.startup import StartupError

PARENT_VARIABLE = "ARCANA_PARENT_PID"


def follow_parent(environ: Mapping[str, str]) -> None:
    """Have the kernel send us SIGTERM when the parent named in the environment is gone.

    Does nothing when no parent is named.

    Raises:
        StartupError: when the parent is gone already.
    """
    parent = environ.get(PARENT_VARIABLE)
    if parent and not end_with_parent(int(parent)):
        raise StartupError("The launcher that started this tier has ended.")
