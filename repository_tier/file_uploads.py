"""Files on their way in: draft, row, bytes where they stay, and only then there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, update
from sqlalchemy.exc import IntegrityError

from arcana.repository.v1.file_repository_pb2 import CreateFileResponse
from repository_tier.blobs.store import BlobStore, Draft
from repository_tier.database import Database
from repository_tier.file_removal import FileRemoval
from repository_tier.file_rows import STORED, STORING, file_from_row
from repository_tier.file_usage import take_room
from repository_tier.idempotency import OnceKey, earlier_answer, once
from repository_tier.outbox import OutboxEvent, append_events
from repository_tier.store_errors import duplicates, unavailable
from repository_tier.tables import files
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.validation import invalid

# Far beyond what the service tier lets pass.
MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class NewFile:
    """What is known of a file before its bytes."""

    id: str
    filename: str
    content_type: str
    uploaded_by: str


@dataclass(frozen=True, slots=True)
class FileEnd:
    """What is known of a file after its bytes."""

    key: OnceKey | None
    size_bytes: int
    sha256: bytes
    quota_bytes: int
    events: Sequence[OutboxEvent]


class FileUploads:
    """Takes files in. What a failure leaves is taken away here, and what a crash leaves, swept."""

    def __init__(
        self, database: Database, blobs: BlobStore, removal: FileRemoval, clock: Clock
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._removal = removal
        self._clock = clock

    def create(
        self, file: NewFile, parts: Iterable[bytes | FileEnd], deadline: Deadline
    ) -> CreateFileResponse:
        """Keep the bytes up to the end, in memory for a chunk of them, once for each key.

        The parts have an end, or raise.

        Raises:
            AppError: INVALID/VALIDATION_FAILED; CONFLICT/QUOTA_EXCEEDED; EXISTS/ALREADY_EXISTS;
                what `once` raises; and what the parts raise.
        """
        size = 0
        with _discarded_if_left(self._blobs.draft(file.id)) as draft:
            for part in parts:
                if isinstance(part, FileEnd):
                    if part.size_bytes != size:
                        raise invalid({"size_bytes": [f"{size} bytes have come."]})
                    return self._finish(file, part, draft, deadline)
                size += len(part)
                if size > MAX_FILE_BYTES:
                    raise invalid({"chunk": [f"More than {MAX_FILE_BYTES} bytes."]})
                draft.write(part)
        raise AssertionError("The parts of an upload have an end.")

    def _finish(
        self, file: NewFile, end: FileEnd, draft: Draft, deadline: Deadline
    ) -> CreateFileResponse:
        now = self._clock.now()
        # The file that the key was used for before may have taken the last of the quota.
        earlier = self._database.read(
            deadline,
            lambda connection: earlier_answer(connection, end.key, now, CreateFileResponse),
        )
        if earlier is not None:
            return earlier
        row = {
            "id": file.id,
            "filename": file.filename,
            "content_type": file.content_type,
            "size_bytes": end.size_bytes,
            "sha256": end.sha256,
            "uploaded_by": file.uploaded_by,
            "state": STORING,
            "created_time": now,
        }
        self._database.write(deadline, lambda connection: _announce(connection, row, end))
        is_there = is_published = False
        try:
            draft.publish()
            is_published = True
            response = self._database.write(
                deadline, lambda connection: _store(connection, row, end, now)
            )
            is_there = not response.replayed
            return response
        finally:
            if not is_there:
                self._removal.give_up(file.id, is_settled=is_published)


@contextmanager
def _discarded_if_left(draft: Draft) -> Iterator[Draft]:
    """Take a draft away at the end of the block; one that was published is none any more."""
    try:
        yield draft
    finally:
        draft.discard()


def _announce(connection: Connection, row: dict[str, Any], end: FileEnd) -> None:
    """Make the row, not yet there for anybody, if the user has room for it.

    Raises:
        AppError: EXISTS/ALREADY_EXISTS; CONFLICT/QUOTA_EXCEEDED.
    """
    try:
        connection.execute(insert(files).values(row))
    except IntegrityError as error:
        if duplicates(error, files, "id"):
            raise AppError(
                Kind.EXISTS, "ALREADY_EXISTS", "A file with this id already exists."
            ) from error
        raise
    take_room(connection, row["uploaded_by"], row["size_bytes"], end.quota_bytes)


def _store(
    connection: Connection, row: dict[str, Any], end: FileEnd, now: datetime
) -> CreateFileResponse:
    """Have the file be there, or return the one that the key was used for before.

    Raises:
        AppError: UNAVAILABLE/SERVICE_UNAVAILABLE, when it was swept meanwhile; what `once` raises.
    """

    def make() -> CreateFileResponse:
        waiting = update(files).where(files.c.id == row["id"], files.c.state == STORING)
        if not connection.execute(waiting.values(state=STORED)).rowcount:
            raise unavailable()
        append_events(connection, end.events, now)
        return CreateFileResponse(file=file_from_row(row))

    return once(connection, end.key, now, make, CreateFileResponse)
