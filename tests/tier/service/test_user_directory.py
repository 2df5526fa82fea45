"""Users pushed to an external directory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arcana.repository.v1 import user_sync_repository_pb2
from arcana.service.v1 import job_service_pb2 as pb
from arcana.service.v1 import user_pb2
from tests.tier.service.directory_server import DirectoryServer, directory_server
from tests.unit.service_tier.harness import ADMIN, Harness

SYNCED = user_sync_repository_pb2.USER_SYNC_STATUS_SYNCED
FAILED = user_sync_repository_pb2.USER_SYNC_STATUS_FAILED


@pytest.fixture
def directory() -> Iterator[DirectoryServer]:
    with directory_server() as server:
        yield server


def synced(harness: Harness) -> tuple[pb.JobOutcome.ValueType, dict[str, str]]:
    """Have the users pushed; return the outcome and what came out."""
    with harness.acting(ADMIN, seconds=300):
        job = harness.jobs.EnqueueUserSync(pb.EnqueueUserSyncRequest()).job
        outcome = harness.jobs.RunJob(pb.RunJobRequest(job_id=job.id)).outcome
        return outcome, dict(harness.jobs.GetJob(pb.GetJobRequest(job_id=job.id)).job.result)


def test_waiting_users_are_pushed_once_and_again_when_they_change(
    tmp_path: Path, directory: DirectoryServer
) -> None:
    harness = Harness(tmp_path, user_sync_url=directory.url, user_sync_token="open-sesame")
    users = [harness.create(f"user-{number}@example.org") for number in range(53)]
    refused = users[7].id
    directory.status = lambda user: 422 if user["id"] == refused else 204
    assert synced(harness) == (pb.JOB_OUTCOME_SUCCEEDED, {"synced": "52", "failed": "1"})
    path, user, authorization = directory.received[0]
    assert (path, authorization) == (f"/people/{users[0].id}", "Bearer open-sesame")
    assert (user["email"], user["status"], user["version"]) == (users[0].email, "active", 1)
    assert harness.repository.user_syncs.said[refused] == (1, FAILED)

    directory.received.clear()
    harness.set_status(users[0].id, user_pb2.USER_STATUS_SUSPENDED)
    assert synced(harness) == (pb.JOB_OUTCOME_SUCCEEDED, {"synced": "1", "failed": "0"})
    assert directory.received[0][1]["status"] == "suspended"


@pytest.mark.parametrize("status", [500, 503, 401, 404, 301])
def test_a_directory_that_takes_nobody_now_is_asked_again_later(
    tmp_path: Path, directory: DirectoryServer, status: int
) -> None:
    harness = Harness(tmp_path, user_sync_url=directory.url)
    taken, untaken = harness.create("a@example.org"), harness.create("b@example.org")

    def answer(user: dict[str, Any]) -> int:
        return 200 if user["id"] == taken.id else status

    directory.status = answer
    assert synced(harness)[0] == pb.JOB_OUTCOME_POSTPONED
    assert harness.repository.user_syncs.said == {taken.id: (1, SYNCED)}
    assert untaken.id not in harness.repository.user_syncs.said


def test_a_directory_so_slow_that_a_page_outlasts_the_lease_gets_all_users(
    tmp_path: Path, directory: DirectoryServer
) -> None:
    harness = Harness(tmp_path, user_sync_url=directory.url, job_lease_seconds=2)
    for number in range(6):
        harness.create(f"user-{number}@example.org")

    def think(_user: dict[str, Any]) -> int:
        time.sleep(0.3)
        return 204

    directory.status = think
    assert synced(harness) == (pb.JOB_OUTCOME_SUCCEEDED, {"synced": "6", "failed": "0"})
    assert len(directory.received) == 6


def test_of_an_answer_without_end_only_the_beginning_is_read(
    tmp_path: Path, directory: DirectoryServer
) -> None:
    harness = Harness(tmp_path, user_sync_url=directory.url)
    users = [harness.create(f"user-{number}@example.org") for number in range(2)]
    directory.status, directory.body = lambda _user: 200, b"x" * 50_000_000
    tracemalloc.start()
    try:
        assert synced(harness) == (pb.JOB_OUTCOME_SUCCEEDED, {"synced": "2", "failed": "0"})
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert [user["id"] for _, user, _ in directory.received] == [user.id for user in users]


def test_a_directory_that_is_not_there_is_asked_again_later(tmp_path: Path) -> None:
    harness = Harness(tmp_path, user_sync_url="http://127.0.0.1:1/x")
    harness.create("a@example.org")
    assert synced(harness)[0] == pb.JOB_OUTCOME_POSTPONED


def test_without_a_directory_nobody_is_pushed(tmp_path: Path) -> None:
    outcome, result = synced(Harness(tmp_path))
    assert (outcome, list(result)) == (pb.JOB_OUTCOME_SUCCEEDED, ["skipped"])
