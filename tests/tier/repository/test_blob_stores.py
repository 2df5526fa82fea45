"""Both places for bytes do the same: a folder, and an object store."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from repository_tier.blobs.folder import FolderBlobs
from repository_tier.blobs.s3 import (
    PART_BYTES,
    READ_SECONDS,
    REMOVAL_SECONDS,
    S3Blobs,
    connect_s3,
)
from repository_tier.blobs.store import CHUNK_BYTES, BlobStore, MissingBlobError
from tests.tier.repository.object_store import (
    BUCKET,
    CREDENTIALS,
    ObjectStore,
    blobs_at,
    running_object_store,
)
from tier_runtime.errors import AppError, Kind
from tier_runtime.startup import StartupError

NAME = "019aa000-0000-7000-8000-000000000001"
OTHER = "019aa000-0000-7000-8000-000000000002"
SMALL = bytes(range(256)) * 10
# Two whole parts and a rest.
LARGE = bytes(range(251)) * (2 * PART_BYTES // 251 + 1000)


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        with running_object_store() as store:
            yield store


@pytest.fixture
def emptied(object_store: ObjectStore) -> ObjectStore:
    object_store.empty()
    return object_store


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    store: BlobStore
    if request.param == "folder":
        store = FolderBlobs.open(tmp_path / "blobs")
    else:
        store = request.getfixturevalue("emptied").blobs()
    yield store
    store.close()


def keep(blobs: BlobStore, name: str, content: bytes) -> None:
    draft = blobs.draft(name)
    for at in range(0, len(content), CHUNK_BYTES):
        draft.write(content[at : at + CHUNK_BYTES])
    draft.publish()
    # As at the end of every upload; what was published is no draft any more.
    draft.discard()


def content_of(blobs: BlobStore, name: str, offset: int = 0, length: int = 1 << 30) -> bytes:
    return b"".join(blobs.read(name, offset, length))


def is_there(blobs: BlobStore, name: str) -> bool:
    try:
        content_of(blobs, name)
    except MissingBlobError:
        return False
    return True


@pytest.mark.parametrize("content", [b"x", SMALL, LARGE[:PART_BYTES], LARGE])
def test_what_is_published_can_be_read(blobs: BlobStore, content: bytes) -> None:
    keep(blobs, NAME, content)
    assert content_of(blobs, NAME, length=len(content)) == content
    assert content_of(blobs, NAME, 1, len(content) - 1) == content[1:]
    assert all(len(part) <= CHUNK_BYTES for part in blobs.read(NAME, 0, len(content)))


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (0, 0), (100, 1000), (len(SMALL) - 1, 1)])
def test_a_part_is_read_from_its_place(blobs: BlobStore, offset: int, length: int) -> None:
    keep(blobs, NAME, SMALL)
    assert content_of(blobs, NAME, offset, length) == SMALL[offset : offset + length]


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_a_draft_is_nothing_that_can_be_read(blobs: BlobStore, content: bytes) -> None:
    draft = blobs.draft(NAME)
    draft.write(content)
    assert not is_there(blobs, NAME)
    draft.discard()
    assert not is_there(blobs, NAME)
    # And the name is free again.
    keep(blobs, NAME, SMALL)
    assert content_of(blobs, NAME, length=len(SMALL)) == SMALL


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_what_is_removed_is_gone_drafts_too(blobs: BlobStore, content: bytes) -> None:
    keep(blobs, NAME, content)
    keep(blobs, OTHER, SMALL)
    blobs.remove(NAME)
    blobs.remove(NAME)
    assert not is_there(blobs, NAME)
    draft = blobs.draft(NAME)
    draft.write(LARGE)
    blobs.remove(NAME)
    with pytest.raises(AppError) as caught:
        draft.publish()
    assert (caught.value.kind, caught.value.code) == (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    draft.discard()
    assert not is_there(blobs, NAME)
    assert is_there(blobs, OTHER)


def test_drafts_are_swept_when_they_are_old_and_what_is_published_stays(blobs: BlobStore) -> None:
    keep(blobs, OTHER, SMALL)
    drafts = [blobs.draft(name) for name in (NAME, NAME[:-1] + "7")]
    for draft in drafts:
        draft.write(LARGE)
    # To moto every upload in parts was begun in 2010.
    assert blobs.sweep(datetime(2010, 1, 1, tzinfo=UTC), 100) == 0
    later = datetime.now(UTC) + timedelta(hours=1)
    assert blobs.sweep(later, 1) == 1
    assert blobs.sweep(later, 100) == 1
    assert blobs.sweep(later, 100) == 0
    assert is_there(blobs, OTHER)
    for draft in drafts:
        draft.discard()


def test_a_name_is_written_by_one_at_a_time_in_a_folder(tmp_path: Path) -> None:
    blobs = FolderBlobs.open(tmp_path)
    draft = blobs.draft(NAME)
    with pytest.raises(AppError) as caught:
        blobs.draft(NAME)
    draft.discard()
    assert (caught.value.kind, caught.value.code) == (Kind.EXISTS, "ALREADY_EXISTS")


def test_a_folder_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StartupError, match="Cannot keep files"):
        FolderBlobs.open(tmp_path / "file")


def test_a_folder_that_cannot_be_written_to_is_told_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To root every folder can be written to.
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(StartupError, match="cannot be written to"):
        FolderBlobs.open(tmp_path)


def test_bytes_in_a_folder_are_their_owner_s_alone(tmp_path: Path) -> None:
    keep(FolderBlobs.open(tmp_path / "new" / "files"), NAME, SMALL)
    folders = [path for path in (tmp_path / "new").rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in [tmp_path / "new", *folders]} == {0o700}


def test_what_is_published_in_a_new_folder_survives_a_crash_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    flush = os.fsync

    def noted(descriptor: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        flush(descriptor)

    monkeypatch.setattr("os.fsync", noted)
    keep(FolderBlobs.open(tmp_path), NAME, SMALL)
    # The bytes, then their name in their folder, then that folder's in the one above it.
    kept = tmp_path / "kept"
    assert flushed == [str(tmp_path / "drafts" / NAME), str(kept / NAME[-2:]), str(kept)]


def test_a_signed_url_of_an_object_store_gives_an_attachment(emptied: ObjectStore) -> None:
    blobs = emptied.blobs()
    keep(blobs, NAME, SMALL)
    url = blobs.signed_url(NAME, "résumé 1.pdf", "application/pdf", 60)
    assert url.startswith(f"{emptied.url}/{BUCKET}/files/{NAME}?")
    answer = requests.get(url, timeout=10)
    assert (answer.status_code, answer.content) == (200, SMALL)
    assert answer.headers["Content-Type"] == "application/pdf"
    disposition = "attachment; filename*=UTF-8''r%C3%A9sum%C3%A9%201.pdf"
    assert answer.headers["Content-Disposition"] == disposition
    part = requests.get(url, headers={"Range": "bytes=1-2"}, timeout=10)
    assert (part.status_code, part.content) == (206, SMALL[1:3])


@pytest.mark.parametrize("prefix", ["", "/", "deep/er/"])
def test_objects_lie_below_the_prefix(emptied: ObjectStore, prefix: str) -> None:
    keep(emptied.blobs(prefix), NAME, SMALL)
    below = prefix.strip("/")
    assert emptied.keys() == [f"{below}/{NAME}" if below else NAME]


@pytest.mark.parametrize("prefix", ["", "files"])
def test_uploads_of_others_in_the_same_bucket_are_not_swept(
    emptied: ObjectStore, prefix: str
) -> None:
    others = sorted(["backup.tar", f"files/of/others/{NAME}", "filesystem.img", f"x-{NAME}"])
    for key in others:
        emptied.client.create_multipart_upload(Bucket=BUCKET, Key=key)
    blobs = emptied.blobs(prefix)
    blobs.draft(NAME).write(LARGE)
    assert blobs.sweep(datetime.now(UTC) + timedelta(hours=1), 100) == 1
    assert sorted(emptied.uploads()) == others


def test_a_discarded_upload_in_parts_leaves_no_parts(emptied: ObjectStore) -> None:
    draft = emptied.blobs().draft(NAME)
    draft.write(LARGE)
    assert emptied.uploads() == [f"files/{NAME}"]
    draft.discard()
    draft.discard()
    assert (emptied.uploads(), emptied.keys()) == ([], [])


def no_store() -> S3Blobs:
    return blobs_at("http://127.0.0.1:1")


@pytest.mark.parametrize(
    "call",
    [
        lambda blobs: blobs.draft(NAME).write(LARGE),
        lambda blobs: keep(blobs, NAME, SMALL),
        lambda blobs: list(blobs.read(NAME, 0, 1)),
        lambda blobs: blobs.remove(NAME),
        lambda blobs: blobs.sweep(datetime.now(UTC), 1),
    ],
    ids=["write", "publish", "read", "remove", "sweep"],
)
def test_an_object_store_that_is_not_there_is_unavailable(
    object_store: ObjectStore, call: Callable[[S3Blobs], object]
) -> None:
    with pytest.raises(AppError) as caught:
        call(no_store())
    assert (caught.value.kind, caught.value.code) == (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert caught.value.retry_after


def test_a_removal_does_not_wait_for_long_for_an_object_store_that_is_silent(
    object_store: ObjectStore,
) -> None:
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(AppError):
        blobs_at(f"http://127.0.0.1:{silent.getsockname()[1]}").remove(NAME)
    # Once, and not as long as for bytes.
    assert time.monotonic() - began < 2 * REMOVAL_SECONDS + READ_SECONDS / 2


def test_a_bucket_that_is_not_there_is_unavailable(object_store: ObjectStore) -> None:
    blobs = blobs_at(object_store.url, "no-such-bucket")
    with pytest.raises(AppError) as caught:
        keep(blobs, NAME, SMALL)
    assert caught.value.kind is Kind.UNAVAILABLE


def test_a_draft_that_cannot_be_discarded_is_left_for_the_sweep(
    emptied: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = emptied.blobs()
    draft = blobs.draft(NAME)
    draft.write(LARGE)
    gone = connect_s3("http://127.0.0.1:1", 1)
    monkeypatch.setattr(draft, "_client", gone)
    draft.discard()
    assert emptied.uploads() == [f"files/{NAME}"]
    assert blobs.sweep(datetime.now(UTC) + timedelta(hours=1), 10) == 1
