"""FileService over its use cases."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from arcana.service.v1 import file_service_pb2 as pb
from arcana.service.v1 import file_service_pb2_grpc
from service_tier.conversion.files import extent_from_proto, file_to_proto, sent_file_from_proto
from service_tier.conversion.paging import page_from_request
from service_tier.usecases.files import Files
from service_tier.usecases.uploads import Uploads
from tier_runtime.context import rpc_context
from tier_runtime.validation import require


class FileServicer(file_service_pb2_grpc.FileServiceServicer):
    """Files."""

    def __init__(self, files: Files, uploads: Uploads) -> None:
        self._files = files
        self._uploads = uploads

    def UploadFile(
        self,
        request_iterator: Iterator[pb.UploadFileRequest],
        context: grpc.ServicerContext,
    ) -> pb.UploadFileResponse:
        """Take a file in."""
        sent = sent_file_from_proto(request_iterator)
        made = self._uploads.upload(rpc_context(context).call, sent)
        return pb.UploadFileResponse(file=file_to_proto(made.file), replayed=made.replayed)

    def GetFile(
        self, request: pb.GetFileRequest, context: grpc.ServicerContext
    ) -> pb.GetFileResponse:
        """Tell of one file."""
        require(request, "file_id")
        file = self._files.get(rpc_context(context).call, request.file_id)
        return pb.GetFileResponse(file=file_to_proto(file))

    def ListFiles(
        self, request: pb.ListFilesRequest, context: grpc.ServicerContext
    ) -> pb.ListFilesResponse:
        """List files page by page."""
        page = page_from_request(request.page)
        listed = self._files.list(rpc_context(context).call, page)
        return pb.ListFilesResponse.FromString(listed.SerializeToString())

    def GetDownload(
        self, request: pb.GetDownloadRequest, context: grpc.ServicerContext
    ) -> pb.GetDownloadResponse:
        """Tell how to download a file."""
        require(request, "file_id")
        download = self._files.get_download(rpc_context(context).call, request.file_id)
        return pb.GetDownloadResponse.FromString(download.SerializeToString())

    def DownloadFile(
        self, request: pb.DownloadFileRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.DownloadFileResponse]:
        """Stream the bytes of a file."""
        require(request, "file_id")
        extent = extent_from_proto(request)
        call = rpc_context(context).call
        for chunk in self._files.download(call, request.file_id, extent):
            yield pb.DownloadFileResponse(chunk=chunk)

    def DeleteFile(
        self, request: pb.DeleteFileRequest, context: grpc.ServicerContext
    ) -> pb.DeleteFileResponse:
        """Delete a file."""
        require(request, "file_id")
        self._files.delete(rpc_context(context).call, request.file_id)
        return pb.DeleteFileResponse()
