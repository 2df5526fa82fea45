"""What an end midway can leave of a file, and what a sweep makes of it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import func, select, update

from arcana.repository.v1 import file_repository_pb2 as messages
from repository_tier.blobs.folder import FolderBlobs
from repository_tier.blobs.store import BlobStore, Draft
from repository_tier.database import Database
from repository_tier.engine import PoolSettings, make_engines
from repository_tier.file_removal import FileRemoval
from repository_tier.file_uploads import FileUploads
from repository_tier.servicers.file_requests import upload_from_proto
from repository_tier.tables import files
from tests.fakes.clock import FakeClock
from tests.stores import Store
from tests.stores.waiting import eventually
from tests.tier.repository.file_flow import (
    CONTENT,
    MISSING,
    content_of,
    created,
    kept,
    upload,
    usage,
)
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, failure
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind


def sweep(tier: RunningTier, seconds: int = 3600, limit: int = 0) -> tuple[int, int]:
    request = messages.SweepFilesRequest(min_age=Duration(seconds=seconds), limit=limit)
    swept = tier.files.SweepFiles(request)
    return swept.row_count, swept.draft_count


def test_a_row_that_a_crash_left_on_its_way_in_is_swept_when_it_is_old(
    tier: RunningTier, make: Requests, folder: Path, clock: FakeClock
) -> None:
    # As if the tier had died after its bytes were where they stay, and before it said so.
    file, other = created(tier, make), created(tier, make)
    tier.change(update(files).where(files.c.id == file.id).values(state="storing"))
    assert failure(tier.files.GetFile, messages.GetFileRequest(file_id=file.id)) == MISSING
    assert failure(tier.files.DeleteFile, messages.DeleteFileRequest(file_id=file.id)) == MISSING
    assert sweep(tier) == (0, 0)
    clock.advance(3601)
    assert sweep(tier) == (1, 0)
    assert kept(folder) == [other.id]
    assert usage(tier, file.uploaded_by) == 0
    assert [row["id"] for row in tier.rows(select(files))] == [other.id]
    assert sweep(tier) == (0, 0)


def test_a_row_that_a_crash_left_on_its_way_out_is_swept_at_once(
    tier: RunningTier, make: Requests, folder: Path
) -> None:
    # As if the tier had died after the deletion's transaction; the bytes may be gone already.
    for has_bytes in (True, False):
        file = created(tier, make)
        tier.change(update(files).where(files.c.id == file.id).values(state="deleting"))
        if not has_bytes:
            next(folder.rglob(file.id)).unlink()
        assert failure(tier.files.GetFile, messages.GetFileRequest(file_id=file.id)) == MISSING
        assert sweep(tier) == (1, 0)
        assert kept(folder) == []
        assert tier.rows(select(func.count()).select_from(files))[0]["count_1"] == 0


def test_drafts_that_nobody_goes_on_with_are_swept(
    tier: RunningTier, make: Requests, folder: Path, clock: FakeClock
) -> None:
    now = clock.now().timestamp()
    old = [folder / "drafts" / make.new_id() for _ in range(3)]
    for draft in old:
        draft.write_bytes(b"half")
        os.utime(draft, (now - 3601, now - 3601))
    young = folder / "drafts" / make.new_id()
    young.write_bytes(b"half")
    os.utime(young, (now - 3599, now - 3599))
    assert sweep(tier, limit=2) == (0, 2)
    assert sweep(tier, limit=2) == (0, 1)
    assert kept(folder) == [young.name]


def test_a_sweep_takes_so_many_at_a_time(tier: RunningTier, make: Requests) -> None:
    for _ in range(3):
        created(tier, make, b"x")
    tier.change(update(files).values(state="deleting"))
    assert [sweep(tier, limit=2) for _ in range(3)] == [(2, 0), (1, 0), (0, 0)]


def test_an_upload_that_was_swept_while_it_came_to_its_end_fails_and_leaves_nothing(
    tier: RunningTier, make: Requests, folder: Path
) -> None:
    sent = upload(make)
    begun, last = list(itertools.islice(sent, 5)), list(sent)

    def swept_meanwhile() -> Iterator[messages.CreateFileRequest]:
        yield from begun
        (draft,) = eventually(lambda: list((folder / "drafts").iterdir()), 5, "there is a draft")
        draft.unlink()
        yield from last

    unavailable = (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert failure(tier.files.CreateFile, swept_meanwhile()) == unavailable
    assert kept(folder) == []
    assert usage(tier, begun[0].start.uploaded_by) == 0
    # Its row has the next sweep look once more.
    assert sweep(tier) == (1, 0)
    assert tier.rows(select(files)) == []


class LateBlobs:
    """An object store's way to fail: bytes come to be there after it was said to be in vain."""

    def __init__(self, folder: Path) -> None:
        self._blobs = FolderBlobs.open(folder)
        self.remove = self._blobs.remove
        self.is_late = ""

    def draft(self, name: str) -> Draft:
        draft = self._blobs.draft(name)

        def publish() -> None:
            self.is_late = name
            raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "It takes too long.")

        return cast(
            Draft, SimpleNamespace(write=draft.write, publish=publish, discard=draft.discard)
        )

    def come(self, content: bytes) -> None:
        draft = self._blobs.draft(self.is_late)
        draft.write(content)
        draft.publish()


def test_bytes_that_come_to_be_there_after_their_store_s_time_out_are_swept(
    tier: RunningTier, make: Requests, empty_store: Store, folder: Path, clock: FakeClock
) -> None:
    engines = make_engines(empty_store.database_url, PoolSettings(2, 1.0, 5, 30.0))
    database, blobs = Database(engines, clock, Random(1)), LateBlobs(folder)
    store = cast(BlobStore, blobs)
    uploads = FileUploads(database, store, FileRemoval(database, store, clock), clock)
    sent, parts = upload_from_proto(upload(make))
    with pytest.raises(AppError):
        uploads.create(sent, parts, Deadline.after(10))
    engines.close()
    assert usage(tier, sent.uploaded_by) == 0
    blobs.come(CONTENT)
    assert kept(folder) == [sent.id]
    assert failure(tier.files.GetFile, messages.GetFileRequest(file_id=sent.id)) == MISSING
    assert sweep(tier) == (1, 0)
    assert kept(folder) == []
    assert tier.rows(select(files)) == []


def test_bytes_that_somebody_took_away_are_not_found(
    tier: RunningTier, make: Requests, folder: Path
) -> None:
    file = created(tier, make)
    next(folder.rglob(file.id)).unlink()
    assert failure(lambda file_id: content_of(tier, file_id), file.id) == MISSING


def test_a_store_of_bytes_that_fails_is_unavailable_and_a_deletion_goes_through(
    tier: RunningTier, make: Requests, folder: Path
) -> None:
    file = created(tier, make)
    place = next(folder.rglob(file.id))
    # A folder where a file should be: neither can it be read, nor taken away, nor replaced.
    place.unlink()
    place.mkdir()
    unavailable = (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert failure(lambda file_id: content_of(tier, file_id), file.id) == unavailable
    tier.files.DeleteFile(messages.DeleteFileRequest(file_id=file.id))
    assert failure(tier.files.GetFile, messages.GetFileRequest(file_id=file.id)) == MISSING
    assert [row["state"] for row in tier.rows(select(files))] == ["deleting"]
    # It is told, and keeps none behind it.
    behind, draft = created(tier, make), folder / "drafts" / make.new_id()
    tier.change(update(files).where(files.c.id == behind.id).values(state="deleting"))
    draft.write_bytes(b"half")
    os.utime(draft, (0, 0))
    with pytest.raises(AppError):
        sweep(tier)
    assert kept(folder) == []
    assert [row["id"] for row in tier.rows(select(files))] == [file.id]
    place.rmdir()
    assert sweep(tier) == (1, 0)


def test_an_upload_keeps_to_its_deadline(tier: RunningTier, make: Requests, folder: Path) -> None:
    def slow() -> Iterator[messages.CreateFileRequest]:
        yield from itertools.islice(upload(make), 2)
        eventually(lambda: kept(folder), 5, "the draft has begun")
        eventually(lambda: not kept(folder), 5, "the draft is gone again")

    call = Call(Actor(), "r-1", Deadline.after(0.5))
    with call_scope(call):
        assert failure(tier.files.CreateFile, slow())[0] is Kind.DEADLINE
    eventually(lambda: not kept(folder), 5, "the draft is gone")
