"""What a test tells the log holds for that test."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import structlog


@contextlib.contextmanager
def kept_logging() -> Iterator[None]:
    """Bring what `configure_logging` changes back to what it is now."""
    was = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        structlog.configure(**was)
        root.handlers[:] = handlers
        root.setLevel(level)
