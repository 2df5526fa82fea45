"""Files: their rows, their bytes, and what they may be."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy import select, text

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import file_pb2
from arcana.repository.v1 import file_repository_pb2 as messages
from repository_tier.column_types import MYSQL_DIALECTS
from repository_tier.tables import files, outbox_events
from tests.fakes.clock import FakeClock
from tests.stores.waiting import eventually
from tests.tier.repository.file_flow import (
    CONTENT,
    MALFORMED,
    MISSING,
    content_of,
    created,
    kept,
    upload,
    usage,
)
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import (
    RunningTier,
    all_at_once,
    bad_fields,
    failure,
    outcomes,
)
from tier_runtime.errors import AppError, Kind


def test_a_file_is_there_with_its_bytes_and_its_event(
    tier: RunningTier, make: Requests, folder: Path
) -> None:
    event = make.event(type="file.uploaded")
    file = created(tier, make, filename="Re\u0301sume\u0301.pdf", events=[event])
    assert (file.filename, file.size_bytes) == ("R\u00e9sum\u00e9.pdf", len(CONTENT))
    assert file.sha256 == hashlib.sha256(CONTENT).digest()
    assert tier.files.GetFile(messages.GetFileRequest(file_id=file.id)).file == file
    assert content_of(tier, file.id.upper()) == CONTENT
    assert kept(folder) == [file.id]
    assert [row["id"] for row in tier.rows(select(outbox_events))] == [event.id]
    assert usage(tier, file.uploaded_by) == len(CONTENT)


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 1), (65_535, 2), (100, 200_000), (len(CONTENT) - 1, 0), (5, 10**9), (len(CONTENT), 0)],
)
def test_a_part_is_read_from_its_place(
    tier: RunningTier, make: Requests, offset: int, length: int
) -> None:
    file = created(tier, make)
    end = offset + length if length else len(CONTENT)
    assert content_of(tier, file.id, offset, length) == CONTENT[offset:end]


def test_a_file_is_made_once_for_each_key(tier: RunningTier, make: Requests, folder: Path) -> None:
    key, user = make.key(), make.new_id()
    first = tier.files.CreateFile(upload(make, idempotency_key=key, uploaded_by=user))
    again = tier.files.CreateFile(upload(make, idempotency_key=key, uploaded_by=user))
    assert (first.replayed, again.replayed) == (False, True)
    assert again.file == first.file
    other = make.key(fingerprint=b"o" * 32)
    reused = upload(make, idempotency_key=other, uploaded_by=user)
    assert failure(tier.files.CreateFile, reused) == (Kind.INVALID, "IDEMPOTENCY_KEY_REUSED")
    # What came a second time is not kept, and not counted.
    assert kept(folder) == [first.file.id]
    assert usage(tier, user) == len(CONTENT)
    assert tier.rows(select(files.c.id)) == [{"id": first.file.id}]


def test_a_repeated_key_needs_no_room_of_its_own(
    tier: RunningTier, make: Requests, folder: Path
) -> None:
    told: dict[str, Any] = {
        "idempotency_key": make.key(),
        "uploaded_by": make.new_id(),
        "quota_bytes": len(CONTENT),
    }
    first = tier.files.CreateFile(upload(make, **told))
    again = tier.files.CreateFile(upload(make, **told))
    assert (again.file, again.replayed) == (first.file, True)
    assert kept(folder) == [first.file.id]
    other = {**told, "idempotency_key": make.key(fingerprint=b"o" * 32)}
    reused = (Kind.INVALID, "IDEMPOTENCY_KEY_REUSED")
    assert failure(tier.files.CreateFile, upload(make, **other)) == reused


def test_the_same_key_at_the_same_time_makes_one_file(
    warm_tier: RunningTier, make: Requests, folder: Path
) -> None:
    key, user = make.key(), make.new_id()
    sent = [upload(make, b"x" * 5000, idempotency_key=key, uploaded_by=user) for _ in range(6)]
    answers = all_at_once(6, lambda number: warm_tier.files.CreateFile(sent[number]))
    assert outcomes(answers) == {"OK": 6}
    made = {answer.file.id for answer in answers if not isinstance(answer, AppError)}
    assert len(made) == 1
    assert kept(folder) == sorted(made)
    assert usage(warm_tier, user) == 5000


def test_uploads_at_the_same_time_do_not_exceed_the_quota_together(
    warm_tier: RunningTier, make: Requests, folder: Path
) -> None:
    user = make.new_id()
    sent = [upload(make, b"x" * 1000, uploaded_by=user, quota_bytes=3500) for _ in range(8)]
    answers = all_at_once(8, lambda number: warm_tier.files.CreateFile(sent[number]))
    assert outcomes(answers) == {"OK": 3, "QUOTA_EXCEEDED": 5}
    assert len(kept(folder)) == 3
    assert usage(warm_tier, user) == 3000


def test_a_full_quota_tells_what_is_used_and_a_deletion_makes_room(
    tier: RunningTier, make: Requests
) -> None:
    user = make.new_id()
    file = created(tier, make, b"x" * 900, uploaded_by=user, quota_bytes=1000)
    with pytest.raises(AppError) as caught:
        created(tier, make, b"x" * 101, uploaded_by=user, quota_bytes=1000)
    assert (caught.value.kind, caught.value.code) == (Kind.CONFLICT, "QUOTA_EXCEEDED")
    assert caught.value.metadata == {"quota_bytes": "1000", "used_bytes": "900"}
    created(tier, make, b"x" * 100, uploaded_by=user, quota_bytes=1000)
    tier.files.DeleteFile(messages.DeleteFileRequest(file_id=file.id))
    assert usage(tier, user) == 100
    created(tier, make, b"x" * 900, uploaded_by=user, quota_bytes=1000)
    assert failure(tier.files.CreateFile, upload(make, b"x" * 2000, quota_bytes=1000)) == (
        Kind.CONFLICT,
        "QUOTA_EXCEEDED",
    )


def test_an_id_is_taken_once_and_its_bytes_stay(
    tier: RunningTier, make: Requests, folder: Path
) -> None:
    file = created(tier, make)
    taken = (Kind.EXISTS, "ALREADY_EXISTS")
    assert failure(tier.files.CreateFile, upload(make, b"other", file_id=file.id)) == taken
    assert content_of(tier, file.id) == CONTENT
    assert kept(folder) == [file.id]
    # Or while the first one is still on its way.
    draft = folder / "drafts" / make.new_id()
    draft.write_bytes(b"half")
    assert failure(tier.files.CreateFile, upload(make, file_id=draft.name)) == taken
    assert draft.read_bytes() == b"half"


@pytest.mark.parametrize(
    "cut", [slice(0, 1), slice(0, 3), slice(0, -1), slice(1, None), slice(0, 0)]
)
def test_a_stream_that_is_not_whole_leaves_nothing(
    tier: RunningTier, make: Requests, folder: Path, cut: slice
) -> None:
    sent = list(upload(make))[cut]
    assert failure(tier.files.CreateFile, iter(sent)) == MALFORMED
    assert kept(folder) == []
    assert tier.rows(select(files)) == []


def test_an_upload_whose_sender_leaves_midway_leaves_nothing(
    tier: RunningTier, make: Requests, folder: Path
) -> None:
    sent = upload(make)
    begun: list[bool] = []

    def cut() -> Iterator[messages.CreateFileRequest]:
        yield from itertools.islice(sent, 2)
        eventually(lambda: kept(folder), 5, "the draft has begun")
        begun.append(True)
        raise RuntimeError("cut")

    future = tier.files.CreateFile.future(cut())
    assert isinstance(future.exception(), Exception)
    assert begun
    eventually(lambda: not kept(folder), 5, "the draft is gone")
    assert tier.rows(select(files)) == []


def test_fields_are_checked(tier: RunningTier, make: Requests, folder: Path) -> None:
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({"filename": "", "content_type": ""}, {"filename", "content_type"}),
        ({"file_id": "x", "uploaded_by": "y"}, {"file_id", "uploaded_by"}),
        ({"filename": "x" * 256, "content_type": "ü"}, {"filename", "content_type"}),
        ({"size_bytes": 1}, {"size_bytes"}),
        (
            {"size_bytes": 0, "sha256": b"x", "quota_bytes": 0},
            {"size_bytes", "sha256", "quota_bytes"},
        ),
        ({"idempotency_key": make.key(key="")}, {"idempotency_key.key"}),
        ({"events": [make.event(id="x")]}, {"events[0].id"}),
    ]
    for fields, bad in cases:
        assert bad_fields(tier.files.CreateFile, upload(make, **fields)) == bad
    assert kept(folder) == []
    file_id = created(tier, make).id
    reads = messages.ReadFileRequest

    def read(request: messages.ReadFileRequest) -> object:
        return list(tier.files.ReadFile(request))

    assert bad_fields(read, reads(file_id=file_id, offset=-1, length=-1)) == {"offset", "length"}
    assert bad_fields(read, reads(file_id=file_id, offset=len(CONTENT) + 1)) == {"offset"}
    signs = messages.SignDownloadUrlRequest
    for lifetime in (Duration(), Duration(seconds=604_801), Duration(seconds=5, nanos=-1)):
        request = signs(file_id=file_id, lifetime=lifetime)
        assert bad_fields(tier.files.SignDownloadUrl, request) == {"lifetime"}
    sweeps = messages.SweepFilesRequest(min_age=Duration(seconds=-1), limit=1001)
    assert bad_fields(tier.files.SweepFiles, sweeps) == {"min_age", "limit"}
    assert bad_fields(tier.files.SweepFiles, messages.SweepFilesRequest()) == {"min_age"}
    listed = messages.ListFilesRequest(filter=messages.FileFilter(uploaded_by="x"))
    assert bad_fields(tier.files.ListFiles, listed) == {"filter.uploaded_by"}


def test_what_is_not_there_is_not_found(tier: RunningTier, make: Requests) -> None:
    nothing = make.new_id()
    lifetime = Duration(seconds=60)
    calls: list[tuple[Any, Any]] = [
        (tier.files.GetFile, messages.GetFileRequest(file_id=nothing)),
        (
            tier.files.SignDownloadUrl,
            messages.SignDownloadUrlRequest(file_id=nothing, lifetime=lifetime),
        ),
        (tier.files.DeleteFile, messages.DeleteFileRequest(file_id=nothing)),
    ]
    for call, request in calls:
        assert failure(call, request) == MISSING
    assert failure(lambda file_id: content_of(tier, file_id), nothing) == MISSING


def test_a_folder_signs_no_url(tier: RunningTier, make: Requests, clock: FakeClock) -> None:
    file = created(tier, make)
    request = messages.SignDownloadUrlRequest(file_id=file.id, lifetime=Duration(seconds=60))
    signed = tier.files.SignDownloadUrl(request)
    assert (signed.file, signed.url) == (file, "")
    assert signed.expire_time == make.after(seconds=60)


def test_a_deleted_file_is_gone_with_its_bytes_and_told_of(
    tier: RunningTier, make: Requests, folder: Path
) -> None:
    file, event = created(tier, make), make.event(type="file.deleted")
    request = messages.DeleteFileRequest(file_id=file.id, events=[event])
    tier.files.DeleteFile(request)
    assert failure(tier.files.DeleteFile, request) == MISSING
    assert failure(tier.files.GetFile, messages.GetFileRequest(file_id=file.id)) == MISSING
    assert kept(folder) == []
    assert tier.rows(select(files)) == []
    assert usage(tier, file.uploaded_by) == 0
    assert [row["id"] for row in tier.rows(select(outbox_events))] == [event.id]


def test_pages_and_cursors_walk_all_files(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    users = [make.new_id(), make.new_id()]
    made = []
    for number in range(7):
        if number % 3 == 0:
            clock.advance(1.5)
        made.append(created(tier, make, b"x", uploaded_by=users[number % 2]))
    made.sort(key=lambda file: (file.created_time.ToNanoseconds(), file.id))

    def walk(expected: list[file_pb2.File], user: str = "", *, descending: bool) -> None:
        found: list[file_pb2.File] = []
        cursor = ""
        while cursor or not found:
            page = PageRequest(page_size=2, cursor=cursor, descending=descending)
            wanted = messages.FileFilter(uploaded_by=user)
            answer = tier.files.ListFiles(messages.ListFilesRequest(filter=wanted, page=page))
            found += answer.files
            if not cursor:
                assert answer.page.total == len(expected)
            cursor = answer.page.next_cursor
        assert found == expected

    walk(made, descending=False)
    walk(made[::-1], descending=True)
    own = [file for file in made if file.uploaded_by == users[0]]
    walk(own, users[0].upper(), descending=False)
    cursor = tier.files.ListFiles(
        messages.ListFilesRequest(page=PageRequest(page_size=2))
    ).page.next_cursor
    other = messages.ListFilesRequest(
        filter=messages.FileFilter(uploaded_by=users[0]), page=PageRequest(cursor=cursor)
    )
    assert bad_fields(tier.files.ListFiles, other) == {"cursor"}


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("state = 'stored'", "ix_files_state_created_time_id"),
        ("state = 'stored' AND uploaded_by = 'x'", "ix_files_state_uploaded_by_created_time_id"),
    ],
)
def test_each_list_has_an_index_to_walk(tier: RunningTier, condition: str, index: str) -> None:
    ordered = f"WHERE {condition} ORDER BY created_time, id LIMIT 3"
    if tier.engine.dialect.name in MYSQL_DIALECTS:
        query = f"SELECT * FROM files FORCE INDEX ({index}) {ordered}"  # noqa: S608 - the test's own
        (plan,) = tier.rows(text(f"EXPLAIN FORMAT=TRADITIONAL {query}"))
        assert plan["key"] == index
        assert "filesort" not in (plan["Extra"] or "")
    else:
        query = f"SELECT * FROM files {ordered}"  # noqa: S608 - the test's own
        plans = " ".join(row["detail"] for row in tier.rows(text(f"EXPLAIN QUERY PLAN {query}")))
        assert f"USING INDEX {index}" in plans
        assert "TEMP B-TREE" not in plans
