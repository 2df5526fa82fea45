"""Ending together with the process that started us, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping

from tier_runtime.startup import StartupError

PARENT_VARIABLE = "ARCANA_PARENT_PID"
# <linux/prctl.h>
_PR_SET_PDEATHSIG = 1


def follow_parent(environ: Mapping[str, str]) -> None:
    """Have the kernel send us SIGTERM when the parent named in the environment is gone.

    Linux only (prctl(2), PR_SET_PDEATHSIG); elsewhere a launcher that is killed outright leaves its
    tiers running. Does nothing when no parent is named.

    Raises:
        StartupError: when the parent is gone already.
    """
    parent = environ.get(PARENT_VARIABLE)
    if not parent or sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # It may have ended before the kernel knew that we want to be told.
    if os.getppid() != int(parent):
        raise StartupError("The launcher that started this tier has ended.")
