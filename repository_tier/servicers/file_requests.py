"""Requests of FileRepository, checked and in the terms of this tier.

Every function raises AppError INVALID/VALIDATION_FAILED with all faults of the request's fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from arcana.repository.v1 import file_repository_pb2 as messages
from repository_tier.field_checks import FieldChecks
from repository_tier.file_lists import Extent
from repository_tier.file_uploads import MAX_FILE_BYTES, FileEnd, NewFile
from repository_tier.outbox import events_from_proto
from repository_tier.servicers.once_keys import once_key_of
from tier_runtime.validation import require
from tier_runtime.whole_streams import in_order

MAX_FILENAME_CHARACTERS = 255
MAX_CONTENT_TYPE_CHARACTERS = 100
MAX_SIGNED_SECONDS = 7 * 86_400
MAX_AGE_SECONDS = 365 * 86_400
DEFAULT_SWEPT = 100
MAX_SWEPT = 1000
MAX_QUOTA_BYTES = 2**63 - 1


def upload_from_proto(
    sent: Iterable[messages.CreateFileRequest],
) -> tuple[NewFile, Iterator[bytes | FileEnd]]:
    """Return what an upload begins with, and the parts after that, of which the last is its end.

    Raises:
        AppError: INVALID/MALFORMED_BODY too, here or from the parts.
    """
    parts = in_order(sent)
    start = _start_from_proto(next(parts).start)
    return start, (
        part.chunk if part.HasField("chunk") else _end_from_proto(part.end) for part in parts
    )


def extent_from_proto(request: messages.ReadFileRequest) -> Extent:
    """Return which part of a file is wanted."""
    checks = FieldChecks()
    extent = Extent(
        checks.not_negative("offset", request.offset), checks.not_negative("length", request.length)
    )
    checks.done()
    return extent


def lifetime_from_proto(request: messages.SignDownloadUrlRequest) -> timedelta:
    """Return how long a URL is to be good."""
    checks = FieldChecks()
    lifetime = checks.span("lifetime", request.lifetime, 1, MAX_SIGNED_SECONDS)
    checks.done()
    return lifetime


def sweep_from_proto(request: messages.SweepFilesRequest) -> tuple[timedelta, int]:
    """Return how old what is taken away must be, and how much of it is at most."""
    checks = FieldChecks()
    min_age = checks.span("min_age", request.min_age, 0, MAX_AGE_SECONDS)
    limit = checks.between("limit", request.limit or DEFAULT_SWEPT, 1, MAX_SWEPT)
    checks.done()
    return min_age, limit


def _start_from_proto(start: messages.CreateFileStart) -> NewFile:
    require(start, "file_id", "filename", "content_type", "uploaded_by")
    checks = FieldChecks()
    file = NewFile(
        id=checks.new_id("file_id", start.file_id),
        filename=checks.text("filename", start.filename, MAX_FILENAME_CHARACTERS),
        content_type=checks.word("content_type", start.content_type, MAX_CONTENT_TYPE_CHARACTERS),
        uploaded_by=checks.known_id("uploaded_by", start.uploaded_by),
    )
    checks.done()
    return file


def _end_from_proto(end: messages.CreateFileEnd) -> FileEnd:
    key = once_key_of(end)
    checks = FieldChecks()
    found = FileEnd(
        key=key,
        size_bytes=checks.between("size_bytes", end.size_bytes, 1, MAX_FILE_BYTES),
        sha256=checks.sha256("sha256", end.sha256),
        quota_bytes=checks.between("quota_bytes", end.quota_bytes, 1, MAX_QUOTA_BYTES),
        events=events_from_proto(end.events),
    )
    checks.done()
    return found
