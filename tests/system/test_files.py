"""Files through all tiers: large ones, many at a time, and such as do not come to their end."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from google.protobuf.duration_pb2 import Duration

from arcana.repository.v1.file_repository_pb2 import SweepFilesRequest
from arcana.repository.v1.file_repository_pb2_grpc import FileRepositoryStub
from tests.stores import Store, Stores
from tests.stores.waiting import eventually
from tests.system.client import Account, expect, expect_empty, expect_problem
from tests.system.document import committed_document
from tests.system.plan import Tier
from tests.system.processes import START_ORDER, ArcanaProcesses
from tests.system.sizes import sized
from tests.system.uploading import LIMIT, PNG, TAIL, head_of, raw_upload, upload
from tests.system.wiring import Wiring, default_wiring
from tests.system.world import World, open_world
from tier_runtime.channel import open_channel

AT_A_TIME = 8
MANY = sized(16, 200)
# REST hops, and the two tiers that are killed besides, have their turn under stress.
WIRINGS = [default_wiring(), Wiring("layered", "http")][: sized(1, 2)]
KILLED = START_ORDER[: sized(1, 3)]
MAX_GROWTH = 64 * 1024 * 1024


@pytest.fixture(scope="module", params=WIRINGS, ids=str)
def place(
    request: pytest.FixtureRequest, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, Path]]:
    """All tiers, and the folder in which their files lie."""
    store: Store = stores.new_store("embedded")
    with open_world(
        store,
        tmp_path_factory.mktemp("files"),
        committed_document().check,
        request.param,
        FILE_QUOTA_BYTES=str(1 << 34),
    ) as world:
        # Who waits for a tier to be back asks in this one's name.
        assert world.resident.id
        yield world, Path(urlsplit(store.blob_url).path)


@pytest.fixture
def world(place: tuple[World, Path]) -> World:
    return place[0]


@pytest.fixture
def folder(place: tuple[World, Path]) -> Path:
    return place[1]


def large(number: int, size: int = LIMIT) -> bytes:
    """Return a file of this size that no other one is like."""
    return (PNG + number.to_bytes(8, "big") + os.urandom(1 << 16)).ljust(size, b"\x5a")


def kept(folder: Path) -> set[str]:
    """Return the names of all bytes that are there, drafts too."""
    return {path.name for path in folder.rglob("*") if path.is_file()}


def memory_of(arcana: ArcanaProcesses, tier: Tier) -> int:
    """Return what the processes of a tier have resident, in bytes."""
    first = psutil.Process(arcana.pid(tier))
    family = [first, *first.children(recursive=True)]
    return sum(member.memory_info().rss for member in family)


class Peaks:
    """The most that each tier has resident, looked at all the time."""

    def __init__(self, arcana: ArcanaProcesses) -> None:
        self._arcana = arcana
        self.before = {tier: memory_of(arcana, tier) for tier in START_ORDER}
        self.most = dict(self.before)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def growth(self) -> dict[str, int]:
        return {tier: self.most[tier] - self.before[tier] for tier in START_ORDER}

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            for tier in START_ORDER:
                self.most[tier] = max(self.most[tier], memory_of(self._arcana, tier))


def sweep(arcana: ArcanaProcesses) -> None:
    """Have everything swept that an upload can have left, however young it is."""
    with open_channel(arcana.repository_url) as channel:
        FileRepositoryStub(channel).SweepFiles(SweepFilesRequest(min_age=Duration(seconds=0)))


def download_url(world: World, account: Account, file_id: str) -> str:
    answer = world.edge.get(f"/files/{file_id}/download", headers=account.bearer)
    url: str = expect(answer, 200)["download_url"]
    return url


def test_many_large_files_come_and_go_without_memory_for_them(world: World) -> None:
    account = world.newcomer()

    def send(number: int) -> tuple[str, str]:
        content = large(number)
        file = expect(upload(world.edge, account.bearer, content), 201)
        digest = hashlib.sha256(content).hexdigest()
        assert (file["size"], file["sha256"]) == (LIMIT, digest)
        return file["id"], digest

    with Peaks(world.arcana) as peaks:
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            sent = list(pool.map(send, range(MANY)))

        def fetch(told: tuple[str, str]) -> None:
            file_id, digest = told
            url = download_url(world, account, file_id)
            got = hashlib.sha256()
            with requests.get(url, stream=True, timeout=60) as answer:
                for part in answer.iter_content(1 << 16):
                    got.update(part)
            assert got.hexdigest() == digest

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(fetch, sent[: 2 * AT_A_TIME]))
    growth = peaks.growth()
    print({tier: f"{grown / 2**20:.1f} MiB" for tier, grown in growth.items()})
    assert max(growth.values()) < MAX_GROWTH, growth
    assert expect(world.edge.get("/files", headers=account.bearer), 200)["total"] == MANY


@pytest.mark.parametrize("is_chunked", [False, True])
def test_one_byte_too_many_is_refused_before_the_whole_body_is_read(
    world: World, folder: Path, is_chunked: bool
) -> None:
    account, before = world.newcomer(), kept(folder)
    body = head_of() + large(0, LIMIT + 1)
    whole = len(body) + len(TAIL)
    with raw_upload(world.edge, account.bearer, None if is_chunked else whole) as sent:
        if is_chunked:
            for at in range(0, len(body), 1 << 16):
                sent.send_chunk(body[at : at + (1 << 16)])
            # What could be the beginning of a boundary is known to be none by what follows.
            sent.send_chunk(bytes(100))
        else:
            sent.send(body[: 1 << 16])
        # And now it waits: nothing more comes.
        status, problem = sent.answer()
    assert (status, problem["code"]) == (413, "BODY_TOO_LARGE")
    eventually(lambda: kept(folder) == before, 10, "nothing is left of it")
    assert expect(world.edge.get("/files", headers=account.bearer), 200)["total"] == 0


def test_the_largest_file_is_taken_and_given_out_in_parts(world: World) -> None:
    account, content = world.newcomer(), large(1)
    file = expect(upload(world.edge, account.bearer, content, "Ünï côde.PNG"), 201)
    assert file["filename"] == "Ünï côde.png"
    url = download_url(world, account, file["id"])
    got = b""
    for start in range(0, LIMIT, 3 * 1024 * 1024):
        stop = min(start + 3 * 1024 * 1024, LIMIT) - 1
        part = requests.get(url, headers={"Range": f"bytes={start}-{stop}"}, timeout=30)
        assert part.status_code == 206
        assert part.headers["Content-Range"] == f"bytes {start}-{stop}/{LIMIT}"
        assert part.headers["X-Content-Type-Options"] == "nosniff"
        got += part.content
    assert got == content
    behind = requests.get(url, headers={"Range": f"bytes={LIMIT}-"}, timeout=30)
    assert (behind.status_code, behind.headers["Content-Range"]) == (416, f"bytes */{LIMIT}")
    spoilt = requests.get(url[:-4] + "AAAA", timeout=30)
    assert spoilt.status_code == 403
    expect_empty(world.edge.call("DELETE", f"/files/{file['id']}", headers=account.bearer))
    assert requests.get(url, timeout=30).status_code == 404


@pytest.mark.parametrize(
    ("content", "filename", "status", "code"),
    [
        (
            b"<!DOCTYPE html><html><script>alert(1)</script></html>",
            "x.png",
            400,
            "VALIDATION_FAILED",
        ),
        (PNG + bytes(100), "x.html", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (PNG + bytes(100), "x.pdf", 400, "VALIDATION_FAILED"),
        (b"", "x.png", 400, "VALIDATION_FAILED"),
        (b"<html>" + bytes(3 << 20), "x.png", 400, "VALIDATION_FAILED"),
    ],
)
def test_what_is_not_what_it_says_is_refused(
    world: World, folder: Path, content: bytes, filename: str, status: int, code: str
) -> None:
    account, before = world.newcomer(), kept(folder)
    problem = expect_problem(upload(world.edge, account.bearer, content, filename), status, code)
    if code == "VALIDATION_FAILED":
        assert problem["errors"].keys() == {"file"}
    eventually(lambda: kept(folder) == before, 10, "nothing is left of it")


def test_an_upload_that_is_cut_off_leaves_nothing(world: World, folder: Path) -> None:
    account, before = world.newcomer(), kept(folder)
    body = head_of() + large(2, LIMIT - 1000)
    for length in (len(body) + 100, None):
        with raw_upload(world.edge, account.bearer, length) as sent:
            half = body[: len(body) // 2]
            if length is None:
                sent.send_chunk(half)
            else:
                sent.send(half)
            eventually(lambda: kept(folder) != before, 10, "a draft has begun")
            sent.cut()
        eventually(lambda: kept(folder) == before, 10, "nothing is left of it")
    assert expect(world.edge.get("/files", headers=account.bearer), 200)["total"] == 0


@pytest.mark.parametrize("tier", KILLED)
def test_what_a_killed_tier_leaves_of_an_upload_is_swept(
    world: World, folder: Path, tier: Tier
) -> None:
    account, before = world.newcomer(), kept(folder)
    body = head_of() + large(3, LIMIT - 1000)
    with raw_upload(world.edge, account.bearer, len(body) + 100) as sent:
        sent.send(body[: len(body) // 2])
        eventually(lambda: kept(folder) != before, 10, "a draft has begun")
        world.arcana.kill(tier)
        world.arcana.restart(tier)
    world.wait_until_back()
    # The tier that was killed may be the one that would have taken it away.
    sweep(world.arcana)
    eventually(lambda: kept(folder) == before, 10, "nothing is left of it")
    assert expect(world.edge.get("/files", headers=account.bearer), 200)["total"] == 0
    expect(upload(world.edge, account.bearer, PNG), 201)
