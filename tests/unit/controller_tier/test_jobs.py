"""The routes below /jobs and /reports."""

from __future__ import annotations

from typing import Any

import pytest

from arcana.service.v1.job_pb2 import (
    JOB_STATUS_FAILED,
    JOB_STATUS_SUCCEEDED,
    Job,
    JobError,
    JobProgress,
)
from arcana.service.v1.report_pb2 import (
    CurrencyRevenue,
    DailyReport,
    LowStockProduct,
    TopProduct,
)
from tests.unit.controller_tier.edge import Edge
from tier_runtime.timestamps import timestamp_from

UNKNOWN = "019adf5e-7a3c-7b52-9c1e-3f0a8d5e6b71"
BULK = {"all": True, "subject": "We move", "template": "announcement", "context": {"body": "b"}}
ROUTES = [
    ("POST", "jobs/bulk-email", BULK),
    ("POST", "jobs/sync-users", None),
    ("POST", "jobs/cleanup-tokens", None),
    ("POST", "jobs/daily-report", None),
    ("GET", "jobs", None),
    ("GET", f"jobs/{UNKNOWN}", None),
    ("POST", f"jobs/{UNKNOWN}/retry", None),
    ("GET", "reports/daily/2026-11-20", None),
]


@pytest.fixture
def admin(edge: Edge) -> str:
    return edge.signed_in("admin", email="root@example.org")[1]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=[path for _, path, _ in ROUTES])
def test_all_of_it_is_for_admins(edge: Edge, method: str, path: str, body: Any) -> None:
    _, token = edge.signed_in()
    assert edge.call(method, path, body).json["code"] == "UNAUTHENTICATED"
    assert edge.call(method, path, body, token=token).json["code"] == "FORBIDDEN"


@pytest.mark.parametrize(("method", "path", "body"), ROUTES[:4], ids=[r[1] for r in ROUTES[:4]])
def test_a_job_is_enqueued_once_for_one_key(
    edge: Edge, admin: str, method: str, path: str, body: Any
) -> None:
    key = {"Idempotency-Key": "k"}
    answer = edge.call(method, path, body, token=admin, headers=key)
    job = answer.json
    assert (answer.status_code, answer.headers["ETag"]) == (202, '"v1"')
    assert answer.headers["Location"] == f"/api/v1/jobs/{job['id']}"
    assert job == {
        "id": job["id"],
        "name": path.removeprefix("jobs/"),
        "status": "queued",
        "progress": None,
        "attempts": 0,
        "error": None,
        "result": None,
        "created_at": job["created_at"],
        "due_at": job["created_at"],
        "started_at": None,
        "finished_at": None,
    }
    again = edge.call(method, path, body, token=admin, headers=key)
    assert (again.json, again.headers["Idempotent-Replay"]) == (job, "true")
    assert edge.call("GET", f"jobs/{job['id']}", token=admin).json == job


def test_what_a_mail_says_reaches_the_service_tier(edge: Edge, admin: str) -> None:
    edge.call("POST", "jobs/bulk-email", BULK, token=admin)
    sent = edge.tier.last("EnqueueBulkEmail").request
    assert not sent.HasField("recipients")
    assert (sent.subject, sent.template, dict(sent.context)) == (
        "We move",
        "announcement",
        {"body": "b"},
    )
    named = {key: value for key, value in BULK.items() if key != "all"}
    edge.call("POST", "jobs/bulk-email", named | {"user_ids": [UNKNOWN.upper()]}, token=admin)
    assert list(edge.tier.last("EnqueueBulkEmail").request.recipients.ids) == [UNKNOWN]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"user_ids": [UNKNOWN]}, "user_ids"),
        ({"all": None}, "all"),
        ({"all": False}, "all"),
        ({"subject": "a\nb"}, "subject"),
        ({"template": "welcome"}, "template"),
        ({"context": {"Body": "b"}}, "context.Body.key"),
        ({"context": {"body": 7}}, "context.body.value"),
        ({"context": {f"k{number}": "" for number in range(21)}}, "context"),
        ({"more": 1}, "more"),
    ],
    ids=str,
)
def test_a_mail_to_many_with_a_fault_is_refused(
    edge: Edge, admin: str, fields: dict[str, Any], fault: str
) -> None:
    answer = edge.call("POST", "jobs/bulk-email", BULK | fields, token=admin)
    assert answer.json["code"] == "VALIDATION_FAILED"
    assert fault in answer.json["errors"]


@pytest.mark.parametrize("ids", [[], [UNKNOWN] * 10_001, ["7"]], ids=["none", "many", "no id"])
def test_bad_recipients_are_refused(edge: Edge, admin: str, ids: list[str]) -> None:
    body = {key: value for key, value in BULK.items() if key != "all"} | {"user_ids": ids}
    answer = edge.call("POST", "jobs/bulk-email", body, token=admin)
    assert answer.status_code == 400
    assert any(field.startswith("user_ids") for field in answer.json["errors"])


def test_the_day_of_a_report_may_be_left_open(edge: Edge, admin: str) -> None:
    for body, date in ((None, ""), ({}, ""), ({"date": "2026-11-20"}, "2026-11-20")):
        assert edge.call("POST", "jobs/daily-report", body, token=admin).status_code == 202
        assert edge.tier.last("EnqueueDailyReport").request.date == date
    for bad in ({"date": "20.11."}, {"day": 1}):
        answer = edge.call("POST", "jobs/daily-report", bad, token=admin)
        assert answer.json["code"] == "VALIDATION_FAILED"


def test_jobs_are_listed_by_status_and_name(edge: Edge, admin: str) -> None:
    for path in ("sync-users", "cleanup-tokens", "sync-users"):
        edge.call("POST", f"jobs/{path}", token=admin)
    page = edge.call("GET", "jobs?name=sync-users&size=1", token=admin).json
    assert (page["total"], page["has_next"], page["data"][0]["name"]) == (2, True, "sync-users")
    last = edge.call("GET", f"jobs?size=1&cursor={page['next_cursor']}", token=admin).json
    assert last["total"] is None
    assert edge.call("GET", "jobs?status=failed", token=admin).json["data"] == []
    for query in ("status=dead", "name=A", "sort=name", "order=up"):
        answer = edge.call("GET", f"jobs?{query}", token=admin)
        assert list(answer.json["errors"]) == [query.partition("=")[0]]


def test_a_job_shows_how_it_stands(edge: Edge, admin: str) -> None:
    now = timestamp_from(edge.tier.clock.now())
    job = Job(
        id=UNKNOWN,
        name="bulk-email",
        status=JOB_STATUS_FAILED,
        progress=JobProgress(done=3),
        attempts=8,
        error=JobError(code="SERVICE_UNAVAILABLE", message="Down."),
        created_time=now,
        due_time=now,
        started_time=now,
        finished_time=now,
        version=9,
    )
    edge.tier.jobs[job.id] = job
    answer = edge.call("GET", f"jobs/{UNKNOWN}", token=admin)
    shown = answer.json
    assert (shown["status"], shown["progress"], shown["error"]) == (
        "failed",
        {"done": 3, "total": None},
        {"code": "SERVICE_UNAVAILABLE", "message": "Down."},
    )
    assert shown["finished_at"] == shown["created_at"]
    known = {"If-None-Match": answer.headers["ETag"]}
    assert edge.call("GET", f"jobs/{UNKNOWN}", token=admin, headers=known).status_code == 304
    job.progress.total = 3
    job.status = JOB_STATUS_SUCCEEDED
    job.result["mails"] = "3"
    shown = edge.call("GET", f"jobs/{UNKNOWN}", token=admin).json
    assert (shown["progress"], shown["result"]) == ({"done": 3, "total": 3}, {"mails": "3"})


def test_only_a_job_that_was_given_up_is_queued_once_more(edge: Edge, admin: str) -> None:
    job_id = edge.call("POST", "jobs/sync-users", token=admin).json["id"]
    refused = edge.call("POST", f"jobs/{job_id}/retry", token=admin)
    assert refused.json["code"] == "INVALID_STATE"
    edge.tier.jobs[job_id].status = JOB_STATUS_FAILED
    answer = edge.call("POST", f"jobs/{job_id}/retry", token=admin)
    assert (answer.status_code, answer.json["status"]) == (202, "queued")
    assert answer.headers["Location"] == f"/api/v1/jobs/{job_id}"


def test_a_job_that_is_not_there_is_not_found(edge: Edge, admin: str) -> None:
    for method, path in (("GET", f"jobs/{UNKNOWN}"), ("POST", f"jobs/{UNKNOWN}/retry")):
        answer = edge.call(method, path, token=admin)
        assert (answer.status_code, answer.json["code"]) == (404, "JOB_NOT_FOUND")
    assert edge.call("GET", "jobs/7", token=admin).status_code == 400
    assert edge.call("GET", "jobs/bulk-email", token=admin).status_code == 405


def test_a_report_is_shown_in_decimals(edge: Edge, admin: str) -> None:
    edge.tier.reports["2026-11-20"] = DailyReport(
        date="2026-11-20",
        registrations=1,
        logins=2,
        orders=3,
        revenues=[CurrencyRevenue(currency_code="USD", revenue_minor=1999, orders=2)],
        top_products=[TopProduct(product_id=UNKNOWN, name="Lamp", quantity=4)],
        low_stock_products=[
            LowStockProduct(product_id=UNKNOWN, name="Lamp", stock=1, low_stock_threshold=5)
        ],
        created_time=timestamp_from(edge.tier.clock.now()),
    )
    answer = edge.call("GET", "reports/daily/2026-11-20", token=admin)
    assert answer.json == {
        "date": "2026-11-20",
        "registrations": 1,
        "logins": 2,
        "orders": 3,
        "revenues": [{"currency": "USD", "revenue": "19.99", "orders": 2}],
        "top_products": [{"product_id": UNKNOWN, "name": "Lamp", "quantity": 4}],
        "low_stock_products": [
            {"product_id": UNKNOWN, "name": "Lamp", "stock": 1, "low_stock_threshold": 5}
        ],
        "created_at": answer.json["created_at"],
    }
    missing = edge.call("GET", "reports/daily/2026-11-19", token=admin)
    assert (missing.status_code, missing.json["code"]) == (404, "NOT_FOUND")
    for date in ("20261120", "2026-02-30", "today"):
        bad = edge.call("GET", f"reports/daily/{date}", token=admin)
        assert list(bad.json["errors"]) == ["date"]
