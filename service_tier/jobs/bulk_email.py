"""The job `bulk-email`: a mail to many users, as one job for each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import job_repository_pb2, user_pb2, user_repository_pb2
from service_tier.domain.mails import MailTemplate, WantedMail
from service_tier.jobs.work import JobWork
from service_tier.mail_jobs import MailJobs
from service_tier.repository import Repository

PAGE_SIZE = 100
# What a page's mails may be together: one message between tiers holds 4 MiB.
PAGE_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Place:
    """How far the job has come. `cursor` leads to the next page of all users."""

    done: int = 0
    total: int = 0
    cursor: str = ""

    @classmethod
    def read(cls, checkpoint: bytes) -> _Place:
        return cls(**json.loads(checkpoint)) if checkpoint else cls()

    def written(self) -> bytes:
        return json.dumps(asdict(self)).encode()


class BulkEmail:
    """Enqueues the mails page by page, from where an earlier attempt stopped.

    A page that was enqueued but not reported is enqueued again, and finds its jobs there: each
    user's mail has a unique key.
    """

    def __init__(self, repository: Repository, mail_jobs: MailJobs) -> None:
        self._repository = repository
        self._mail_jobs = mail_jobs

    def run(self, work: JobWork) -> Mapping[str, str]:
        """Enqueue all of the mails.

        Raises:
            AppError: the repository tier cannot be used.
            LeaseLostError: the job is no longer ours.
        """
        payload = json.loads(work.payload)
        place = _Place.read(work.checkpoint)
        # What a mail holds, and some room for its ids.
        mail_bytes = len(json.dumps(payload["facts"], ensure_ascii=False).encode()) + 500
        page_size = max(1, min(PAGE_SIZE, PAGE_BYTES // mail_bytes))
        is_last = False
        while not is_last:
            with work.step():
                user_ids, place = self._next(payload["user_ids"], place, page_size)
                self._enqueue(work.job_id, payload, user_ids)
            is_last = not place.cursor and place.done >= place.total
            work.report(place.done, place.total, place.written())
        return {"mails": str(place.done)}

    def _next(
        self, named: Sequence[str] | None, place: _Place, size: int
    ) -> tuple[Sequence[str], _Place]:
        """Return the users of the next page, and the place behind them."""
        if named is not None:
            user_ids = named[place.done : place.done + size]
            return user_ids, _Place(place.done + len(user_ids), len(named))
        listed = self._repository.users.ListUsers(
            user_repository_pb2.ListUsersRequest(
                filter=user_repository_pb2.UserFilter(status=user_pb2.USER_STATUS_ACTIVE),
                page=paging_pb2.PageRequest(page_size=size, cursor=place.cursor),
                # Who registers meanwhile comes last.
                sort=user_repository_pb2.USER_SORT_FIELD_ID,
            )
        )
        done = place.done + len(listed.users)
        # Counted on the first page; some may have come or gone since.
        total = max(place.total or listed.page.total, done) if listed.page.next_cursor else done
        return [user.id for user in listed.users], _Place(done, total, listed.page.next_cursor)

    def _enqueue(self, job_id: str, payload: Mapping[str, Any], user_ids: Sequence[str]) -> None:
        template = MailTemplate(payload["template"])
        jobs = [
            self._mail_jobs.new(
                WantedMail(template, user_id, payload["facts"]),
                unique_key=f"bulk:{job_id}:{user_id}",
            )
            for user_id in user_ids
        ]
        if jobs:
            self._repository.jobs.EnqueueJobs(job_repository_pb2.EnqueueJobsRequest(jobs=jobs))
