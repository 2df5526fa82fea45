"""The repository tier with its files in an object store."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import select

from arcana.repository.v1 import file_repository_pb2 as messages
from repository_tier.blobs.s3 import PART_BYTES
from repository_tier.tables import files
from tests.fakes.clock import FakeClock
from tests.stores import Store
from tests.stores.waiting import eventually
from tests.tier.repository.conftest import StartTier
from tests.tier.repository.file_flow import MALFORMED, content_of, created, upload
from tests.tier.repository.object_store import (
    BUCKET,
    CREDENTIALS,
    ObjectStore,
    running_object_store,
)
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, failure
from tier_runtime.errors import Kind

LARGE = bytes(range(251)) * (2 * PART_BYTES // 251)


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with running_object_store() as store:
        yield store


@pytest.fixture
def tier(object_store: ObjectStore, empty_store: Store, start_tier: StartTier) -> RunningTier:
    store = replace(empty_store, blob_url=f"s3://{BUCKET}/arcana")
    return start_tier(store, s3_endpoint_url=object_store.url)


def test_a_file_comes_and_goes(
    tier: RunningTier, make: Requests, object_store: ObjectStore
) -> None:
    file = created(tier, make, LARGE)
    assert object_store.keys() == [f"arcana/{file.id}"]
    assert content_of(tier, file.id) == LARGE
    assert content_of(tier, file.id, PART_BYTES - 5, 10) == LARGE[PART_BYTES - 5 : PART_BYTES + 5]
    request = messages.SignDownloadUrlRequest(file_id=file.id, lifetime=Duration(seconds=60))
    signed = tier.files.SignDownloadUrl(request)
    answer = requests.get(signed.url, headers={"Range": "bytes=0-9"}, timeout=10)
    assert (answer.status_code, answer.content) == (206, LARGE[:10])
    tier.files.DeleteFile(messages.DeleteFileRequest(file_id=file.id))
    assert object_store.keys() == []


def test_a_cut_upload_leaves_nothing(
    tier: RunningTier, make: Requests, object_store: ObjectStore
) -> None:
    cut = list(upload(make, LARGE))[:-1]
    assert failure(tier.files.CreateFile, iter(cut)) == MALFORMED
    assert (object_store.uploads(), object_store.keys()) == ([], [])
    assert tier.rows(select(files)) == []


def test_what_a_crash_left_is_swept(
    tier: RunningTier, make: Requests, object_store: ObjectStore, clock: FakeClock
) -> None:
    # An upload in parts that nobody goes on with, and the sweep while a whole one comes.
    abandoned = object_store.blobs("arcana").draft(make.new_id())
    abandoned.write(LARGE)
    sent = upload(make, LARGE)
    begun, last = list(itertools.islice(sent, 100)), list(sent)

    def swept_meanwhile() -> Iterator[messages.CreateFileRequest]:
        yield from begun
        eventually(lambda: len(object_store.uploads()) == 2, 10, "it has begun")
        # The object store has the machine's clock.
        clock.advance(400 * 86_400)
        swept = tier.files.SweepFiles(messages.SweepFilesRequest(min_age=Duration(seconds=0)))
        assert swept.draft_count == 2
        yield from last

    unavailable = (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert failure(tier.files.CreateFile, swept_meanwhile()) == unavailable
    assert (object_store.uploads(), object_store.keys()) == ([], [])
    tier.files.SweepFiles(messages.SweepFilesRequest(min_age=Duration(seconds=0)))
    assert tier.rows(select(files)) == []
