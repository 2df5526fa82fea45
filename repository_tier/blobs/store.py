"""What the repository tier asks of a place for bytes; and how its failures are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import get_logger

# What is read, and sent on, at a time.
CHUNK_BYTES = 64 * 1024
RETRY_AFTER_SECONDS = 1.0


class MissingBlobError(Exception):
    """There are no bytes of that name."""


class Draft(Protocol):
    """Bytes on their way in, which nobody can read before they are published.

    Writing and publishing raise AppError UNAVAILABLE/SERVICE_UNAVAILABLE. What failed to be
    published may be readable all the same, and even only some time later.
    """

    def write(self, chunk: bytes) -> None:
        """Add bytes at the end."""

    def publish(self) -> None:
        """Make the bytes readable under their name, for good: they survive a crash from now on."""

    def discard(self) -> None:
        """Take away what was written and not published; never raises."""


class BlobStore(Protocol):
    """Bytes by names, which are the ids of files. Safe to use from several threads.

    All methods raise AppError UNAVAILABLE/SERVICE_UNAVAILABLE when the store fails.
    """

    def draft(self, name: str) -> Draft:
        """Begin to write the bytes of a new name.

        Raises:
            AppError: EXISTS/ALREADY_EXISTS, when somebody writes them already.
        """

    def read(self, name: str, offset: int, length: int) -> Iterator[bytes]:
        """Yield so many bytes from an offset on, at most `CHUNK_BYTES` at a time.

        Raises:
            MissingBlobError: there are none of that name.
        """

    def remove(self, name: str) -> None:
        """Take the bytes of a name away, drafts too; it does not matter if there are none."""

    def sweep(self, before: datetime, limit: int) -> int:
        """Take drafts away that nobody has gone on with since; return how many, at most `limit`."""

    def signed_url(self, name: str, filename: str, content_type: str, seconds: int) -> str:
        """Return a URL by which everybody can read the bytes for so long; "" where there is none.

        Whoever follows it gets an attachment of that name and type.
        """

    def close(self) -> None:
        """Give back what it holds."""


@contextmanager
def told_as_unavailable(*failures: type[Exception]) -> Iterator[None]:
    """Raise AppError UNAVAILABLE/SERVICE_UNAVAILABLE for these failures inside the block."""
    try:
        yield
    except failures as error:
        # The text may name a path or a host; its first words are enough to find the reason.
        get_logger(__name__).warning("blob_store_failed", error=type(error).__name__)
        raise AppError(
            Kind.UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            "The store of files is not available.",
            retry_after=RETRY_AFTER_SECONDS,
        ) from error
