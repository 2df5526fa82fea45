"""The job `cleanup-tokens`: what nobody can use any more goes away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from arcana.repository.v1 import cleanup_repository_pb2
from service_tier.jobs.work import JobWork
from service_tier.repository import Repository

_KINDS = ("refresh_tokens", "one_time_tokens", "sessions", "idempotency_keys", "jobs")


class CleanupTokens:
    """Removes expired tokens, sessions, records and old jobs, some at a time."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def run(self, work: JobWork) -> Mapping[str, str]:
        """Remove until nothing is left to be removed, and say how much that was.

        Raises:
            AppError: the repository tier cannot be used.
            LeaseLostError: the job is no longer ours.
        """
        removed: Counter[str] = Counter(dict.fromkeys(_KINDS, 0))
        has_more = True
        while has_more:
            with work.step():
                answer = self._repository.cleanup.DeleteExpired(
                    cleanup_repository_pb2.DeleteExpiredRequest()
                )
            removed.update({kind: getattr(answer, kind) for kind in _KINDS})
            has_more = answer.has_more
            work.report(removed.total(), None)
        return {kind: str(count) for kind, count in removed.items()}
