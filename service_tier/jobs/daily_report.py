"""The job `daily-report`: what happened on one day."""

from __future__ import annotations

import json
from collections.abc import Mapping

from arcana.repository.v1 import report_repository_pb2
from service_tier.jobs.work import JobWork
from service_tier.repository import Repository


class DailyReport:
    """Has a day's report made, in the place of an earlier one."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def run(self, work: JobWork) -> Mapping[str, str]:
        """Make the report.

        Raises:
            AppError: the repository tier cannot be used.
        """
        date = json.loads(work.payload)["date"]
        with work.step():
            self._repository.reports.MakeDailyReport(
                report_repository_pb2.MakeDailyReportRequest(date=date)
            )
        return {"date": date}
