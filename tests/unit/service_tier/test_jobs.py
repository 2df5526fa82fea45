"""Jobs as admins enqueue and read them, and as the worker has them run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import (
    cleanup_repository_pb2,
    file_repository_pb2,
    job_repository_pb2,
)
from arcana.service.v1 import job_pb2 as service_job_pb2
from arcana.service.v1 import job_service_pb2 as pb
from arcana.service.v1 import order_service_pb2
from service_tier.domain.mails import MailTemplate, WantedMail
from service_tier.jobs.cleanup_files import LEFT_OVER_AGE, SWEPT_AT_A_TIME
from service_tier.jobs.running import JobRunner
from service_tier.jobs.work import SPARE_SECONDS, JobWork
from service_tier.mail_jobs import MailJobs
from service_tier.repository import Repository
from tests.fakes.repository.jobs import KeptJob
from tests.unit.service_tier.harness import ADMIN, Harness
from tier_runtime.call import Actor, Call
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import Uuid7Source
from tier_runtime.timestamps import timestamp_from

USER = Actor("019aa000-0000-7000-8000-00000000000b", frozenset({"user"}))
BULK = pb.EnqueueBulkEmailRequest(
    subject="We move", template="announcement", context={"body": "On Sunday."}
)


def run(harness: Harness, job_id: str) -> pb.JobOutcome.ValueType:
    with harness.acting(ADMIN, seconds=300):
        return harness.jobs.RunJob(pb.RunJobRequest(job_id=job_id)).outcome


def kept(harness: Harness, job_id: str) -> KeptJob:
    return harness.repository.jobs.kept[job_id]


def enqueue(harness: Harness, job: job_repository_pb2.NewJob) -> str:
    jobs = Repository.over(harness.channel).jobs
    return jobs.EnqueueJobs(job_repository_pb2.EnqueueJobsRequest(jobs=[job])).jobs[0].id


def enqueue_mail(harness: Harness, mail: WantedMail) -> str:
    return enqueue(harness, MailJobs(Uuid7Source()).new(mail, unique_key=""))


def mails(harness: Harness) -> list[str]:
    folder = harness.settings.arcana_home / "mail"
    return [file.read_text() for file in sorted(folder.glob("*.eml"))]


CALLS: Mapping[str, Callable[[Harness], object]] = {
    "bulk": lambda harness: harness.jobs.EnqueueBulkEmail(BULK),
    "sync": lambda harness: harness.jobs.EnqueueUserSync(pb.EnqueueUserSyncRequest()),
    "cleanup": lambda harness: harness.jobs.EnqueueTokenCleanup(pb.EnqueueTokenCleanupRequest()),
    "report": lambda harness: harness.jobs.EnqueueDailyReport(pb.EnqueueDailyReportRequest()),
    "get": lambda harness: harness.jobs.GetJob(pb.GetJobRequest(job_id="x")),
    "list": lambda harness: harness.jobs.ListJobs(pb.ListJobsRequest()),
    "retry": lambda harness: harness.jobs.RetryJob(pb.RetryJobRequest(job_id="x")),
    "daily": lambda harness: harness.jobs.GetDailyReport(
        pb.GetDailyReportRequest(date="2026-11-20")
    ),
    "run": lambda harness: harness.jobs.RunJob(pb.RunJobRequest(job_id="x")),
    "schedule": lambda harness: harness.jobs.ScheduleJob(
        pb.ScheduleJobRequest(name="sync-users", scheduled_time=timestamp_from(harness.clock.now()))
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_all_of_it_is_for_admins(harness: Harness, name: str) -> None:
    with harness.acting(USER), pytest.raises(AppError) as refused:
        CALLS[name](harness)
    assert refused.value.code == "FORBIDDEN"


def test_an_admin_enqueues_reads_and_lists_jobs(harness: Harness) -> None:
    with harness.acting(ADMIN):
        job = harness.jobs.EnqueueUserSync(pb.EnqueueUserSyncRequest(request_id="k")).job
        again = harness.jobs.EnqueueUserSync(pb.EnqueueUserSyncRequest(request_id="k"))
        harness.jobs.EnqueueTokenCleanup(pb.EnqueueTokenCleanupRequest())
        assert (again.job, again.replayed) == (job, True)
        assert harness.jobs.GetJob(pb.GetJobRequest(job_id=job.id)).job == job
        listed = harness.jobs.ListJobs(
            pb.ListJobsRequest(filter=pb.JobFilter(name="sync-users"), page=PageRequest())
        )
        assert list(listed.jobs) == [job]
        with pytest.raises(AppError) as refused:
            harness.jobs.ListJobs(pb.ListJobsRequest(filter=pb.JobFilter(status=9)))  # type: ignore[arg-type]  # a newer peer's
    assert refused.value.field_errors.keys() == {"status"}


def test_a_report_is_of_yesterday_or_of_a_day_that_has_been(harness: Harness) -> None:
    with harness.acting(ADMIN):
        for date in ("", "2026-11-21"):
            harness.jobs.EnqueueDailyReport(pb.EnqueueDailyReportRequest(date=date))
        for date in ("2026-11-22", "20261120", "soon"):
            with pytest.raises(AppError) as refused:
                harness.jobs.EnqueueDailyReport(pb.EnqueueDailyReportRequest(date=date))
            assert refused.value.field_errors.keys() == {"date"}
    payloads = [
        json.loads(each.payload) for each in harness.repository.jobs.by_name("daily-report")
    ]
    assert payloads == [{"date": "2026-11-20"}, {"date": "2026-11-21"}]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"recipients": pb.UserIds()}, "recipients"),
        ({"recipients": pb.UserIds(ids=["x"] * 10_001)}, "recipients"),
        ({"recipients": pb.UserIds(ids=[ADMIN.subject, "two words"])}, "recipients"),
        ({"subject": "a\nb"}, "subject"),
        ({"subject": " "}, "subject"),
        ({"subject": "s" * 201}, "subject"),
        ({"template": "welcome"}, "template"),
        ({"context": {}}, "context"),
        ({"context": {"body": "b", "name": "n"}}, "context"),
        ({"context": {"body": "b" * 5001}}, "context"),
        ({"context": {f"k{number}": "" for number in range(21)}}, "context"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_mail_to_many_that_cannot_be_written_is_refused(
    harness: Harness, fields: dict[str, Any], fault: str
) -> None:
    usual = {"subject": "s", "template": "announcement", "context": {"body": "b"}}
    with harness.acting(ADMIN), pytest.raises(AppError) as refused:
        harness.jobs.EnqueueBulkEmail(pb.EnqueueBulkEmailRequest(**usual | fields))
    assert refused.value.field_errors.keys() == {fault}


def test_what_is_scheduled_is_enqueued_once_for_each_moment(harness: Harness) -> None:
    moment = timestamp_from(datetime(2026, 11, 21, 2, tzinfo=UTC))
    request = pb.ScheduleJobRequest(name="daily-report", scheduled_time=moment)
    with harness.acting(ADMIN):
        first = harness.jobs.ScheduleJob(request)
        again = harness.jobs.ScheduleJob(request)
        other = pb.ScheduleJobRequest(name="cleanup-tokens", scheduled_time=moment)
        assert harness.jobs.ScheduleJob(other).created
        for bad in (
            pb.ScheduleJobRequest(name="send-email", scheduled_time=moment),
            pb.ScheduleJobRequest(name="sync-users", scheduled_time=Timestamp()),
            pb.ScheduleJobRequest(
                name="daily-report",
                scheduled_time=timestamp_from(harness.clock.now() + timedelta(seconds=1)),
            ),
        ):
            with pytest.raises(AppError) as refused:
                harness.jobs.ScheduleJob(bad)
            assert refused.value.code == "VALIDATION_FAILED"
    assert (first.created, again.created, again.job_id) == (True, False, first.job_id)
    assert json.loads(kept(harness, first.job_id).payload) == {"date": "2026-11-20"}


def test_a_mail_is_sent_by_what_is_known_when_its_job_runs(harness: Harness) -> None:
    user = harness.register()
    order = placed_order(harness, user.id)
    product = harness.product("Low <lamp>", stock=1, low_stock_threshold=5)
    token_id = harness.events("auth.user_registered")[0].payload["token_id"]
    facts: dict[MailTemplate, dict[str, str]] = {
        MailTemplate.VERIFY_EMAIL: {"token_id": token_id},
        MailTemplate.PASSWORD_RESET: {"token_id": token_id},
        MailTemplate.LOW_STOCK: {"product_id": product.id},
        MailTemplate.OUT_OF_STOCK: {"product_id": product.id},
        MailTemplate.ANNOUNCEMENT: {"subject": "News", "body": "One.\n\nTwo."},
    }
    for template in MailTemplate:
        given = facts.get(template, {"order_id": order} if "order" in template else {})
        job_id = enqueue_mail(harness, WantedMail(template, user.id, given))
        assert run(harness, job_id) == pb.JOB_OUTCOME_SUCCEEDED, template
        message_id = f"<{job_id}@arcana.local>"
        assert dict(kept(harness, job_id).job.result) == {"message_id": message_id}
        text = (harness.settings.arcana_home / "mail" / f"{job_id}.eml").read_text()
        assert f"Message-ID: {message_id}" in text
        assert "To: Ada <ada@example.org>" in text
        assert "Hello Ada," in text
    assert len(mails(harness)) == len(MailTemplate)


def placed_order(harness: Harness, user_id: str) -> str:
    product = harness.product()
    with harness.acting(Actor(user_id, frozenset({"user"}))):
        request = order_service_pb2.PlaceOrderRequest(
            items=[order_service_pb2.OrderLine(product_id=product.id, quantity=2)]
        )
        return harness.orders.PlaceOrder(request).order.id


def test_links_hold_the_token_that_was_made(tmp_path: Path) -> None:
    harness = Harness(tmp_path, public_base_url="https://shop.example/app/")
    user = harness.register()
    token_id = harness.events("auth.user_registered")[0].payload["token_id"]
    run(
        harness,
        enqueue_mail(
            harness, WantedMail(MailTemplate.VERIFY_EMAIL, user.id, {"token_id": token_id})
        ),
    )
    (text,) = mails(harness)
    assert "https://shop.example/app/verify-email?token=" in text.replace("=\n", "")


def test_a_user_who_is_gone_gets_no_mail(harness: Harness) -> None:
    job_id = enqueue_mail(harness, WantedMail(MailTemplate.WELCOME, Uuid7Source().new_id()))
    assert run(harness, job_id) == pb.JOB_OUTCOME_SUCCEEDED
    assert "skipped" in kept(harness, job_id).job.result
    assert mails(harness) == []


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b'{"template": "none", "user_id": "u", "facts": {}}', b"\xff"],
    ids=["nothing", "a list", "no template", "no text"],
)
def test_a_poison_mail_ends_failed_at_once(harness: Harness, payload: bytes) -> None:
    job_id = enqueue_mail(harness, WantedMail(MailTemplate.WELCOME, "u"))
    kept(harness, job_id).payload = payload
    assert run(harness, job_id) == pb.JOB_OUTCOME_FAILED
    assert kept(harness, job_id).job.error.code == "VALIDATION_FAILED"


def test_a_mail_that_lacks_a_fact_ends_failed(harness: Harness) -> None:
    job_id = enqueue_mail(harness, WantedMail(MailTemplate.ORDER_PAID, "u"))
    assert run(harness, job_id) == pb.JOB_OUTCOME_FAILED
    assert "order_id" in kept(harness, job_id).job.error.message


def test_a_job_that_crashes_is_tried_again_and_given_up_in_the_end(harness: Harness) -> None:
    with harness.acting(ADMIN):
        job = harness.jobs.EnqueueDailyReport(pb.EnqueueDailyReportRequest()).job
    kept(harness, job.id).payload = b"{}"
    outcomes = []
    for _ in range(8):
        outcomes.append(run(harness, job.id))
        harness.clock.advance(3600)
    assert outcomes == [pb.JOB_OUTCOME_POSTPONED] * 7 + [pb.JOB_OUTCOME_FAILED]
    error = kept(harness, job.id).job.error
    assert (error.code, error.message) == ("INTERNAL_ERROR", "KeyError.")
    kept(harness, job.id).payload = b'{"date": "2026-11-20"}'
    with harness.acting(ADMIN):
        retried = harness.jobs.RetryJob(pb.RetryJobRequest(job_id=job.id)).job
        assert retried.status == service_job_pb2.JOB_STATUS_QUEUED
        with pytest.raises(AppError) as refused:
            harness.jobs.RetryJob(pb.RetryJobRequest(job_id=job.id))
    assert refused.value.code == "INVALID_STATE"
    assert run(harness, job.id) == pb.JOB_OUTCOME_SUCCEEDED
    with harness.acting(ADMIN):
        request = pb.GetDailyReportRequest(date="2026-11-20")
        assert harness.jobs.GetDailyReport(request).report.date == "2026-11-20"
        with pytest.raises(AppError) as missing:
            harness.jobs.GetDailyReport(pb.GetDailyReportRequest(date="2026-11-19"))
    assert missing.value.code == "NOT_FOUND"


def test_a_job_that_nobody_knows_waits_for_a_newer_build(harness: Harness) -> None:
    job = job_repository_pb2.NewJob(id=Uuid7Source().new_id(), name="fold-laundry")
    assert run(harness, enqueue(harness, job)) == pb.JOB_OUTCOME_POSTPONED
    assert kept(harness, job.id).job.error.code == "NOT_FOUND"


def test_a_job_that_has_ended_or_is_not_there_is_skipped(harness: Harness) -> None:
    user = harness.register()
    job_id = enqueue_mail(harness, WantedMail(MailTemplate.WELCOME, user.id))
    assert run(harness, job_id) == pb.JOB_OUTCOME_SUCCEEDED
    assert run(harness, job_id) == pb.JOB_OUTCOME_SKIPPED
    assert run(harness, Uuid7Source().new_id()) == pb.JOB_OUTCOME_SKIPPED


def test_a_job_that_somebody_else_has_by_now_is_left_alone(harness: Harness) -> None:
    user = harness.register()
    job_id = enqueue_mail(harness, WantedMail(MailTemplate.WELCOME, user.id))

    def take_over(_request: object) -> None:
        kept(harness, job_id).lease_id = "another's"

    harness.channel.before["FinishJob"] = take_over
    assert run(harness, job_id) == pb.JOB_OUTCOME_SKIPPED

    with harness.acting(ADMIN):
        bulk = harness.jobs.EnqueueBulkEmail(BULK).job

    def take_bulk(_request: object) -> None:
        kept(harness, bulk.id).lease_id = "another's"

    harness.channel.before["ReportJobProgress"] = take_bulk
    assert run(harness, bulk.id) == pb.JOB_OUTCOME_SKIPPED


@pytest.mark.parametrize("method", ["StartJob", "FinishJob"])
def test_a_repository_tier_that_is_down_is_told_to_the_worker(tmp_path: Path, method: str) -> None:
    harness = Harness(tmp_path, job_lease_seconds=2)
    user = harness.register()
    job_id = enqueue_mail(harness, WantedMail(MailTemplate.WELCOME, user.id))
    down = AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    def fail(_request: object) -> None:
        raise down

    harness.channel.before[method] = fail
    with pytest.raises(AppError) as told:
        run(harness, job_id)
    assert told.value is down


@pytest.mark.parametrize(
    "failure",
    [(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE"), (Kind.DEADLINE, "DEADLINE_EXCEEDED")],
    ids=["down", "silent"],
)
def test_a_mail_that_was_sent_is_noted_by_a_repository_tier_that_comes_back(
    harness: Harness, failure: tuple[Kind, str]
) -> None:
    user = harness.register()
    job_id = enqueue_mail(harness, WantedMail(MailTemplate.WELCOME, user.id))
    failures = [AppError(*failure, "Away.")] * 2

    def fail(_request: object) -> None:
        if failures:
            raise failures.pop()

    harness.channel.before["FinishJob"] = fail
    assert run(harness, job_id) == pb.JOB_OUTCOME_SUCCEEDED


def test_the_time_for_work_is_counted_from_before_the_lease_was_asked_for(
    harness: Harness,
) -> None:
    ends: list[float] = []

    class Work:
        def run(self, work: JobWork) -> Mapping[str, str]:
            ends.append(work.deadline.at)
            work.report(1, None)
            ends.append(work.deadline.at)
            return {}

    asked: list[float] = []
    for method in ("StartJob", "ReportJobProgress"):
        harness.channel.before[method] = lambda _request: asked.append(time.monotonic())
    job = job_repository_pb2.NewJob(id=Uuid7Source().new_id(), name="work")
    enqueue(harness, job)
    length = timedelta(seconds=30)
    runner = JobRunner(Repository.over(harness.channel), {"work": Work()}, Uuid7Source(), length)
    runner.run(Call(ADMIN, "request-1", Deadline.after(300)), job.id)
    for end, moment in zip(ends, asked, strict=True):
        assert end <= moment + 30 - SPARE_SECONDS


def test_mail_to_many_is_one_job_for_each_user_and_counts_them(harness: Harness) -> None:
    ids = [Uuid7Source().new_id() for _ in range(230)]
    with harness.acting(ADMIN):
        request = pb.EnqueueBulkEmailRequest(recipients=pb.UserIds(ids=[*ids, ids[0]]))
        request.MergeFrom(BULK)
        job = harness.jobs.EnqueueBulkEmail(request).job
    assert run(harness, job.id) == pb.JOB_OUTCOME_SUCCEEDED
    written = [json.loads(each.payload) for each in made(harness)]
    assert sorted(mail["user_id"] for mail in written) == sorted(ids)
    assert {mail["facts"]["body"] for mail in written} == {"On Sunday."}
    done = kept(harness, job.id).job
    assert (done.progress.done, done.progress.total) == (230, 230)
    assert dict(done.result) == {"mails": "230"}


def test_mail_to_many_that_is_long_goes_between_tiers_in_parts(harness: Harness) -> None:
    sizes: list[int] = []
    harness.channel.before["EnqueueJobs"] = lambda request: sizes.append(request.ByteSize())
    ids = [Uuid7Source().new_id() for _ in range(120)]
    with harness.acting(ADMIN):
        request = pb.EnqueueBulkEmailRequest(recipients=pb.UserIds(ids=ids))
        request.MergeFrom(BULK)
        request.context.update({"body": "\U0001f600" * 5000, "more": "\U0001f600" * 5000})
        job = harness.jobs.EnqueueBulkEmail(request).job
    assert run(harness, job.id) == pb.JOB_OUTCOME_SUCCEEDED
    assert len(made(harness)) == 120
    assert max(sizes) < 3 * 1024 * 1024


@pytest.mark.parametrize("lost", ["EnqueueJobs", "ReportJobProgress"])
def test_mail_to_all_goes_on_where_it_stopped_and_nobody_gets_two(
    harness: Harness, lost: str
) -> None:
    ids = {harness.create(f"user-{number}@example.org").id for number in range(205)}
    with harness.acting(ADMIN):
        job = harness.jobs.EnqueueBulkEmail(BULK).job
    calls = 0

    def fail_the_second(_request: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    harness.channel.before[lost] = fail_the_second
    assert run(harness, job.id) == pb.JOB_OUTCOME_POSTPONED
    assert kept(harness, job.id).job.progress.done == 100
    assert kept(harness, job.id).job.progress.total == 205
    late = harness.create("late@example.org").id
    harness.clock.advance(10)
    assert run(harness, job.id) == pb.JOB_OUTCOME_SUCCEEDED
    mailed = [json.loads(each.payload)["user_id"] for each in made(harness)]
    assert sorted(mailed) == sorted(ids | {late})
    assert kept(harness, job.id).job.progress.done == 206


def made(harness: Harness) -> list[KeptJob]:
    return harness.repository.jobs.by_name("send-email")


def test_cleanup_goes_on_until_nothing_is_left(harness: Harness) -> None:
    response = cleanup_repository_pb2.DeleteExpiredResponse
    harness.repository.cleanup.answers = [
        response(refresh_tokens=500, sessions=3, has_more=True),
        response(refresh_tokens=7, jobs=1),
    ]
    with harness.acting(ADMIN):
        job = harness.jobs.EnqueueTokenCleanup(pb.EnqueueTokenCleanupRequest()).job
    assert run(harness, job.id) == pb.JOB_OUTCOME_SUCCEEDED
    done = kept(harness, job.id).job
    assert dict(done.result) == {
        "refresh_tokens": "507",
        "one_time_tokens": "0",
        "sessions": "3",
        "idempotency_keys": "0",
        "jobs": "1",
    }
    assert (done.progress.done, done.progress.HasField("total")) == (511, False)


def test_the_cleanup_of_files_sweeps_until_nothing_is_found(harness: Harness) -> None:
    answer = file_repository_pb2.SweepFilesResponse
    harness.repository.files.swept = [
        answer(row_count=SWEPT_AT_A_TIME, draft_count=3),
        answer(row_count=2, draft_count=SWEPT_AT_A_TIME),
        answer(row_count=1),
    ]
    asked: list[file_repository_pb2.SweepFilesRequest] = []
    harness.channel.before["SweepFiles"] = asked.append
    request = pb.ScheduleJobRequest(
        name="cleanup-files", scheduled_time=timestamp_from(harness.clock.now())
    )
    with harness.acting(ADMIN):
        job_id = harness.jobs.ScheduleJob(request).job_id
    assert run(harness, job_id) == pb.JOB_OUTCOME_SUCCEEDED
    done = kept(harness, job_id).job
    found = SWEPT_AT_A_TIME + 3
    assert dict(done.result) == {"rows": str(found), "drafts": str(found)}
    assert (done.progress.done, done.progress.HasField("total")) == (2 * found, False)
    assert len(asked) == 3
    assert asked[0].min_age == Duration(seconds=int(LEFT_OVER_AGE.total_seconds()))
