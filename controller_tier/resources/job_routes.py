"""The table of the routes below /jobs."""

from __future__ import annotations

from typing import Any

from controller_tier.access_table import AccessTable
from controller_tier.operations import Answer, Operation, Resource, View
from controller_tier.resources.examples import DAILY_REPORT, JOB, JOB_PAGE, USER_ID
from controller_tier.resources.jobs import JobViews
from controller_tier.schemas import jobs, reports

_JOB = Answer(200, "The job.", jobs.Job, JOB, ("ETag",))
_ENQUEUED = Answer(202, "The job.", jobs.Job, JOB, ("ETag", "Location", "Idempotent-Replay"))


def jobs_resource(views: JobViews, rpcs: AccessTable) -> Resource:
    """Return the rows below /jobs."""
    return Resource(
        "jobs",
        "Jobs: work that is done after the answer, for admins.",
        (*_enqueueing_rows(views, rpcs), *_single_rows(views, rpcs)),
    )


def _enqueueing_rows(views: JobViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    def row(path: str, name: str, view: View, summary: str, rpc: str, **more: Any) -> Operation:
        return Operation(
            "POST",
            f"/jobs/{path}",
            name,
            view,
            summary,
            (_ENQUEUED,),
            idempotent=True,
            rpc=rpcs.of(f"JobService/{rpc}"),
            **more,
        )

    return (
        row(
            "bulk-email",
            "enqueueBulkEmail",
            views.bulk_email,
            "Mail many users, each once.",
            "EnqueueBulkEmail",
            description="The job makes a job for each user's mail, and its progress counts those.",
            body=jobs.BulkEmailBody,
            body_example={
                "user_ids": [USER_ID],
                "subject": "We move on Sunday",
                "template": "announcement",
                "context": {"body": "From ten to eleven nothing can be ordered."},
            },
        ),
        row(
            "sync-users",
            "enqueueUserSync",
            views.sync_users,
            "Push new and changed users to the external directory.",
            "EnqueueUserSync",
        ),
        row(
            "cleanup-tokens",
            "enqueueTokenCleanup",
            views.cleanup_tokens,
            "Remove tokens, sessions and records whose time is over.",
            "EnqueueTokenCleanup",
        ),
        row(
            "daily-report",
            "enqueueDailyReport",
            views.daily_report,
            "Make a day's report, in the place of an earlier one.",
            "EnqueueDailyReport",
            body=jobs.DailyReportBody,
            body_example={"date": "2026-11-20"},
        ),
    )


def _single_rows(views: JobViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        Operation(
            "GET",
            "/jobs",
            "listJobs",
            views.list_jobs,
            "List jobs.",
            (Answer(200, "One page of jobs.", jobs.JobPage, JOB_PAGE),),
            query=jobs.JobsQuery,
            rpc=rpcs.of("JobService/ListJobs"),
        ),
        Operation(
            "GET",
            "/jobs/<id:id>",
            "getJob",
            views.get_job,
            "Show a job.",
            (_JOB,),
            problems=("JOB_NOT_FOUND",),
            conditional_read=True,
            rpc=rpcs.of("JobService/GetJob"),
        ),
        Operation(
            "POST",
            "/jobs/<id:id>/retry",
            "retryJob",
            views.retry_job,
            "Queue a job that was given up once more.",
            (Answer(202, "The job.", jobs.Job, JOB, ("ETag", "Location")),),
            description="Only from `failed`. It has all its attempts before it again, and goes on "
            "where it stopped.",
            problems=("JOB_NOT_FOUND", "INVALID_STATE"),
            rpc=rpcs.of("JobService/RetryJob"),
        ),
    )


def reports_resource(views: JobViews, rpcs: AccessTable) -> Resource:
    """Return the row below /reports."""
    return Resource(
        "reports",
        "Reports that jobs have made, for admins.",
        (
            Operation(
                "GET",
                "/reports/daily/<day:date>",
                "getDailyReport",
                views.get_daily_report,
                "Show what happened on a day, from midnight to midnight UTC.",
                (Answer(200, "The report.", reports.DailyReport, DAILY_REPORT),),
                description="It is made at two the night after, and when an admin asks for it.",
                problems=("NOT_FOUND",),
                rpc=rpcs.of("JobService/GetDailyReport"),
            ),
        ),
    )
