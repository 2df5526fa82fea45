"""Files on their way out: deleted, given up, or left over by a crash."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, delete, or_, select, update

from repository_tier.blobs.store import BlobStore
from repository_tier.database import Database
from repository_tier.file_rows import DELETING, STORED, STORING, file_not_found
from repository_tier.file_usage import give_room_back
from repository_tier.outbox import OutboxEvent, append_events
from repository_tier.tables import files
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError
from tier_runtime.logs import get_logger

# To give up what did not come to its end, whose own time may be over.
TIDY_SECONDS = 5.0


class FileRemoval:
    """Takes files away: first their claim to be there, then their bytes, then their rows.

    Whatever ends this halfway leaves a row that says so, and the next sweep goes on with it.
    """

    def __init__(self, database: Database, blobs: BlobStore, clock: Clock) -> None:
        self._database = database
        self._blobs = blobs
        self._clock = clock

    def delete(self, file_id: str, events: Sequence[OutboxEvent], deadline: Deadline) -> None:
        """Delete a file. Once its transaction is through, so is this, whatever comes of the bytes.

        Raises:
            AppError: MISSING/FILE_NOT_FOUND.
        """
        now = self._clock.now()

        def work(connection: Connection) -> None:
            if not _condemn(connection, file_id, STORED):
                raise file_not_found()
            append_events(connection, events, now)

        self._database.write(deadline, work)
        self._tidy(file_id, deadline)

    def give_up(self, file_id: str, *, is_settled: bool) -> None:
        """Take away what is there of a file that is still on its way in; never raises.

        Where it is not settled, its bytes may come to be there later, after a time-out of the
        store: its row stays, so that a sweep looks for them once more.
        """
        deadline = Deadline.after(TIDY_SECONDS)
        try:
            found = self._database.write(
                deadline, lambda connection: _condemn(connection, file_id, STORING)
            )
        except AppError as error:
            get_logger(__name__).warning("file_left", file_id=file_id, error=error.code)
            return
        if found:
            self._tidy(file_id, deadline, is_settled=is_settled)

    def sweep(self, min_age: timedelta, limit: int, deadline: Deadline) -> tuple[int, int]:
        """Take away what is left over; return how many rows and drafts that was.

        Raises:
            AppError: UNAVAILABLE or DEADLINE; what could be taken away is.
        """
        before = self._clock.now() - min_age
        left_over = (
            select(files.c.id, files.c.state)
            .where(
                files.c.state.in_((STORING, DELETING)),
                or_(files.c.state == DELETING, files.c.created_time < before),
            )
            .order_by(files.c.created_time, files.c.id)
            .limit(limit)
        )
        rows = self._database.read(deadline, lambda connection: connection.execute(left_over).all())
        count, failure = 0, None
        for file_id, state in rows:
            try:
                count += self._swept(file_id, state, deadline)
            except AppError as error:
                # One that cannot go away keeps none behind it.
                failure = failure or error
        drafts = self._blobs.sweep(before, limit)
        if failure is not None:
            raise failure
        return count, drafts

    def _swept(self, file_id: str, state: str, deadline: Deadline) -> bool:
        deadline.check()
        # One that has come to its end meanwhile is left alone.
        if state == STORING and not self._database.write(
            deadline, lambda connection: _condemn(connection, file_id, STORING)
        ):
            return False
        self._take_away(file_id, deadline)
        return True

    def _tidy(self, file_id: str, deadline: Deadline, *, is_settled: bool = True) -> None:
        try:
            if is_settled:
                self._take_away(file_id, deadline)
            else:
                self._blobs.remove(file_id)
        except AppError as error:
            # It is not there for anybody any more; what is left of it is swept.
            get_logger(__name__).warning("file_left", file_id=file_id, error=error.code)

    def _take_away(self, file_id: str, deadline: Deadline) -> None:
        self._blobs.remove(file_id)
        gone = delete(files).where(files.c.id == file_id, files.c.state == DELETING)
        self._database.write(deadline, lambda connection: connection.execute(gone))


def _condemn(connection: Connection, file_id: str, state: str) -> bool:
    """Begin to take a file away that is in this state; False when none is."""
    condemned = update(files).where(files.c.id == file_id, files.c.state == state)
    if not connection.execute(condemned.values(state=DELETING)).rowcount:
        return False
    wanted = select(files.c.uploaded_by, files.c.size_bytes).where(files.c.id == file_id)
    user_id, size_bytes = connection.execute(wanted).one()
    give_room_back(connection, user_id, size_bytes)
    return True
