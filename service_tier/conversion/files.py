"""Files, and what is sent and asked about them; see `conversion.products` on how messages cross."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from arcana.repository.v1 import file_pb2 as kept_file_pb2
from arcana.service.v1 import file_pb2, file_service_pb2
from service_tier.domain.faults import refuse_faults
from tier_runtime.whole_streams import in_order


@dataclass(frozen=True, slots=True)
class SentFile:
    """An upload that has begun; its chunks come while they are asked for.

    They raise AppError INVALID/MALFORMED_BODY, where the stream has no end.
    """

    request_id: str
    filename: str
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Extent:
    """A part of a file's bytes; a length of 0 means up to the end."""

    offset: int
    length: int


def file_to_proto(file: kept_file_pb2.File) -> file_pb2.File:
    """Return a file as this tier's contract has it."""
    return file_pb2.File.FromString(file.SerializeToString())


def sent_file_from_proto(messages: Iterable[file_service_pb2.UploadFileRequest]) -> SentFile:
    """Return an upload, of which the first message is read.

    Raises:
        AppError: INVALID/MALFORMED_BODY, when it is not a start.
    """
    parts = in_order(messages)
    start = next(parts).start
    chunks = (part.chunk for part in parts if part.HasField("chunk"))
    return SentFile(start.request_id, start.filename, chunks)


def extent_from_proto(request: file_service_pb2.DownloadFileRequest) -> Extent:
    """Return which part of a file is wanted.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, when there can be no such part.
    """
    refuse_faults(
        {
            field: ["Must be 0 or more."] if value < 0 else []
            for field, value in (("offset", request.offset), ("length", request.length))
        }
    )
    return Extent(request.offset, request.length)
