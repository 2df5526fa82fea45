"""Files: the rows below /files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from flask import Response, request

from arcana.service.v1 import file_service_pb2 as pb
from arcana.service.v1.file_pb2 import File
from controller_tier.conditional import expected_version
from controller_tier.conversion.files import file_document, file_path, list_files_request
from controller_tier.conversion.paging import page_document
from controller_tier.documents import (
    conditional_answer,
    created_answer,
    empty_answer,
    json_answer,
)
from controller_tier.download_links import DownloadLinks
from controller_tier.file_answers import (
    Part,
    content_answer,
    has_content,
    part_of,
    unchanged_answer,
    whole_or_broken_off,
)
from controller_tier.idempotency import idempotency_key
from controller_tier.multipart import SentFile, sent_file
from controller_tier.operations import Fields
from controller_tier.request_scope import call_of_request, current_exchange
from controller_tier.schemas.files import FILE_FIELD, MAX_FILE_BYTES
from controller_tier.stubs import FileStub
from controller_tier.transfers import Transfers
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import datetime_from
from tier_runtime.upstream import Upstream

# A file never changes, so it has no other one.
VERSION = 1


class FileViews:
    """The views of files."""

    def __init__(
        self,
        files: FileStub,
        links: DownloadLinks,
        transfers: Transfers,
        clock: Clock,
        *,
        require_if_match: bool,
    ) -> None:
        self._files = files
        self._links = links
        self._transfers = transfers
        self._clock = clock
        self._require_if_match = require_if_match

    def upload(self) -> Response:
        """Take a file in, while it comes."""
        key = idempotency_key()
        transfer = self._transfers.begin()
        try:
            with transfer.scope() as call:
                sent = sent_file(request, FILE_FIELD, MAX_FILE_BYTES, call.deadline)
                made = self._passed_on(sent, key, call)
        finally:
            transfer.end()
        return created_answer(
            file_document(made.file), VERSION, file_path(made.file.id), replayed=made.replayed
        )

    def list_files(self, query: Fields) -> Response:
        """Show one page of files."""
        found = self._files.ListFiles(list_files_request(query))
        items = [file_document(file) for file in found.files]
        return json_answer(page_document(items, found.page, query))

    def get_file(self, file_id: str) -> Response:
        """Show what is known of a file."""
        found = self._files.GetFile(pb.GetFileRequest(file_id=file_id))
        return conditional_answer(file_document(found.file), VERSION)

    def get_download(self, file_id: str) -> Response:
        """Show a link by which a file can be downloaded for a while."""
        found = self._files.GetDownload(pb.GetDownloadRequest(file_id=file_id))
        until = datetime_from(found.expire_time) or self._clock.now()
        url = found.url
        if not url:
            token = self._links.token_for(found.file.id, found.file.uploaded_by, until)
            path = f"{file_path(found.file.id)}/content".removeprefix("/")
            url = f"{request.url_root}{path}?token={token}"
        seconds = math.ceil((until - self._clock.now()).total_seconds())
        return json_answer({"download_url": url, "expires_in": max(seconds, 0)})

    def get_content(self, file_id: str, query: Fields) -> Response:
        """Give out a file, or a part of it, to whoever follows a link to it."""
        owner = self._links.owner_of(file_id, query["token"])
        with call_scope(replace(call_of_request(), actor=Actor(owner))):
            file = self._files.GetFile(pb.GetFileRequest(file_id=file_id)).file
            if has_content(request, file):
                return unchanged_answer(file)
            part = part_of(request, file)
            if part is None:
                current_exchange().headers["Content-Range"] = f"bytes */{file.size_bytes}"
                raise AppError(
                    Kind.INVALID,
                    "RANGE_NOT_SATISFIABLE",
                    f"The file has {file.size_bytes} bytes.",
                )
            if request.method == "HEAD":
                return content_answer(file, part, ())
            return self._streamed(file, part)

    def delete_file(self, file_id: str) -> Response:
        """Delete a file."""
        version = expected_version(lambda: VERSION, required=self._require_if_match)
        if version not in {None, VERSION}:
            raise AppError(Kind.STALE, "PRECONDITION_FAILED", "The file has no such version.")
        self._files.DeleteFile(pb.DeleteFileRequest(file_id=file_id))
        return empty_answer()

    def _passed_on(self, sent: SentFile, key: str, call: Call) -> pb.UploadFileResponse:
        start = pb.UploadFileStart(request_id=key, filename=sent.filename)
        with Upstream(self._files.UploadFile, call.deadline) as upstream:
            upstream.send(pb.UploadFileRequest(start=start))
            for chunk in sent.chunks:
                if not upstream.send(pb.UploadFileRequest(chunk=chunk)):
                    break
            else:
                upstream.send(pb.UploadFileRequest(end=pb.UploadFileEnd()))
            # Where it was not taken to its end, this says why.
            return upstream.finish()

    def _streamed(self, file: File, part: Part) -> Response:
        transfer = self._transfers.begin()
        try:
            with transfer.scope():
                wanted = pb.DownloadFileRequest(
                    file_id=file.id, offset=part.offset, length=part.length
                )
                answers = self._files.DownloadFile(wanted)
                # With the first one in hand, an error before it has an answer of its own.
                first = next(answers).chunk
        except BaseException:
            transfer.end()
            raise
        chunks: Iterator[bytes] = chain([first], (answer.chunk for answer in answers))
        answer = content_answer(file, part, whole_or_broken_off(chunks, part.length))
        answer.call_on_close(transfer.end)
        # Who leaves midway does not want the rest.
        answer.call_on_close(answers.cancel)
        return answer
