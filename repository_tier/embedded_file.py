"""The embedded database's file, which one process at a time may serve."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tier_runtime.startup import StartupError


def own(file: Path) -> Callable[[], None]:
    """Claim the file for this process and return what gives it back.

    Two processes could share the file, but not the cache that stands before it. The kernel gives
    the claim back when the process ends, however it ends.

    Raises:
        StartupError: another process serves it, or the claim cannot be made.
    """
    claim = file.with_name(f"{file.name}.owner")
    try:
        descriptor = os.open(claim, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartupError(f"Cannot claim {file}: {error.strerror}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StartupError(
            f"Another repository tier serves {file}: stop it, or set ARCANA_HOME or DATABASE_URL."
        ) from error
    return partial(os.close, descriptor)
