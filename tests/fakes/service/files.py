"""FileService in memory. It looks at no content: that is not the edge's business."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from datetime import timedelta

from arcana.service.v1 import file_service_pb2 as pb
from arcana.service.v1.file_pb2 import File
from tests.fakes.service.memory import FakeServiceTier, require_signed_in
from tests.fakes.service.pages import page_of
from tests.fakes.streams import Receiving, Sending
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import timestamp_from
from tier_runtime.whole_streams import in_order

LINK_SECONDS = 300
CHUNK = 1000


class FakeFiles:
    def __init__(self, tier: FakeServiceTier) -> None:
        self._tier = tier

    @property
    def UploadFile(self) -> Sending:
        return Sending(self._upload)

    def GetFile(self, request: pb.GetFileRequest) -> pb.GetFileResponse:
        actor = self._tier.enter("GetFile", request)
        return pb.GetFileResponse(file=self._visible(actor, request.file_id))

    def ListFiles(self, request: pb.ListFilesRequest) -> pb.ListFilesResponse:
        actor = self._tier.enter("ListFiles", request)
        own = require_signed_in(actor)
        found = [
            file
            for file, _ in self._tier.files.values()
            if "admin" in actor.roles or file.uploaded_by == own
        ]
        found.sort(key=lambda file: file.id, reverse=request.page.descending)
        files, result = page_of(found, request.page)
        return pb.ListFilesResponse(files=files, page=result)

    def GetDownload(self, request: pb.GetDownloadRequest) -> pb.GetDownloadResponse:
        actor = self._tier.enter("GetDownload", request)
        file = self._visible(actor, request.file_id)
        until = self._tier.clock.now() + timedelta(seconds=LINK_SECONDS)
        return pb.GetDownloadResponse(
            file=file, url=self._tier.download_url, expire_time=timestamp_from(until)
        )

    def DownloadFile(self, request: pb.DownloadFileRequest) -> Receiving:
        actor = self._tier.enter("DownloadFile", request)
        self._visible(actor, request.file_id)
        return Receiving(self._chunks(request))

    def DeleteFile(self, request: pb.DeleteFileRequest) -> pb.DeleteFileResponse:
        actor = self._tier.enter("DeleteFile", request)
        del self._tier.files[self._visible(actor, request.file_id).id]
        return pb.DeleteFileResponse()

    def _upload(self, messages: Iterator[pb.UploadFileRequest]) -> pb.UploadFileResponse:
        parts = in_order(messages)
        start = next(parts).start
        user_id = require_signed_in(self._tier.enter("UploadFile", start))
        content = b"".join(part.chunk for part in parts)
        answer: pb.UploadFileResponse = self._tier.once(
            "UploadFile", start, lambda: self._made(user_id, start.filename, content)
        )
        return answer

    def _made(self, user_id: str, filename: str, content: bytes) -> pb.UploadFileResponse:
        file = File(
            id=self._tier.new_id(),
            filename=filename,
            content_type="image/png",
            size_bytes=len(content),
            sha256=hashlib.sha256(content).digest(),
            uploaded_by=user_id,
            created_time=timestamp_from(self._tier.clock.now()),
        )
        self._tier.files[file.id] = (file, content)
        return pb.UploadFileResponse(file=file)

    def _chunks(self, request: pb.DownloadFileRequest) -> Generator[pb.DownloadFileResponse]:
        _, content = self._tier.files[request.file_id]
        end = request.offset + request.length if request.length else len(content)
        for start in range(request.offset, end, CHUNK):
            self._tier.before("DownloadFile.chunk")
            yield pb.DownloadFileResponse(chunk=content[start : min(start + CHUNK, end)])

    def _visible(self, actor: Actor, file_id: str) -> File:
        own = require_signed_in(actor)
        file, _ = self._tier.files.get(file_id, (None, b""))
        if file is None or ("admin" not in actor.roles and file.uploaded_by != own):
            raise AppError(Kind.MISSING, "FILE_NOT_FOUND", "There is no such file.")
        return file
