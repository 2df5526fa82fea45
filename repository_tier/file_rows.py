"""Single files as they are in the database, and rows to messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from arcana.repository.v1 import file_pb2
from repository_tier.tables import files
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import timestamp_from

# On its way in: its row is made, its bytes need not be where they stay.
STORING = "storing"
# There.
STORED = "stored"
# On its way out: its row is still there, its bytes need not be.
DELETING = "deleting"

Row = RowMapping | Mapping[str, Any]


def file_from_row(row: Row) -> file_pb2.File:
    """Return the file in a row of `files`, read or just written."""
    return file_pb2.File(
        id=row["id"],
        filename=row["filename"],
        content_type=row["content_type"],
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        uploaded_by=row["uploaded_by"],
        created_time=timestamp_from(row["created_time"]),
    )


def read_file(connection: Connection, file_id: str) -> file_pb2.File:
    """Return a file that is there.

    Raises:
        AppError: MISSING/FILE_NOT_FOUND.
    """
    wanted = select(files).where(files.c.id == file_id, files.c.state == STORED)
    row = connection.execute(wanted).mappings().first()
    if row is None:
        raise file_not_found()
    return file_from_row(row)


def file_not_found() -> AppError:
    """Return the error of a file that is not there."""
    return AppError(Kind.MISSING, "FILE_NOT_FOUND", "There is no such file.")
