"""What Redis loses, the outbox still has: it is published again.

Redis may come back empty, or as it was some time ago: restarted without its file, or failed over
to a replica that was behind. So the database keeps for each group which run of Redis holds its
unsettled events, and up to when all that was published has been settled. When another run answers,
what was published since then is published again; what was settled already comes twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from redis import Redis
from sqlalchemy import Connection, or_, select, update

from repository_tier.database import Database
from repository_tier.event_log.groups import held_groups, insert_group
from repository_tier.event_log.redis_streams import (
    EventStreams,
    GroupKeys,
    GroupState,
    moment,
)
from repository_tier.tables import event_groups, outbox_events
from tier_runtime.deadline import Deadline
from tier_runtime.logs import get_logger

# Between the moment that stands with an event as its publication and its entry in the stream lies
# a step of the relay, which takes no longer.
PUBLISHING = timedelta(seconds=10)
# How much further a group must be before that is noted: each note is a write.
NOTE = timedelta(seconds=5)
DATABASE_SECONDS = 5.0
# What was lost is marked in one transaction, by statements that each find so many events: one
# statement for all of it might take longer than the database may be silent.
LOST_AT_ONCE = 5000
LOST_SECONDS = 60.0
# Of more refused events than that, the oldest one is not looked for.
MOST_REFUSED = 1000

_log = get_logger(__name__)


class LossRecovery:
    """Notes what each group has settled, and has published again what was lost."""

    def __init__(self, streams: EventStreams, client: Redis, database: Database) -> None:
        self._streams = streams
        self._client = client
        self._database = database

    def make_group(self, group: str, now: datetime, deadline: Deadline) -> None:
        """Make a group that Redis does not know; where the database does, Redis has lost it."""
        run_id = self._streams.run_id()

        def work(connection: Connection) -> None:
            this = event_groups.c.name == group
            known = connection.scalar(select(event_groups.c.name).where(this).with_for_update())
            if known is not None:
                connection.execute(update(event_groups).where(this).values(run_id=""))
                return
            insert_group(connection, group, run_id, now)

        # First here: what comes about in between is a loss that never was, and no loss unseen.
        self._database.write(deadline, work)
        self._streams.make_group(group)

    def hold_off(self, connection: Connection) -> None:
        """Keep others from publishing again what was lost, until this transaction is over.

        They would pass over what this one gave to a Redis that has lost it since, as long as it is
        not marked as published.
        """
        # Several relays do so at once; who publishes again waits for all of them.
        held_groups(connection)

    def look(self, now: datetime) -> None:
        """Look once at every group that the database knows."""
        deadline = Deadline.after(DATABASE_SECONDS)
        rows = self._database.read(
            deadline, lambda reader: reader.execute(select(event_groups)).mappings().all()
        )
        if not rows:
            return
        run_id = self._streams.run_id()
        states = self._streams.groups()
        for row in rows:
            if row["run_id"] != run_id:
                self._publish_again(row["name"], row["run_id"], run_id)
            elif row["name"] in states:
                settled = self._settled_until(row["name"], states[row["name"]], now)
                known = row["settled_time"]
                if settled is None or (known is not None and settled < known + NOTE):
                    continue
                # Nothing of this may have been read of a run that came in between.
                if self._streams.run_id() == run_id:
                    self._note(row["name"], run_id, settled, deadline)

    def oldest_unsettled(self, group: str, state: GroupState) -> float | None:
        """Return when the oldest event was published that waits for its first attempt to end."""
        held = self._streams.first_in_hand(group) if state.in_hand else None
        waits = self._streams.first_after(state.last_given) if state.waiting else None
        return min((each.published for each in (held, waits) if each is not None), default=None)

    def _settled_until(self, group: str, state: GroupState, now: datetime) -> datetime | None:
        oldest = self.oldest_unsettled(group, state)
        # Asked last: what was in hand a moment ago may have been refused meanwhile, and what was
        # refused is in hand by its place among them.
        refused: Any = self._client.zrange(GroupKeys.of(group).again, 0, MOST_REFUSED)
        if len(refused) > MOST_REFUSED:
            return None
        # Their entries' ids begin with when those were made, in milliseconds.
        made = [moment(int(each.partition(b"-")[0]) / 1000) - PUBLISHING for each in refused]
        held = [] if oldest is None else [moment(oldest)]
        return min([now - PUBLISHING, *made, *held])

    def _note(self, group: str, run_id: str, settled: datetime, deadline: Deadline) -> None:
        columns = event_groups.c
        statement = (
            update(event_groups)
            .where(
                columns.name == group,
                columns.run_id == run_id,
                or_(columns.settled_time.is_(None), columns.settled_time < settled),
            )
            .values(settled_time=settled)
        )
        self._database.write(deadline, lambda connection: connection.execute(statement))

    def _publish_again(self, group: str, lost_run: str, run_id: str) -> None:
        columns = event_groups.c

        def work(connection: Connection) -> int:
            row = (
                connection.execute(
                    select(event_groups)
                    .where(columns.name == group, columns.run_id == lost_run)
                    .with_for_update()
                )
                .mappings()
                .first()
            )
            # Another relay was quicker.
            if row is None:
                return 0
            count = _unpublish(connection, row["settled_time"])
            connection.execute(
                update(event_groups).where(columns.name == group).values(run_id=run_id)
            )
            return count

        again = self._database.write(Deadline.after(LOST_SECONDS), work)
        _log.warning("redis_lost_events", group=group, published_again=again)


def _unpublish(connection: Connection, since: datetime | None) -> int:
    """Put what was published since a moment, or at any time, back among what is to be published."""
    position, published = outbox_events.c.position, outbox_events.c.published_time
    order = select(position, published).order_by(published, position).limit(LOST_AT_ONCE)
    count = 0
    while True:
        lost = published.is_not(None) if since is None else published >= since
        page = connection.execute(order.where(lost).with_for_update()).all()
        if not page:
            return count
        positions = [row.position for row in page]
        these = update(outbox_events).where(position.in_(positions))
        connection.execute(these.values(published_time=None))
        count += len(page)
        since = page[-1].published_time
