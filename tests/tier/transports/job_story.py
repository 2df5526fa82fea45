"""The part of the service tier's story that is about jobs."""

from __future__ import annotations

from typing import Any

from arcana.repository.v1.job_repository_pb2 import NewJob
from tests.fakes.clock import FakeClock
from tests.tier.transports.plans import numbered_id
from tests.tier.transports.transcript import Transcript
from tier_runtime.call import Actor

SYSTEM = Actor("system", frozenset({"admin"}))
NOTHING = numbered_id(1, family=0xFFFF)
NAME = 'Zoë 日本 \U0001f600 "\\/ %2F'
NOW = int(FakeClock().now().timestamp())
DATE = FakeClock().now().date().isoformat()
# The story is told where it is enqueued already. Nobody can do it, and it is tried once.
UNDOABLE = NewJob(id=numbered_id(1, family=0xDEAD), name="fold-laundry", max_attempts=1)


def tell(transcript: Transcript, customer: Actor) -> None:
    """Call every RPC of JobService, well and badly."""
    bulk, report = _enqueued(transcript, customer)
    _run(transcript, customer, bulk, report)
    _lists(transcript, customer, report)


def _enqueued(transcript: Transcript, customer: Actor) -> tuple[str, str]:
    call = transcript.call
    mail: dict[str, Any] = {
        "recipients": {"ids": [customer.subject, NOTHING]},
        "subject": NAME,
        "template": "announcement",
        "context": {"body": f"{NAME}\n\nBye.", "more": ""},
    }
    for actor in (None, customer):
        call("JobService/EnqueueBulkEmail", actor, **mail)
    bulk = call("JobService/EnqueueBulkEmail", SYSTEM, request_id="key-1", **mail).job
    call("JobService/EnqueueBulkEmail", SYSTEM, request_id="key-1", **mail)
    call("JobService/EnqueueBulkEmail", SYSTEM, request_id="key-1", **mail | {"subject": "x"})
    call("JobService/EnqueueBulkEmail", SYSTEM, **mail | {"recipients": {}, "context": {}})
    call("JobService/EnqueueBulkEmail", SYSTEM, **mail | {"recipients": None})
    for method in ("EnqueueUserSync", "EnqueueTokenCleanup", "EnqueueDailyReport"):
        for actor in (None, customer, SYSTEM):
            call(f"JobService/{method}", actor)
        call(f"JobService/{method}", SYSTEM, request_id="é")
    report = call("JobService/EnqueueDailyReport", SYSTEM, date=DATE).job
    call("JobService/EnqueueDailyReport", SYSTEM, date="2026-02-30")
    moment = {"seconds": NOW}
    for _ in range(2):
        call("JobService/ScheduleJob", SYSTEM, name="daily-report", scheduled_time=moment)
    call("JobService/ScheduleJob", SYSTEM, name="send-email", scheduled_time=moment)
    call("JobService/ScheduleJob", customer, name="sync-users", scheduled_time=moment)
    return bulk.id, report.id


def _run(transcript: Transcript, customer: Actor, bulk: str, report: str) -> None:
    call = transcript.call
    for job_id in (bulk, bulk, report, NOTHING, "x"):
        call("JobService/RunJob", SYSTEM, job_id=job_id)
    call("JobService/RunJob", customer, job_id=bulk)
    mails = call("JobService/ListJobs", SYSTEM, filter={"name": "send-email"}).jobs
    for job in mails:
        call("JobService/RunJob", SYSTEM, job_id=job.id)
        call("JobService/GetJob", SYSTEM, job_id=job.id)
    for job_id in (bulk, NOTHING):
        call("JobService/RetryJob", SYSTEM, job_id=job_id)
    call("JobService/RetryJob", customer, job_id=bulk)
    nobody = {"recipients": {"ids": ["nobody"]}, "subject": "s", "template": "announcement"}
    call("JobService/EnqueueBulkEmail", SYSTEM, **nobody, context={"body": "b"})
    for method in ("RunJob", "GetJob", "RetryJob", "GetJob"):
        call(f"JobService/{method}", SYSTEM, job_id=UNDOABLE.id)


def _lists(transcript: Transcript, customer: Actor, report: str) -> None:
    call = transcript.call
    for actor in (None, customer, SYSTEM):
        call("JobService/GetJob", actor, job_id=report)
        call("JobService/ListJobs", actor, page={"page_size": 2, "descending": True})
        call("JobService/GetDailyReport", actor, date=DATE)
    call("JobService/GetJob", SYSTEM, job_id="a/b c?d=%20é")
    call("JobService/GetJob", SYSTEM)
    call("JobService/ListJobs", SYSTEM, filter={"status": 99})
    call("JobService/ListJobs", SYSTEM, filter={"status": 3})
    call("JobService/GetDailyReport", SYSTEM, date="2026-01-01")
    call("JobService/GetDailyReport", SYSTEM, date="soon")
