"""Publishing: every job that is due and nobody has begun gets to the broker, whatever was lost."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from sqlalchemy import Connection, Select, select, update

from repository_tier.database import Database
from repository_tier.jobs.attempts import Failure, after_failure, changed_by
from repository_tier.jobs.broker import BrokerError
from repository_tier.jobs.rows import JOB_COLUMNS, QUEUED, RUNNING
from repository_tier.tables import jobs
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError
from tier_runtime.logs import get_logger

# How often the database is asked for what is due, when nobody tells.
POLL_SECONDS = 0.5
# How often it is asked for what was lost or abandoned.
MEND_SECONDS = 2.0
# How long stores that failed are left alone.
PAUSE_SECONDS = 2.0
WORK_SECONDS = 5.0
# More than so many messages the broker need not hold: the rows are the queue.
MOST_WAITING = 500
BATCH = 200
# A job that was published so long ago, and is not begun although no message waits, was lost.
LOST_AFTER = timedelta(seconds=10)
# One that was published so long ago is taken for lost although messages wait: where there are
# always some, nothing else would find it. If it was not lost, its second message is passed over.
LOST_AT_LAST_AFTER = timedelta(minutes=10)
LEASE_RAN_OUT = Failure(
    "DEADLINE_EXCEEDED", "Whoever worked on it ended, or took too long.", permanent=False
)

_log = get_logger(__name__)


class Publishes(Protocol):
    """What `Broker` does."""

    def publish(self, job_id: str) -> None:
        """Publish one job."""
        ...

    def waiting(self) -> int:
        """Return how many messages no worker has taken yet."""
        ...


class Sweep:
    """Looks once through the jobs; several processes may do so at the same time."""

    def __init__(self, database: Database, broker: Publishes, clock: Clock, random: Random) -> None:
        self._database = database
        self._broker = broker
        self._clock = clock
        self._random = random

    def once(self) -> int:
        """Do all of it once, and return how many jobs were published.

        Raises:
            AppError: the database cannot be used.
            BrokerError: the broker cannot be reached.
        """
        self.requeue_abandoned()
        # Before anything is published: what waits then is what workers have not come to.
        self.republish_lost()
        return self.publish_due()

    def requeue_abandoned(self) -> int:
        """Queue jobs whose lease has run out for another attempt, or give them up.

        Return how many there were.

        Raises:
            AppError: the database cannot be used.
        """
        now = self._clock.now()
        abandoned = (jobs.c.status == RUNNING, jobs.c.lease_expire_time < now)

        def work(connection: Connection) -> int:
            wanted = select(*JOB_COLUMNS).where(*abandoned).limit(BATCH)
            rows = connection.execute(wanted.with_for_update(skip_locked=True)).mappings().all()
            for row in rows:
                values = after_failure(row, LEASE_RAN_OUT, now, self._random)
                connection.execute(changed_by(values).where(jobs.c.id == row["id"]))
            return len(rows)

        if not self._ids(select(jobs.c.id).where(*abandoned).limit(1)):
            return 0
        return self._database.write(Deadline.after(WORK_SECONDS), work)

    def publish_due(self) -> int:
        """Publish jobs that are due, as many as the broker has room for.

        Return how many that were.

        Raises:
            AppError: the database cannot be used.
            BrokerError: the broker cannot be reached; they are published later.
        """
        due = (
            select(jobs.c.id)
            .where(
                jobs.c.status == QUEUED,
                jobs.c.published_time.is_(None),
                jobs.c.due_time <= self._clock.now(),
            )
            .order_by(jobs.c.due_time)
        )
        if not self._ids(due.limit(1)):
            return 0
        room = min(MOST_WAITING - self._broker.waiting(), BATCH)
        if room <= 0:
            return 0
        claimed = self._database.write(
            Deadline.after(WORK_SECONDS),
            lambda connection: self._claim(connection, due.limit(room)),
        )
        published = 0
        try:
            for job_id in claimed:
                self._broker.publish(job_id)
                published += 1
        finally:
            self._give_back(claimed[published:])
        return published

    def republish_lost(self) -> int:
        """Have jobs published again whose message was lost with a broker or a worker.

        As long as messages wait, no worker has had its chance, so nothing is known to be lost but
        what was published very long ago. Return how many there were.

        Raises:
            AppError: the database cannot be used.
            BrokerError: the broker cannot be reached.
        """
        now = self._clock.now()
        if not self._ids(_published_before(now - LOST_AFTER).limit(1)):
            return 0
        waited = LOST_AT_LAST_AFTER if self._broker.waiting() else LOST_AFTER
        found = self._ids(_published_before(now - waited).limit(BATCH))
        self._give_back(found)
        return len(found)

    def _ids(self, wanted: Select[str]) -> Sequence[str]:
        return self._database.read(
            Deadline.after(WORK_SECONDS), lambda connection: connection.scalars(wanted).all()
        )

    def _claim(self, connection: Connection, due: Select[str]) -> Sequence[str]:
        ids = connection.scalars(due.with_for_update(skip_locked=True)).all()
        if ids:
            connection.execute(
                update(jobs).where(jobs.c.id.in_(ids)).values(published_time=self._clock.now())
            )
        return ids

    def _give_back(self, ids: Sequence[str]) -> None:
        """Have jobs published, or published again; those that were begun meanwhile are left."""
        if not ids:
            return
        given_back = (
            update(jobs)
            .where(jobs.c.id.in_(ids), jobs.c.status == QUEUED)
            .values(published_time=None)
        )
        self._database.write(
            Deadline.after(WORK_SECONDS), lambda connection: connection.execute(given_back)
        )


def _published_before(moment: datetime) -> Select[str]:
    return select(jobs.c.id).where(jobs.c.status == QUEUED, jobs.c.published_time < moment)


class Publisher:
    """Sweeps in a thread of its own: when told, and every half second."""

    def __init__(self, sweep: Sweep, clock: Clock) -> None:
        self._sweep = sweep
        self._clock = clock
        self._mend_at = clock.monotonic()
        self._told = threading.Event()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job publisher", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def tell(self) -> None:
        """Say that there are jobs to publish."""
        self._told.set()

    def stop(self) -> None:
        """End, after the batch that is being published."""
        self._is_stopping.set()
        self._told.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            try:
                more = self._swept()
            # The outermost frame of the thread: without it no job would begin any more.
            except Exception as error:  # noqa: BLE001 - see above.
                unexpected = not isinstance(error, AppError | BrokerError)
                _log.warning(
                    "jobs_not_published",
                    error=type(error.__cause__ or error).__name__,
                    **({"exc_info": error} if unexpected else {}),
                )
                self._is_stopping.wait(PAUSE_SECONDS)
                continue
            if not more:
                self._told.wait(POLL_SECONDS)
                self._told.clear()

    def _swept(self) -> int:
        """Sweep, and return how many jobs were found."""
        if self._clock.monotonic() < self._mend_at:
            return self._sweep.publish_due()
        found = self._sweep.once()
        self._mend_at = self._clock.monotonic() + MEND_SECONDS
        return found
