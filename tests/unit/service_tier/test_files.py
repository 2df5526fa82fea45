"""Files: taken in, read, downloaded and deleted, over the fake repository tier."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.service.v1 import file_pb2
from arcana.service.v1 import file_service_pb2 as pb
from tests.unit.service_tier.harness import ADMIN, Harness
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import datetime_from

OWNER = Actor("019aa000-0000-7000-8000-000000000001", frozenset({"user"}))
STRANGER = Actor("019aa000-0000-7000-8000-000000000002", frozenset({"user"}))
NOBODY = Actor()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(9000)
MISSING = "019aa000-0000-7000-8000-00000000ffff"


def messages(
    content: bytes = PNG, filename: str = "photo.png", size: int = 2000, key: str = ""
) -> Iterator[pb.UploadFileRequest]:
    yield pb.UploadFileRequest(start=pb.UploadFileStart(filename=filename, request_id=key))
    for at in range(0, len(content), size):
        yield pb.UploadFileRequest(chunk=content[at : at + size])
    yield pb.UploadFileRequest(end=pb.UploadFileEnd())


def uploaded(harness: Harness, actor: Actor = OWNER, content: bytes = PNG) -> file_pb2.File:
    with harness.acting(actor):
        return harness.files.UploadFile(messages(content)).file


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(AppError) as caught:
        call()
    return caught.value.code


def test_an_upload_is_kept_with_its_size_digest_and_event(harness: Harness) -> None:
    file = uploaded(harness)
    assert (file.filename, file.content_type) == ("photo.png", "image/png")
    assert (file.size_bytes, file.sha256) == (len(PNG), hashlib.sha256(PNG).digest())
    assert file.uploaded_by == OWNER.subject
    assert harness.repository.state.files[file.id][1] == PNG
    (event,) = harness.events("file.uploaded")
    assert (event.aggregate_type, event.aggregate_id) == ("file", file.id)
    assert event.payload == {
        "file_id": file.id,
        "user_id": OWNER.subject,
        "size_bytes": str(len(PNG)),
    }


def test_an_upload_happens_once_for_each_key(harness: Harness) -> None:
    with harness.acting(OWNER):
        first = harness.files.UploadFile(messages(key="k"))
        # However it was cut into pieces.
        again = harness.files.UploadFile(messages(size=333, key="k"))
        assert (first.replayed, again.replayed) == (False, True)
        assert again.file == first.file
        for other in (messages(PNG + b"x", key="k"), messages(filename="other.png", key="k")):
            reused = code_of(partial(harness.files.UploadFile, other))
            assert reused == "IDEMPOTENCY_KEY_REUSED"
    with harness.acting(STRANGER):
        assert not harness.files.UploadFile(messages(key="k")).replayed


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"filename": "run.exe"}, "UNSUPPORTED_MEDIA_TYPE"),
        ({"filename": ""}, "VALIDATION_FAILED"),
        ({"content": b"<html></html>"}, "VALIDATION_FAILED"),
        ({"content": b""}, "VALIDATION_FAILED"),
        ({"key": "\n"}, "VALIDATION_FAILED"),
    ],
)
def test_what_is_refused_leaves_nothing(
    harness: Harness, sent: dict[str, object], code: str
) -> None:
    with harness.acting(OWNER):
        refused = messages(**sent)  # type: ignore[arg-type]  # each its own
        assert code_of(lambda: harness.files.UploadFile(refused)) == code
    assert not harness.repository.state.files
    assert not harness.repository.state.events


def test_what_its_first_bytes_refuse_never_reaches_the_repository_tier(harness: Harness) -> None:
    with harness.acting(OWNER):
        assert code_of(lambda: harness.files.UploadFile(messages(b"<html>"))) == "VALIDATION_FAILED"
    assert "CreateFile" not in harness.channel.calls


def test_one_byte_too_many_ends_the_upload_before_the_rest_is_read(harness: Harness) -> None:
    read: list[int] = []

    def endless() -> Iterator[pb.UploadFileRequest]:
        yield pb.UploadFileRequest(start=pb.UploadFileStart(filename="photo.png"))
        yield pb.UploadFileRequest(chunk=PNG.ljust(1 << 19, b"\x00"))
        while True:
            read.append(1)
            yield pb.UploadFileRequest(chunk=bytes(1 << 19))

    with harness.acting(OWNER):
        assert code_of(lambda: harness.files.UploadFile(endless())) == "BODY_TOO_LARGE"
    assert len(read) == 20
    assert not harness.repository.state.files


def test_a_stream_without_its_end_is_no_upload(harness: Harness) -> None:
    with harness.acting(OWNER):
        cut = list(messages())[:-1]
        assert code_of(lambda: harness.files.UploadFile(iter(cut))) == "MALFORMED_BODY"
        assert code_of(lambda: harness.files.UploadFile(iter(cut[1:]))) == "MALFORMED_BODY"
    assert not harness.repository.state.files


def test_a_repository_tier_that_wants_no_more_is_listened_to(harness: Harness) -> None:
    harness.repository.files.failure = AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Full.")
    with harness.acting(OWNER):
        sent = messages(PNG.ljust(1 << 20, b"\x00"))
        assert code_of(lambda: harness.files.UploadFile(sent)) == "SERVICE_UNAVAILABLE"
    # Not all of it was read.
    assert next(sent, None) is not None


def test_files_of_a_user_fit_into_its_quota(tmp_path: Path) -> None:
    harness = Harness(tmp_path, file_quota_bytes=2 * len(PNG))
    uploaded(harness)
    uploaded(harness)
    with harness.acting(OWNER):
        assert code_of(lambda: harness.files.UploadFile(messages())) == "QUOTA_EXCEEDED"
    uploaded(harness, STRANGER)


def test_only_who_is_signed_in_uploads_and_lists(harness: Harness) -> None:
    with harness.acting(NOBODY):
        assert code_of(lambda: harness.files.UploadFile(messages())) == "UNAUTHENTICATED"
        listed = pb.ListFilesRequest()
        assert code_of(lambda: harness.files.ListFiles(listed)) == "UNAUTHENTICATED"


def test_a_file_is_there_for_its_owner_and_for_admins(harness: Harness) -> None:
    file = uploaded(harness)
    calls: list[Callable[[], object]] = [
        lambda: harness.files.GetFile(pb.GetFileRequest(file_id=file.id)),
        lambda: harness.files.GetDownload(pb.GetDownloadRequest(file_id=file.id)),
        lambda: list(harness.files.DownloadFile(pb.DownloadFileRequest(file_id=file.id))),
        lambda: harness.files.DeleteFile(pb.DeleteFileRequest(file_id=file.id)),
    ]
    for call in calls:
        with harness.acting(STRANGER):
            assert code_of(call) == "FILE_NOT_FOUND"
        with harness.acting(NOBODY):
            assert code_of(call) == "UNAUTHENTICATED"
    for actor in (ADMIN, OWNER):
        with harness.acting(actor):
            assert harness.files.GetFile(pb.GetFileRequest(file_id=file.id)).file == file
    with harness.acting(ADMIN):
        missing = pb.GetFileRequest(file_id=MISSING)
        assert code_of(lambda: harness.files.GetFile(missing)) == "FILE_NOT_FOUND"


def test_lists_are_one_s_own_or_everybody_s_to_an_admin(harness: Harness) -> None:
    mine, other = uploaded(harness), uploaded(harness, STRANGER)

    def listed(actor: Actor) -> list[str]:
        with harness.acting(actor):
            page = PageRequest(page_size=5)
            answer = harness.files.ListFiles(pb.ListFilesRequest(page=page))
        return [file.id for file in answer.files]

    assert listed(OWNER) == [mine.id]
    assert listed(STRANGER) == [other.id]
    assert sorted(listed(ADMIN)) == sorted([mine.id, other.id])


def test_a_download_is_a_part_of_the_file_in_order(harness: Harness) -> None:
    file = uploaded(harness)

    def read(offset: int = 0, length: int = 0) -> bytes:
        wanted = pb.DownloadFileRequest(file_id=file.id, offset=offset, length=length)
        with harness.acting(OWNER):
            return b"".join(answer.chunk for answer in harness.files.DownloadFile(wanted))

    assert read() == PNG
    assert read(2, 6) == PNG[2:8]
    assert read(9000) == PNG[9000:]
    for offset, length in ((-1, 0), (0, -1)):
        assert code_of(partial(read, offset, length)) == "VALIDATION_FAILED"


def test_who_leaves_a_download_midway_ends_it(harness: Harness) -> None:
    file = uploaded(harness)
    with harness.acting(OWNER):
        answers = harness.files.DownloadFile(pb.DownloadFileRequest(file_id=file.id))
        assert next(answers).chunk == PNG[:1000]
        answers.cancel()
        assert list(answers) == []


def test_a_download_has_a_url_where_the_store_signs_one(harness: Harness) -> None:
    file = uploaded(harness)
    asked = pb.GetDownloadRequest(file_id=file.id)
    with harness.acting(OWNER):
        found = harness.files.GetDownload(asked)
        assert (found.file, found.url) == (file, "")
        until = datetime_from(found.expire_time)
        assert until is not None
        assert (until - harness.clock.now()).total_seconds() == 300
        harness.repository.files.url = "https://bucket.example/x?signature=y"
        assert harness.files.GetDownload(asked).url == harness.repository.files.url


def test_a_deleted_file_is_gone_and_told_of(harness: Harness) -> None:
    file = uploaded(harness)
    with harness.acting(ADMIN):
        harness.files.DeleteFile(pb.DeleteFileRequest(file_id=file.id))
    with harness.acting(OWNER):
        again = pb.DeleteFileRequest(file_id=file.id)
        assert code_of(lambda: harness.files.DeleteFile(again)) == "FILE_NOT_FOUND"
    (event,) = harness.events("file.deleted")
    assert event.payload == {"file_id": file.id, "user_id": OWNER.subject}
    assert event.actor_subject == ADMIN.subject
