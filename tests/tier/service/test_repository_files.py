"""What the service tier relies on about files: the fake repository tier and the real one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import file_pb2, idempotency_pb2
from arcana.repository.v1 import file_repository_pb2 as pb
from tests.tier.repository.file_flow import upload
from tests.tier.service.contract_requests import Kept
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import datetime_from

CONTENT = bytes(range(256)) * 20
OWNER, OTHER = "019aa000-0000-7000-8000-00000000000a", "019aa000-0000-7000-8000-00000000000b"


def parts(kept: Kept, content: bytes = CONTENT, **fields: Any) -> Iterator[pb.CreateFileRequest]:
    return upload(kept, content, 1500, **{"uploaded_by": OWNER} | fields)


def made(kept: Kept, **fields: Any) -> file_pb2.File:
    return kept.files.CreateFile(parts(kept, **fields)).file


def once(word: str, fingerprint: bytes = b"f" * 32) -> idempotency_pb2.IdempotencyKey:
    return idempotency_pb2.IdempotencyKey(scope="system:Test", key=word, fingerprint=fingerprint)


def failure(call: Any, request: Any) -> tuple[Kind, str]:
    def answered() -> None:
        answer = call(request)
        if not hasattr(answer, "DESCRIPTOR"):
            list(answer)

    with pytest.raises(AppError) as caught:
        answered()
    return caught.value.kind, caught.value.code


def test_a_file_is_as_it_was_sent(kept: Kept) -> None:
    event = kept.event("file.uploaded")
    file = made(kept, events=[event])
    assert (file.filename, file.size_bytes, file.uploaded_by) == ("notes.pdf", len(CONTENT), OWNER)
    assert file.sha256 == hashlib.sha256(CONTENT).digest()
    assert datetime_from(file.created_time) == kept.clock.now()
    assert kept.files.GetFile(pb.GetFileRequest(file_id=file.id)).file == file
    for offset, length in ((0, 0), (1000, 3000), (len(CONTENT) - 1, 9), (len(CONTENT), 0)):
        request = pb.ReadFileRequest(file_id=file.id, offset=offset, length=length)
        read = b"".join(answer.chunk for answer in kept.files.ReadFile(request))
        assert read == CONTENT[offset : offset + length if length else None]
    behind = pb.ReadFileRequest(file_id=file.id, offset=len(CONTENT) + 1)
    assert failure(kept.files.ReadFile, behind) == (Kind.INVALID, "VALIDATION_FAILED")


def test_a_file_is_made_once_for_each_key(kept: Kept) -> None:
    key = once("k")
    first = kept.files.CreateFile(parts(kept, idempotency_key=key))
    again = kept.files.CreateFile(parts(kept, idempotency_key=key))
    assert (first.replayed, again.replayed, again.file) == (False, True, first.file)
    other = once("k", b"o" * 32)
    reused = failure(kept.files.CreateFile, parts(kept, idempotency_key=other))
    assert reused == (Kind.INVALID, "IDEMPOTENCY_KEY_REUSED")


def test_a_stream_that_is_not_whole_makes_nothing(kept: Kept) -> None:
    whole = list(parts(kept))
    for cut in (whole[:-1], whole[1:], []):
        malformed = failure(kept.files.CreateFile, iter(cut))
        assert malformed == (Kind.INVALID, "MALFORMED_BODY")
    short = failure(kept.files.CreateFile, parts(kept, size_bytes=5))
    assert short == (Kind.INVALID, "VALIDATION_FAILED")
    assert not kept.files.ListFiles(pb.ListFilesRequest()).files


def test_an_id_is_taken_once(kept: Kept) -> None:
    file = made(kept)
    taken = failure(kept.files.CreateFile, parts(kept, file_id=file.id))
    assert taken == (Kind.EXISTS, "ALREADY_EXISTS")


def test_a_quota_is_each_user_s_own(kept: Kept) -> None:
    quota: dict[str, Any] = {"quota_bytes": 2 * len(CONTENT)}
    first = made(kept, **quota)
    made(kept, **quota)
    full = (Kind.CONFLICT, "QUOTA_EXCEEDED")
    assert failure(kept.files.CreateFile, parts(kept, **quota)) == full
    made(kept, uploaded_by=OTHER, **quota)
    kept.files.DeleteFile(pb.DeleteFileRequest(file_id=first.id))
    made(kept, **quota)


def test_lists_are_by_user_and_in_the_order_of_time(kept: Kept) -> None:
    own = []
    for number in range(4):
        kept.clock.advance(1)
        file = made(kept, uploaded_by=OTHER if number == 2 else OWNER)
        own += [file] if number != 2 else []
    page = PageRequest(page_size=2, descending=True)
    wanted = pb.FileFilter(uploaded_by=OWNER)
    first = kept.files.ListFiles(pb.ListFilesRequest(filter=wanted, page=page))
    assert (list(first.files), first.page.total) == ([own[2], own[1]], 3)
    page.cursor = first.page.next_cursor
    rest = kept.files.ListFiles(pb.ListFilesRequest(filter=wanted, page=page))
    assert (list(rest.files), rest.page.next_cursor) == ([own[0]], "")
    assert len(kept.files.ListFiles(pb.ListFilesRequest()).files) == 4


def test_what_is_deleted_or_never_was_is_not_found(kept: Kept) -> None:
    file = made(kept)
    kept.files.DeleteFile(pb.DeleteFileRequest(file_id=file.id))
    missing = (Kind.MISSING, "FILE_NOT_FOUND")
    lifetime = Duration(seconds=60)
    for file_id in (file.id, kept.new_id()):
        assert failure(kept.files.GetFile, pb.GetFileRequest(file_id=file_id)) == missing
        assert failure(kept.files.ReadFile, pb.ReadFileRequest(file_id=file_id)) == missing
        assert failure(kept.files.DeleteFile, pb.DeleteFileRequest(file_id=file_id)) == missing
        signed = pb.SignDownloadUrlRequest(file_id=file_id, lifetime=lifetime)
        assert failure(kept.files.SignDownloadUrl, signed) == missing


def test_without_an_object_store_there_is_no_url_but_a_time(kept: Kept) -> None:
    file = made(kept)
    request = pb.SignDownloadUrlRequest(file_id=file.id, lifetime=Duration(seconds=60))
    signed = kept.files.SignDownloadUrl(request)
    assert (signed.file, signed.url) == (file, "")
    until = datetime_from(signed.expire_time)
    assert until is not None
    assert (until - kept.clock.now()).total_seconds() == 60


def test_a_sweep_that_finds_nothing_says_so(kept: Kept) -> None:
    swept = kept.files.SweepFiles(pb.SweepFilesRequest(min_age=Duration(seconds=3600)))
    assert swept == pb.SweepFilesResponse()
