"""Bytes in a folder of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from repository_tier.blobs.store import CHUNK_BYTES, Draft, MissingBlobError, told_as_unavailable
from tier_runtime.errors import AppError, Kind
from tier_runtime.secrets import make_private_folder
from tier_runtime.startup import StartupError


class FolderBlobs:
    """Bytes as files: `drafts/<name>` while they come, then `kept/<xy>/<name>`.

    Both are on one file system, so that publishing is a rename. `xy` are the last two characters
    of the name, because the first ones of ids that are made together are the same.
    """

    def __init__(self, root: Path) -> None:
        self._drafts = root / "drafts"
        self._kept = root / "kept"

    @classmethod
    def open(cls, root: Path) -> FolderBlobs:
        """Return the store in a folder, which is made first where there is none.

        Raises:
            StartupError: it cannot be made or written to.
        """
        store = cls(root)
        try:
            for folder in (store._drafts, store._kept):
                make_private_folder(folder)
                if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                    raise StartupError(f"The folder {folder} of BLOB_URL cannot be written to.")
        except OSError as error:
            raise StartupError(f"Cannot keep files in {root}: {error.strerror}.") from error
        return store

    def draft(self, name: str) -> Draft:
        """Begin to write the bytes of a new name."""
        with told_as_unavailable(OSError):
            try:
                return _FolderDraft(self._drafts / name, self._place(name))
            except FileExistsError as error:
                raise AppError(
                    Kind.EXISTS, "ALREADY_EXISTS", "This file is being uploaded already."
                ) from error

    def read(self, name: str, offset: int, length: int) -> Iterator[bytes]:
        """Yield so many bytes from an offset on."""
        with told_as_unavailable(OSError):
            try:
                file = self._place(name).open("rb", buffering=0)
            except FileNotFoundError as error:
                raise MissingBlobError from error
            with file:
                file.seek(offset)
                while length > 0 and (chunk := file.read(min(CHUNK_BYTES, length))):
                    length -= len(chunk)
                    yield chunk

    def remove(self, name: str) -> None:
        """Take the bytes of a name away."""
        with told_as_unavailable(OSError):
            # In this order: who publishes meanwhile finds no draft any more.
            (self._drafts / name).unlink(missing_ok=True)
            self._place(name).unlink(missing_ok=True)

    def sweep(self, before: datetime, limit: int) -> int:
        """Take drafts away that were last written to before that."""
        count = 0
        with told_as_unavailable(OSError), os.scandir(self._drafts) as entries:
            for entry in entries:
                if count == limit:
                    break
                # Whoever wrote it may come to its end at this moment.
                with suppress(FileNotFoundError):
                    if datetime.fromtimestamp(entry.stat().st_mtime, UTC) < before:
                        Path(entry.path).unlink()
                        count += 1
        return count

    def signed_url(self, name: str, filename: str, content_type: str, seconds: int) -> str:
        """Return "": nobody but this tier can read a folder of it."""
        del name, filename, content_type, seconds
        return ""

    def close(self) -> None:
        """Do nothing: nothing is held between two calls."""

    def _place(self, name: str) -> Path:
        return self._kept / name[-2:] / name


class _FolderDraft:
    """A file that is being written; it belongs to one thread."""

    def __init__(self, path: Path, place: Path) -> None:
        self._path = path
        self._place = place
        self._file = path.open("xb", buffering=0)

    def write(self, chunk: bytes) -> None:
        with told_as_unavailable(OSError):
            rest = memoryview(chunk)
            while rest:
                # A raw file may take a part only, when the disk is about to be full.
                rest = rest[self._file.write(rest) :]

    def publish(self) -> None:
        with told_as_unavailable(OSError):
            os.fsync(self._file.fileno())
            self._file.close()
            make_private_folder(self._place.parent)
            self._path.rename(self._place)
            _flush_folder(self._place.parent)
            # Which may be new itself.
            _flush_folder(self._place.parent.parent)

    def discard(self) -> None:
        # What cannot be taken away now is swept later.
        with suppress(OSError):
            self._file.close()
            self._path.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Have the names in a folder survive a crash of the machine (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
