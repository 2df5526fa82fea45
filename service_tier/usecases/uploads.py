"""Takes files in: checked while they come, in memory for a few chunks."""

from __future__ import annotations

from itertools import chain

from arcana.repository.v1 import file_pb2, file_repository_pb2
from service_tier.conversion.files import SentFile
from service_tier.domain.files import FileName, Measure, checked_content, file_name
from service_tier.domain.permissions import require_signed_in
from service_tier.events import Events
from service_tier.idempotency import IdempotencyKeys
from service_tier.repository import Repository
from tier_runtime.call import Call
from tier_runtime.ids import IdSource
from tier_runtime.upstream import Upstream


class Uploads:
    """Takes files in, for everybody who is signed in, up to the quota of each."""

    def __init__(
        self,
        repository: Repository,
        events: Events,
        ids: IdSource,
        idempotency: IdempotencyKeys,
        *,
        quota_bytes: int,
    ) -> None:
        self._repository = repository
        self._events = events
        self._ids = ids
        self._idempotency = idempotency
        self._quota_bytes = quota_bytes

    def upload(self, call: Call, sent: SentFile) -> file_repository_pb2.CreateFileResponse:
        """Keep a file whose stream comes to its end, once for each key.

        Raises:
            AppError: as the contract names them; nothing is kept then.
        """
        uploader = require_signed_in(call.actor)
        name = file_name(sent.filename)
        file_id = self._ids.new_id()
        measure = Measure()
        content = checked_content(sent.chunks, name.type)
        # What is refused by its first bytes never gets as far as the repository tier.
        first = next(content)
        with Upstream(self._repository.files.CreateFile, call.deadline) as upstream:
            upstream.send(_start(file_id, name, uploader))
            for chunk in chain([first], content):
                measure.add(chunk)
                if not upstream.send(file_repository_pb2.CreateFileRequest(chunk=chunk)):
                    break
            else:
                upstream.send(self._end(call, sent.request_id, file_id, name, measure))
            # Where it was not taken to its end, this says why.
            return upstream.finish()

    def _end(
        self, call: Call, request_id: str, file_id: str, name: FileName, measure: Measure
    ) -> file_repository_pb2.CreateFileRequest:
        content = file_pb2.File(filename=name.text, sha256=measure.sha256)
        event = self._events.file_uploaded(
            call, file_id=file_id, user_id=call.actor.subject, size_bytes=measure.size_bytes
        )
        return file_repository_pb2.CreateFileRequest(
            end=file_repository_pb2.CreateFileEnd(
                idempotency_key=self._idempotency.key_for(
                    call.actor, "UploadFile", request_id, content
                ),
                size_bytes=measure.size_bytes,
                sha256=measure.sha256,
                quota_bytes=self._quota_bytes,
                events=[event],
            )
        )


def _start(file_id: str, name: FileName, uploaded_by: str) -> file_repository_pb2.CreateFileRequest:
    return file_repository_pb2.CreateFileRequest(
        start=file_repository_pb2.CreateFileStart(
            file_id=file_id,
            filename=name.text,
            content_type=name.type.content_type,
            uploaded_by=uploaded_by,
        )
    )
