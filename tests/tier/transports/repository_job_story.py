"""The part of the repository tier's story that is about jobs and what they ask for."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.fakes.clock import FakeClock
from tests.tier.transports.plans import numbered_id
from tests.tier.transports.transcript import Transcript

NAME = 'Zoë 日本 \U0001f600 "\\/ %2F'
NOTHING = numbered_id(1, family=0xFFFF)
FIRST, SECOND, THIRD = (numbered_id(number, family=9) for number in (1, 2, 3))
LEASE, OTHER_LEASE = numbered_id(1, family=10), numbered_id(2, family=10)
FAILED = 4
DATE = FakeClock().now().date().isoformat()


def tell(transcript: Transcript) -> None:
    """Call every RPC of JobRepository and of what jobs ask for, well and badly."""
    _enqueued(transcript)
    _attempts(transcript)
    _lists(transcript)
    _asked_for(transcript)


def _enqueued(transcript: Transcript) -> None:
    call = transcript.call
    key = {"scope": "jobs", "key": "k", "fingerprint": hashlib.sha256(b"one").digest()}
    first = {"id": FIRST, "name": "send-email", "payload": NAME.encode(), "unique_key": "event:1"}
    call("JobRepository/EnqueueJobs", jobs=[first], idempotency_key=key)
    call("JobRepository/EnqueueJobs", jobs=[first], idempotency_key=key)
    other = key | {"fingerprint": hashlib.sha256(b"two").digest()}
    call("JobRepository/EnqueueJobs", jobs=[first], idempotency_key=other)
    due = {"seconds": 2**33, "nanos": 5000}
    second = {"id": SECOND, "name": "later", "due_time": due, "max_attempts": 1}
    third = {"id": THIRD, "name": "send-email", "max_attempts": 1}
    call("JobRepository/EnqueueJobs", jobs=[first | {"id": NOTHING}, second, third])
    call("JobRepository/EnqueueJobs", jobs=[{"id": "x", "unique_key": "a b"}])
    call("JobRepository/EnqueueJobs")


def _attempts(transcript: Transcript) -> None:
    call = transcript.call
    leased: dict[str, Any] = {"lease_id": LEASE, "lease_duration": {"seconds": 30, "nanos": 5000}}
    for job_id in (FIRST, FIRST, SECOND, NOTHING, "x"):
        call("JobRepository/StartJob", job_id=job_id, **leased)
    report = {"job_id": FIRST, "progress": {"done": 0, "total": 7}, "checkpoint": b"\x00\xff"}
    call("JobRepository/ReportJobProgress", **report, **leased)
    call("JobRepository/ReportJobProgress", **report, **leased | {"lease_id": OTHER_LEASE})
    call(
        "JobRepository/ReportJobProgress",
        **report | {"progress": {"done": 8, "total": 7}},
        **leased,
    )
    ended: dict[str, Any] = {"job_id": FIRST, "lease_id": LEASE}
    call("JobRepository/FinishJob", **ended, result={NAME[:3]: "1"})
    call("JobRepository/FinishJob", **ended, result={"what": NAME, "empty": ""})
    call("JobRepository/FinishJob", **ended)
    call("JobRepository/FinishJob", **ended | {"lease_id": OTHER_LEASE})
    call("JobRepository/StartJob", job_id=THIRD, **leased)
    error = {"code": "SERVICE_UNAVAILABLE", "message": NAME}
    call("JobRepository/FailJob", job_id=THIRD, lease_id=LEASE, error=error, permanent=True)
    call("JobRepository/FailJob", job_id=THIRD, lease_id=LEASE, error=error)
    call("JobRepository/FailJob", job_id=FIRST, lease_id=LEASE, error=error)
    call("JobRepository/FailJob", job_id=FIRST)
    call("JobRepository/GetJob", job_id=THIRD)
    for job_id in (THIRD, THIRD, NOTHING):
        call("JobRepository/RetryJob", job_id=job_id)


def _lists(transcript: Transcript) -> None:
    call = transcript.call
    for job_id in (FIRST, SECOND, THIRD, NOTHING, "a/b c?d=%20é", ""):
        call("JobRepository/GetJob", job_id=job_id)
    page: dict[str, Any] = {"page_size": 2, "descending": True}
    while True:
        part = call("JobRepository/ListJobs", page=page)
        if not part.page.next_cursor:
            break
        page = {"page_size": 2, "descending": True, "cursor": part.page.next_cursor}
    call("JobRepository/ListJobs", filter={"name": "later", "status": 1})
    call("JobRepository/ListJobs", filter={"status": FAILED})
    call("JobRepository/ListJobs", filter={"status": 99, "name": NAME})


def _asked_for(transcript: Transcript) -> None:
    call = transcript.call
    for date in (DATE, "2026-02-30", ""):
        call("ReportRepository/GetDailyReport", date=date)
        call("ReportRepository/MakeDailyReport", date=date)
    call("ReportRepository/GetDailyReport", date=DATE)
    call("CleanupRepository/DeleteExpired")
    waiting = call("UserSyncRepository/ListPendingUsers", page_size=1)
    call("UserSyncRepository/ListPendingUsers", after_user_id=waiting.users[0].id)
    call("UserSyncRepository/ListPendingUsers", page_size=101, after_user_id="x")
    said = {"user_id": waiting.users[0].id, "version": waiting.users[0].version, "status": 2}
    call("UserSyncRepository/RecordUserSyncs", syncs=[said, said | {"version": 99}])
    call("UserSyncRepository/RecordUserSyncs", syncs=[said | {"status": 1}])
    call("UserSyncRepository/RecordUserSyncs")
