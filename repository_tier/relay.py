"""The relay: from the outbox into the log of events. Any number of them may run."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from repository_tier.database import Database
from repository_tier.event_log.log import EventLog
from repository_tier.outbox_claims import (
    claim,
    has_unpublished,
    mark_published,
    remove_published,
    unpublished_lag,
)
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError
from tier_runtime.logs import get_logger

# What a step may take. Of MySQL it takes so long at most to find that it is gone.
STEP_SECONDS = 5.0
# Between two steps that found something: a burst becomes a few batches, not a transaction each.
BUSY_SECONDS = 0.02
# After a failure: each one is a line in the log of whatever failed.
FAILED_SECONDS = 1.0
LOOK_AFTER_SECONDS = 1.0
REMOVE_SECONDS = 60.0
REMOVED_AT_ONCE = 500
# How long stopping waits for a step that is under way.
STOP_SECONDS = 10.0
# How long an event may wait before the log is told so, and how often it is told.
LATE_SECONDS = 10.0
TELL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How the relay works; times are in seconds."""

    poll_seconds: float
    batch: int
    kept_seconds: float


class Relay:
    """Publishes what is in the outbox, in a thread of its own."""

    def __init__(
        self, database: Database, log: EventLog, clock: Clock, settings: RelaySettings
    ) -> None:
        self._database = database
        self._log = log
        self._clock = clock
        self._settings = settings
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._told = get_logger(__name__)
        self._is_failing = False
        self._look_at = clock.monotonic()
        self._remove_at = clock.monotonic()
        self._tell_at = clock.monotonic()

    def start(self) -> None:
        """Begin to publish; once is enough."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="event relay", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop publishing, and return when the step under way is over."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def publish(self) -> int:
        """Publish one batch and return how many events it had.

        A crash at any line leaves the events in the outbox, in the log, or in both.

        Raises:
            AppError: UNAVAILABLE/SERVICE_UNAVAILABLE when a store is away; what was to be
                published stays.
        """
        deadline = Deadline.after(STEP_SECONDS)
        if not self._database.read(deadline, has_unpublished):
            return 0
        # Asked outside of the transaction: a log that is away must hold no locks here.
        most = min(self._log.room(), self._settings.batch)
        return self._database.write(deadline, lambda connection: self._move(connection, most))

    def look_after(self) -> None:
        """Do what is due now and then.

        Raises:
            AppError: UNAVAILABLE/SERVICE_UNAVAILABLE when a store is away.
        """
        at = self._clock.monotonic()
        if at >= self._tell_at:
            self._tell_at = at + TELL_SECONDS
            self._tell_lag()
        if at >= self._look_at:
            self._look_at = at + LOOK_AFTER_SECONDS
            self._log.look_after(self._clock.now())
        if at >= self._remove_at:
            self._remove_at = at + REMOVE_SECONDS
            self._remove()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                try:
                    moved = self.publish()
                finally:
                    # While nothing can be published it is told how late events are.
                    self.look_after()
            # The outermost frame of the thread: it must go on when the stores are back.
            except Exception as error:  # noqa: BLE001 - see above.
                self._tell_failure(error)
                pause = FAILED_SECONDS
            else:
                self._tell_success()
                pause = BUSY_SECONDS if moved else self._settings.poll_seconds
            self._stopped.wait(pause)

    def _move(self, connection: Connection, most: int) -> int:
        if most <= 0:
            return 0
        events = claim(connection, most)
        if events:
            now = self._clock.now()
            self._log.publish(connection, events, now)
            mark_published(connection, events, now)
        return len(events)

    def _remove(self) -> None:
        before = self._clock.now() - timedelta(seconds=self._settings.kept_seconds)
        removed = REMOVED_AT_ONCE
        while removed == REMOVED_AT_ONCE and not self._stopped.is_set():
            removed = self._database.write(
                Deadline.after(STEP_SECONDS),
                lambda connection: remove_published(connection, before, REMOVED_AT_ONCE),
            )

    def _tell_lag(self) -> None:
        now = self._clock.now()
        count, age = self._database.read(
            Deadline.after(STEP_SECONDS), lambda reader: unpublished_lag(reader, now)
        )
        if age is not None and age > LATE_SECONDS:
            self._told.warning("events_late", unpublished=count, oldest_seconds=round(age, 1))

    def _tell_failure(self, error: Exception) -> None:
        # One line when it begins and one when it ends, not five a second.
        if not self._is_failing:
            unexpected = {} if isinstance(error, AppError) else {"exc_info": error}
            self._told.warning("relay_failing", error=str(error), **unexpected)
        self._is_failing = True

    def _tell_success(self) -> None:
        if self._is_failing:
            self._told.info("relay_back")
        self._is_failing = False
