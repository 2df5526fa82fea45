"""Jobs as they are read: from the database, never from the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import job_pb2, job_repository_pb2
from repository_tier.conversion import enum_word
from repository_tier.database import Database
from repository_tier.field_checks import FieldChecks
from repository_tier.jobs.rows import JOB_COLUMNS, JOB_STATUS_WORDS, job_from_row, read_job
from repository_tier.paging import Order, Page, list_page, walked
from repository_tier.tables import jobs
from repository_tier.totals import Totals
from tier_runtime.deadline import Deadline


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are wanted; empty means any. `digest` tells one filter from another."""

    status: str
    name: str
    digest: bytes


def filter_from_proto(message: job_repository_pb2.JobFilter) -> Filter:
    """Check a filter.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks("filter.")
    found = Filter(
        status=enum_word(JOB_STATUS_WORDS, checks, "status", message.status)
        if message.status
        else "",
        name=checks.word("name", message.name, 64) if message.name else "",
        digest=message.SerializeToString(deterministic=True),
    )
    checks.done()
    return found


class JobLists:
    """Reads jobs."""

    def __init__(self, database: Database, totals: Totals) -> None:
        self._database = database
        self._totals = totals

    def get(self, job_id: str, deadline: Deadline) -> job_pb2.Job:
        """Return a job.

        Raises:
            AppError: MISSING/JOB_NOT_FOUND.
        """
        return self._database.read(deadline, lambda connection: read_job(connection, job_id))

    def list(
        self, wanted: Filter, page: Page, deadline: Deadline, *, descending: bool
    ) -> tuple[Sequence[job_pb2.Job], paging_pb2.PageResult]:
        """Return one page of jobs, in the order in which they were enqueued.

        Raises:
            AppError: INVALID/VALIDATION_FAILED, for a cursor of another list.
        """
        fixed: list[ColumnElement[Any]] = []
        rows = select(*JOB_COLUMNS)
        for column, value in ((jobs.c.status, wanted.status), (jobs.c.name, wanted.name)):
            if value:
                fixed.append(column)
                rows = rows.where(column == value)
        order = walked(Order(jobs.c.created_time, jobs.c.id, datetime, descending), fixed)
        found = self._database.read(
            deadline,
            lambda connection: list_page(
                connection, rows, order, page, wanted.digest, totals=self._totals
            ),
        )
        return [job_from_row(row) for row in found.rows], found.place
