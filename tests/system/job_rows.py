"""The rows below /jobs and /reports; no worker runs, so a test does what one would have done."""

from __future__ import annotations

from sqlalchemy import text

from tests.system.client import Json, expect
from tests.system.mailbox import as_stored
from tests.system.rows import MAKES, Prepare, Prepared, Row
from tests.system.world import World

DAY = "2026-11-20"
MAIL: Json = {
    "all": True,
    "subject": "We move",
    "template": "announcement",
    "context": {"body": "On Sunday."},
}


def _admin(path: str, body: Json | None = None) -> Prepare:
    return lambda world: (path, world.admin.bearer, body)


def _new_job(world: World, path: str = "sync-users", body: Json | None = None) -> str:
    made = expect(world.edge.post(f"/jobs/{path}", body, headers=world.admin.bearer), 202)
    return str(made["id"])


def _of_a_job(path: str) -> Prepare:
    return lambda world: (path.format(id=_new_job(world)), world.admin.bearer, None)


def _given_up(world: World) -> Prepared:
    job_id = _new_job(world)
    with world.mailbox.database() as database:
        database.execute(
            text("UPDATE jobs SET status = 'failed' WHERE id = :id"), {"id": as_stored(job_id)}
        )
    return f"/jobs/{job_id}/retry", world.admin.bearer, None


def _report(world: World) -> Prepared:
    job_id = _new_job(world, "daily-report", {"date": DAY})
    world.have_done(job_id)
    return f"/reports/daily/{DAY}", world.admin.bearer, None


_RUNS_AGAIN = frozenset({"IDEMPOTENCY_IN_PROGRESS"})

JOB_ROWS: tuple[Row, ...] = (
    Row("POST", "/jobs/bulk-email", "admin", 202, _admin("/jobs/bulk-email", MAIL), MAKES),
    Row(
        "POST",
        "/jobs/sync-users",
        "admin",
        202,
        _admin("/jobs/sync-users"),
        _RUNS_AGAIN,
        no_body=True,
    ),
    Row(
        "POST",
        "/jobs/cleanup-tokens",
        "admin",
        202,
        _admin("/jobs/cleanup-tokens"),
        _RUNS_AGAIN,
        no_body=True,
    ),
    Row(
        "POST",
        "/jobs/daily-report",
        "admin",
        202,
        _admin("/jobs/daily-report", {"date": DAY}),
        MAKES,
    ),
    Row("GET", "/jobs", "admin", 200, _admin("/jobs?status=queued")),
    Row("GET", "/jobs/{id}", "admin", 200, _of_a_job("/jobs/{id}"), etag=True),
    Row(
        "POST",
        "/jobs/{id}/retry",
        "admin",
        202,
        _given_up,
        frozenset({"INVALID_STATE"}),
        no_body=True,
    ),
    Row(
        "GET",
        "/reports/daily/{date}",
        "admin",
        200,
        _report,
        frozenset({"NOT_FOUND", "VALIDATION_FAILED"}),
    ),
)
