"""The same requests to the real tiers over each transport get the same answers."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
import redis

from arcana.repository.v1.job_repository_pb2 import EnqueueJobsRequest
from arcana.repository.v1.job_repository_pb2_grpc import JobRepositoryStub
from repository_tier.migrate import migrate
from tests.stores import Store, StoreKind, Stores
from tests.system.mailbox import Mailbox
from tests.tier.service.running import empty
from tests.tier.transports import job_story, repository_story, service_story
from tests.tier.transports.plans import TierPlan
from tests.tier.transports.transcript import Transcript, methods_of
from tests.tier.transports.wires import Peer, Wire, served
from tier_runtime.tier import Protocol

TOKEN_SECRET = "t" * 32

# What is compared with gRPC.
OTHERS: tuple[Wire, ...] = ("http", "inproc")
UNREFUSED = {
    "AuthService/GetJwks",
    "CleanupRepository/DeleteExpired",
    "EventRepository/GetEventLag",
}


def protocol_of(wire: Wire) -> Protocol:
    return "http" if wire == "http" else "grpc"


def repository_on(store: Store, wire: Wire) -> TierPlan:
    return TierPlan("repository", protocol_of(wire), environ=store.environ(), settings=ROOMY)


# Reading while streaming holds a thread.
ROOMY = {"threads": 16}


def service_on(repository: Peer, wire: Wire, home: Path) -> TierPlan:
    environ = {
        "REPOSITORY_URL": repository.url,
        # Shared by all three, so that all sign with the same key.
        "ARCANA_HOME": str(home),
        "TOKEN_SECRET": TOKEN_SECRET,
        "PASSWORD_HASH_METHOD": "scrypt:1024:8:1",
    }
    return TierPlan("service", protocol_of(wire), environ=environ, settings=ROOMY)


def empty_store(stores: Stores, kind: StoreKind) -> Store:
    """Return this worker's store with all tables, without a row and without a byte of a file."""
    store = stores.worker_store(kind)
    migrate(store.database_url)
    empty(store.database_url)
    # The ids of one story come again in the next.
    if store.redis_url:
        with redis.Redis.from_url(store.redis_url) as client:
            client.flushdb()
    # What other tests have left there would be swept by the first story that is told.
    blobs = Path(url2pathname(urlsplit(store.blob_url).path))
    shutil.rmtree(blobs)
    blobs.mkdir()
    return store


def repository_transcript(stores: Stores, kind: StoreKind, wire: Wire) -> Transcript:
    store = empty_store(stores, kind)
    with served(wire, repository_on(store, wire)) as peer, peer.channel() as channel:
        transcript = Transcript(channel, repository_story.PACKAGE)
        repository_story.tell(transcript)
    return transcript


def service_transcript(stores: Stores, home: Path, wire: Wire) -> Transcript:
    store = empty_store(stores, "embedded")
    with ExitStack() as stack:
        repository = stack.enter_context(served(wire, repository_on(store, wire)))
        behind = stack.enter_context(repository.channel())
        JobRepositoryStub(behind).EnqueueJobs(EnqueueJobsRequest(jobs=[job_story.UNDOABLE]))
        peer = stack.enter_context(served(wire, service_on(repository, wire, home), repository))
        channel = stack.enter_context(peer.channel())
        transcript = Transcript(channel, service_story.PACKAGE)
        service_story.tell(transcript, Mailbox(store, TOKEN_SECRET))
    return transcript


def require_equal(one: Transcript, other: Transcript) -> None:
    """Name the first request that was answered differently, rather than all that follow it."""
    for number, (expected, found) in enumerate(zip(one.lines, other.lines, strict=False)):
        assert found == expected, f"answer {number} differs"
    assert len(one.lines) == len(other.lines)


def require_complete(transcript: Transcript, package: str) -> None:
    methods = set(methods_of(package))
    assert methods - transcript.well_answered() == set(), "each RPC is answered well once"
    # What has no request cannot be refused one.
    assert {one for one in methods if one not in transcript.refused()} <= UNREFUSED
    assert "internal" not in transcript.kinds(), "no request of the story is a fault of ours"


@pytest.fixture(scope="module")
def repository_expected(stores: Stores, store_kind: StoreKind) -> Transcript:
    return repository_transcript(stores, store_kind, "grpc")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def service_expected(stores: Stores, home: Path) -> Transcript:
    return service_transcript(stores, home, "grpc")


def test_every_rpc_of_the_repository_tier_has_a_case(repository_expected: Transcript) -> None:
    require_complete(repository_expected, repository_story.PACKAGE)


def test_every_rpc_of_the_service_tier_has_a_case(service_expected: Transcript) -> None:
    require_complete(service_expected, service_story.PACKAGE)


@pytest.mark.parametrize("wire", OTHERS)
def test_the_repository_tier_answers_alike_over_every_transport(
    stores: Stores, store_kind: StoreKind, repository_expected: Transcript, wire: Wire
) -> None:
    require_equal(repository_expected, repository_transcript(stores, store_kind, wire))


@pytest.mark.parametrize("wire", OTHERS)
def test_the_service_tier_answers_alike_over_every_transport(
    stores: Stores, home: Path, service_expected: Transcript, wire: Wire
) -> None:
    require_equal(service_expected, service_transcript(stores, home, wire))
