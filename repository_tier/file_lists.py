"""Files as they are read: from the database, never from a cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import file_pb2, file_repository_pb2
from repository_tier.blobs.store import BlobStore, MissingBlobError
from repository_tier.database import Database
from repository_tier.file_rows import STORED, file_from_row, file_not_found, read_file
from repository_tier.paging import Order, Page, list_page, walked
from repository_tier.tables import files
from repository_tier.totals import Totals
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError
from tier_runtime.logs import get_logger
from tier_runtime.timestamps import timestamp_from
from tier_runtime.validation import invalid


@dataclass(frozen=True, slots=True)
class Extent:
    """A part of a file's bytes; a length of 0 means up to the end."""

    offset: int
    length: int


class FileLists:
    """Reads files, their rows and their bytes."""

    def __init__(self, database: Database, blobs: BlobStore, totals: Totals, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._totals = totals
        self._clock = clock

    def get(self, file_id: str, deadline: Deadline) -> file_pb2.File:
        """Return what is known of a file.

        Raises:
            AppError: MISSING/FILE_NOT_FOUND.
        """
        return self._database.read(deadline, lambda connection: read_file(connection, file_id))

    def list(
        self, uploaded_by: str, page: Page, deadline: Deadline, *, descending: bool
    ) -> tuple[Sequence[file_pb2.File], paging_pb2.PageResult]:
        """Return one page of a user's files, or of everybody's where no user is named.

        Raises:
            AppError: INVALID/VALIDATION_FAILED, for a cursor of another list.
        """
        rows = select(files).where(files.c.state == STORED)
        fixed = [files.c.state]
        if uploaded_by:
            rows = rows.where(files.c.uploaded_by == uploaded_by)
            fixed.append(files.c.uploaded_by)
        walk = walked(Order(files.c.created_time, files.c.id, datetime, descending), fixed)

        def work(
            connection: Connection,
        ) -> tuple[Sequence[file_pb2.File], paging_pb2.PageResult]:
            digest = uploaded_by.encode()
            found = list_page(connection, rows, walk, page, digest, totals=self._totals)
            return [file_from_row(row) for row in found.rows], found.place

        return self._database.read(deadline, work)

    def read(self, file_id: str, extent: Extent, deadline: Deadline) -> Iterator[bytes]:
        """Yield the bytes of a part of a file.

        Raises:
            AppError: MISSING/FILE_NOT_FOUND; INVALID/VALIDATION_FAILED, when the part begins
                behind the file's end.
        """
        file = self.get(file_id, deadline)
        if extent.offset > file.size_bytes:
            raise invalid({"offset": [f"The file has {file.size_bytes} bytes."]})
        left = file.size_bytes - extent.offset
        length = min(extent.length or left, left)
        try:
            yield from self._blobs.read(file.id, extent.offset, length)
        except MissingBlobError as error:
            raise self._without_bytes(file, deadline) from error

    def signed(
        self, file_id: str, lifetime: timedelta, deadline: Deadline
    ) -> file_repository_pb2.SignDownloadUrlResponse:
        """Return a URL of a file, where the blob store has such, and until when it is good.

        Raises:
            AppError: MISSING/FILE_NOT_FOUND.
        """
        file = self.get(file_id, deadline)
        seconds = int(lifetime.total_seconds())
        url = self._blobs.signed_url(file.id, file.filename, file.content_type, seconds)
        return file_repository_pb2.SignDownloadUrlResponse(
            file=file, url=url, expire_time=timestamp_from(self._clock.now() + lifetime)
        )

    def _without_bytes(self, file: file_pb2.File, deadline: Deadline) -> AppError:
        """Return the error of bytes that are not there.

        The file was deleted at this moment, or somebody has been at the blob store.

        Raises:
            AppError: MISSING/FILE_NOT_FOUND.
        """
        self.get(file.id, deadline)
        get_logger(__name__).error("blob_missing", file_id=file.id)
        return file_not_found()
