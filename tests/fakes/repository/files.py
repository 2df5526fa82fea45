"""The file repository. Bytes are there as soon as their row is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import grpc

from arcana.repository.v1 import file_pb2, file_repository_pb2_grpc
from arcana.repository.v1 import file_repository_pb2 as pb
from tests.fakes.repository.listing import digest_of, page_of, time_key
from tests.fakes.repository.state import State, known_id
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import timestamp_from
from tier_runtime.validation import invalid
from tier_runtime.whole_streams import in_order

CHUNK = 1000


class FakeFiles(file_repository_pb2_grpc.FileRepositoryServicer):
    def __init__(self, state: State) -> None:
        self._state = state
        # Told to who asks for a URL, and to who sweeps: one answer after the other.
        self.url = ""
        self.swept: list[pb.SweepFilesResponse] = []
        # What an upload fails by as soon as it has begun.
        self.failure: AppError | None = None

    def CreateFile(
        self, request_iterator: Iterator[pb.CreateFileRequest], context: grpc.ServicerContext
    ) -> pb.CreateFileResponse:
        parts = in_order(request_iterator)
        start = next(parts).start
        if self.failure is not None:
            raise self.failure
        content, end = b"", pb.CreateFileEnd()
        for part in parts:
            content += part.chunk
            end = part.end
        if end.size_bytes != len(content):
            raise invalid({"size_bytes": ["Others have come."]})
        with self._state.lock:
            return self._state.once(end, lambda: self._kept(start, content, end))

    def GetFile(
        self, request: pb.GetFileRequest, context: grpc.ServicerContext
    ) -> pb.GetFileResponse:
        with self._state.lock:
            return pb.GetFileResponse(file=self._file(request.file_id)[0])

    def ListFiles(
        self, request: pb.ListFilesRequest, context: grpc.ServicerContext
    ) -> pb.ListFilesResponse:
        wanted = request.filter.uploaded_by
        with self._state.lock:
            found, place = page_of(
                (
                    file
                    for file, _ in self._state.files.values()
                    if wanted in {"", file.uploaded_by}
                ),
                lambda file: (*time_key(file.created_time), file.id),
                request.page,
                digest_of(request.filter, 0, request.page),
            )
            return pb.ListFilesResponse(files=found, page=place)

    def ReadFile(
        self, request: pb.ReadFileRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ReadFileResponse]:
        with self._state.lock:
            _, content = self._file(request.file_id)
        if request.offset > len(content):
            raise invalid({"offset": ["Behind the end."]})
        end = min(request.offset + request.length if request.length else len(content), len(content))
        for start in range(request.offset, end, CHUNK):
            yield pb.ReadFileResponse(chunk=content[start : min(start + CHUNK, end)])

    def SignDownloadUrl(
        self, request: pb.SignDownloadUrlRequest, context: grpc.ServicerContext
    ) -> pb.SignDownloadUrlResponse:
        lifetime = timedelta(seconds=request.lifetime.seconds)
        with self._state.lock:
            file, _ = self._file(request.file_id)
        until = self._state.clock.now() + lifetime
        return pb.SignDownloadUrlResponse(
            file=file, url=self.url, expire_time=timestamp_from(until)
        )

    def DeleteFile(
        self, request: pb.DeleteFileRequest, context: grpc.ServicerContext
    ) -> pb.DeleteFileResponse:
        with self._state.lock:
            del self._state.files[self._file(request.file_id)[0].id]
            self._state.events.extend(request.events)
        return pb.DeleteFileResponse()

    def SweepFiles(
        self, request: pb.SweepFilesRequest, context: grpc.ServicerContext
    ) -> pb.SweepFilesResponse:
        return self.swept.pop(0) if self.swept else pb.SweepFilesResponse()

    def _kept(
        self, start: pb.CreateFileStart, content: bytes, end: pb.CreateFileEnd
    ) -> pb.CreateFileResponse:
        if start.file_id in self._state.files:
            raise AppError(Kind.EXISTS, "ALREADY_EXISTS", "Taken.")
        used = sum(
            file.size_bytes
            for file, _ in self._state.files.values()
            if file.uploaded_by == start.uploaded_by
        )
        if used + end.size_bytes > end.quota_bytes:
            raise AppError(
                Kind.CONFLICT,
                "QUOTA_EXCEEDED",
                "No room.",
                quota_bytes=end.quota_bytes,
                used_bytes=used,
            )
        file = file_pb2.File(
            id=start.file_id,
            filename=start.filename,
            content_type=start.content_type,
            size_bytes=end.size_bytes,
            sha256=end.sha256,
            uploaded_by=start.uploaded_by,
            created_time=self._state.now(),
        )
        self._state.files[file.id] = (file, content)
        self._state.events.extend(end.events)
        return pb.CreateFileResponse(file=file)

    def _file(self, file_id: str) -> tuple[file_pb2.File, bytes]:
        found = self._state.files.get(known_id("file_id", file_id))
        if found is None:
            raise AppError(Kind.MISSING, "FILE_NOT_FOUND", "No such file.")
        return found
