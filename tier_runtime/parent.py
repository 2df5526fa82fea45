"""Ending together with the process that started us, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

# <linux/prctl.h>
_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> bool:
    """Have the kernel send us SIGTERM when the parent is gone; False when it is gone already.

    Linux only (prctl(2), PR_SET_PDEATHSIG); elsewhere a parent that is killed outright leaves its
    children running.
    """
    if sys.platform != "linux":
        return True
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # It may have ended before the kernel knew that we want to be told.
    return os.getppid() == parent
