"""The job `cleanup-files`: what crashes have left of uploads and deletions goes away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from arcana.repository.v1 import file_repository_pb2
from service_tier.jobs.work import JobWork
from service_tier.repository import Repository

# No upload may take a tenth of it.
LEFT_OVER_AGE = timedelta(hours=1)
# A sweep goes on as long as it finds so many at a time.
SWEPT_AT_A_TIME = 100


class CleanupFiles:
    """Takes away rows and drafts of files that did not come to their end, some at a time."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def run(self, work: JobWork) -> Mapping[str, str]:
        """Sweep until nothing is left to be swept, and say how much that was.

        Raises:
            AppError: the repository tier cannot be used.
            LeaseLostError: the job is no longer ours.
        """
        request = file_repository_pb2.SweepFilesRequest(
            min_age=Duration(seconds=int(LEFT_OVER_AGE.total_seconds())), limit=SWEPT_AT_A_TIME
        )
        removed = Counter(rows=0, drafts=0)
        has_more = True
        while has_more:
            with work.step():
                swept = self._repository.files.SweepFiles(request)
            removed.update(rows=swept.row_count, drafts=swept.draft_count)
            has_more = max(swept.row_count, swept.draft_count) >= SWEPT_AT_A_TIME
            work.report(removed.total(), None)
        return {kind: str(count) for kind, count in removed.items()}
