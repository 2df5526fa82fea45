"""FileRepository: files, their rows and their bytes."""

from __future__ import annotations

from collections.abc import Iterator

from grpc import ServicerContext

from arcana.repository.v1 import file_repository_pb2 as messages
from arcana.repository.v1.file_repository_pb2_grpc import FileRepositoryServicer
from repository_tier.file_lists import FileLists
from repository_tier.file_removal import FileRemoval
from repository_tier.file_uploads import FileUploads
from repository_tier.outbox import events_from_proto
from repository_tier.paging import page_from_proto
from repository_tier.servicers import file_requests as requests
from repository_tier.servicers.user_requests import known_id
from tier_runtime.context import rpc_context
from tier_runtime.validation import require


class FileServicer(FileRepositoryServicer):
    """Each method checks presence, converts in, makes one call, and converts out."""

    def __init__(self, lists: FileLists, uploads: FileUploads, removal: FileRemoval) -> None:
        self._lists = lists
        self._uploads = uploads
        self._removal = removal

    def CreateFile(
        self, request_iterator: Iterator[messages.CreateFileRequest], context: ServicerContext
    ) -> messages.CreateFileResponse:
        file, parts = requests.upload_from_proto(request_iterator)
        return self._uploads.create(file, parts, rpc_context(context).deadline)

    def GetFile(
        self, request: messages.GetFileRequest, context: ServicerContext
    ) -> messages.GetFileResponse:
        require(request, "file_id")
        file_id = known_id("file_id", request.file_id)
        file = self._lists.get(file_id, rpc_context(context).deadline)
        return messages.GetFileResponse(file=file)

    def ListFiles(
        self, request: messages.ListFilesRequest, context: ServicerContext
    ) -> messages.ListFilesResponse:
        wanted = request.filter.uploaded_by
        uploaded_by = known_id("filter.uploaded_by", wanted) if wanted else ""
        page = page_from_proto(request.page)
        found, place = self._lists.list(
            uploaded_by, page, rpc_context(context).deadline, descending=request.page.descending
        )
        return messages.ListFilesResponse(files=found, page=place)

    def ReadFile(
        self, request: messages.ReadFileRequest, context: ServicerContext
    ) -> Iterator[messages.ReadFileResponse]:
        require(request, "file_id")
        file_id = known_id("file_id", request.file_id)
        extent = requests.extent_from_proto(request)
        for chunk in self._lists.read(file_id, extent, rpc_context(context).deadline):
            yield messages.ReadFileResponse(chunk=chunk)

    def SignDownloadUrl(
        self, request: messages.SignDownloadUrlRequest, context: ServicerContext
    ) -> messages.SignDownloadUrlResponse:
        require(request, "file_id", "lifetime")
        file_id = known_id("file_id", request.file_id)
        lifetime = requests.lifetime_from_proto(request)
        return self._lists.signed(file_id, lifetime, rpc_context(context).deadline)

    def DeleteFile(
        self, request: messages.DeleteFileRequest, context: ServicerContext
    ) -> messages.DeleteFileResponse:
        require(request, "file_id")
        file_id = known_id("file_id", request.file_id)
        events = events_from_proto(request.events)
        self._removal.delete(file_id, events, rpc_context(context).deadline)
        return messages.DeleteFileResponse()

    def SweepFiles(
        self, request: messages.SweepFilesRequest, context: ServicerContext
    ) -> messages.SweepFilesResponse:
        require(request, "min_age")
        min_age, limit = requests.sweep_from_proto(request)
        rows, drafts = self._removal.sweep(min_age, limit, rpc_context(context).deadline)
        return messages.SweepFilesResponse(row_count=rows, draft_count=drafts)
