"""Which jobs there are, and which of them the clock begins."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum

from tier_runtime.days import day_from
from tier_runtime.validation import invalid


class JobName(StrEnum):
    """A job by its name. The values are kept with the jobs: never change them."""

    SEND_EMAIL = "send-email"
    BULK_EMAIL = "bulk-email"
    SYNC_USERS = "sync-users"
    CLEANUP_TOKENS = "cleanup-tokens"
    CLEANUP_FILES = "cleanup-files"
    DAILY_REPORT = "daily-report"


# Those that the worker's schedule may ask for.
SCHEDULED = frozenset(
    {JobName.SYNC_USERS, JobName.CLEANUP_TOKENS, JobName.CLEANUP_FILES, JobName.DAILY_REPORT}
)


def scheduled_name(name: str) -> JobName:
    """Return the job that the schedule asks for.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, when it is none that a schedule may have.
    """
    if name not in SCHEDULED:
        raise invalid({"name": ["Not a job that is scheduled."]})
    return JobName(name)


def report_day(text: str, now: datetime) -> date:
    """Return the day, in UTC, that a report is asked for; yesterday without one.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, for what is no date, or one in the future.
    """
    if not text:
        return now.date() - timedelta(days=1)
    day = parsed_day(text)
    if day > now.date():
        raise invalid({"date": ["Must not be in the future."]})
    return day


def parsed_day(text: str) -> date:
    """Return the day that is written as `2026-11-30`.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, for what is no date.
    """
    try:
        return day_from(text)
    except ValueError:
        raise invalid({"date": ["Not a date such as 2026-11-30."]}) from None
