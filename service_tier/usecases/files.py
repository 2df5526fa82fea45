"""Files: read, downloaded and deleted. How one is taken in is in `uploads`.

A file that is not the actor's own does not exist to it, unless it is an admin.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import file_pb2, file_repository_pb2
from service_tier.conversion.files import Extent
from service_tier.domain.permissions import is_admin, require_signed_in
from service_tier.events import Events
from service_tier.repository import Repository
from tier_runtime.call import Call
from tier_runtime.errors import AppError, Kind


class Files:
    """Reads and deletes files."""

    def __init__(
        self, repository: Repository, events: Events, *, download_lifetime: timedelta
    ) -> None:
        self._repository = repository
        self._events = events
        self._download_lifetime = Duration(seconds=int(download_lifetime.total_seconds()))

    def get(self, call: Call, file_id: str) -> file_pb2.File:
        """Return what is known of a file.

        Raises:
            AppError: as the contract names them.
        """
        require_signed_in(call.actor)
        request = file_repository_pb2.GetFileRequest(file_id=file_id)
        file = self._repository.files.GetFile(request).file
        if file.uploaded_by != call.actor.subject and not is_admin(call.actor):
            raise AppError(Kind.MISSING, "FILE_NOT_FOUND", "There is no such file.")
        return file

    def list(
        self, call: Call, page: paging_pb2.PageRequest
    ) -> file_repository_pb2.ListFilesResponse:
        """Return one page of the actor's files, or of everybody's to an admin.

        Raises:
            AppError: as the contract names them.
        """
        subject = require_signed_in(call.actor)
        uploaded_by = "" if is_admin(call.actor) else subject
        return self._repository.files.ListFiles(
            file_repository_pb2.ListFilesRequest(
                filter=file_repository_pb2.FileFilter(uploaded_by=uploaded_by), page=page
            )
        )

    def get_download(self, call: Call, file_id: str) -> file_repository_pb2.SignDownloadUrlResponse:
        """Return how the actor may have a file downloaded, and until when.

        Raises:
            AppError: as the contract names them.
        """
        file = self.get(call, file_id)
        return self._repository.files.SignDownloadUrl(
            file_repository_pb2.SignDownloadUrlRequest(
                file_id=file.id, lifetime=self._download_lifetime
            )
        )

    def download(self, call: Call, file_id: str, extent: Extent) -> Iterator[bytes]:
        """Yield the bytes of a part of a file.

        Raises:
            AppError: as the contract names them.
        """
        file = self.get(call, file_id)
        answers = self._repository.files.ReadFile(
            file_repository_pb2.ReadFileRequest(
                file_id=file.id, offset=extent.offset, length=extent.length
            )
        )
        try:
            for answer in answers:
                yield answer.chunk
        finally:
            # Who leaves midway does not want the rest.
            answers.cancel()

    def delete(self, call: Call, file_id: str) -> None:
        """Delete a file.

        Raises:
            AppError: as the contract names them.
        """
        file = self.get(call, file_id)
        event = self._events.file_deleted(call, file_id=file.id, user_id=file.uploaded_by)
        self._repository.files.DeleteFile(
            file_repository_pb2.DeleteFileRequest(file_id=file.id, events=[event])
        )
