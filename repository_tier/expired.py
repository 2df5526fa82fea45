"""What nobody can use any more, and its removal in small transactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType

from sqlalchemy import Column, ColumnElement, Connection, delete, select

from arcana.repository.v1.cleanup_repository_pb2 import DeleteExpiredResponse
from repository_tier.database import Database
from repository_tier.jobs.rows import SUCCEEDED
from repository_tier.tables import (
    idempotency_keys,
    jobs,
    one_time_tokens,
    refresh_tokens,
    sessions,
)
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline

MOST_AT_ONCE = 500
# Longer than any event may be kept: a job's key is what an event that comes again is known by.
JOBS_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class _Kind:
    """Rows that are over some time after a moment that a column holds."""

    key: Column[str] | Column[bytes]
    moment: Column[datetime]
    kept: timedelta = timedelta()
    also: tuple[ColumnElement[bool], ...] = ()

    def is_over(self, now: datetime) -> tuple[ColumnElement[bool], ...]:
        return (*self.also, self.moment < now - self.kept)


# By the field of the answer that counts them.
_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "refresh_tokens": _Kind(refresh_tokens.c.token_sha256, refresh_tokens.c.expire_time),
        # For a while whoever presents one is told that it has expired.
        "one_time_tokens": _Kind(
            one_time_tokens.c.id, one_time_tokens.c.expire_time, timedelta(days=7)
        ),
        # Reports count them.
        "sessions": _Kind(sessions.c.id, sessions.c.expire_time, timedelta(days=30)),
        "idempotency_keys": _Kind(idempotency_keys.c.key_sha256, idempotency_keys.c.expire_time),
        "jobs": _Kind(jobs.c.id, jobs.c.finished_time, JOBS_KEPT, (jobs.c.status == SUCCEEDED,)),
    }
)


class Expired:
    """Removes what is over."""

    def __init__(self, database: Database, clock: Clock, most_at_once: int = MOST_AT_ONCE) -> None:
        self._database = database
        self._clock = clock
        self._most = most_at_once

    def delete(self, deadline: Deadline) -> DeleteExpiredResponse:
        """Remove some of each kind, each kind in a transaction of its own."""
        now = self._clock.now()
        counts = {
            name: self._database.write(deadline, partial(self._deleted, kind, now))
            for name, kind in _KINDS.items()
        }
        return DeleteExpiredResponse(
            **counts, has_more=any(count == self._most for count in counts.values())
        )

    def _deleted(self, kind: _Kind, now: datetime, connection: Connection) -> int:
        # Those that another one removes are passed over: two at once share the work.
        wanted = (
            select(kind.key)
            .where(*kind.is_over(now))
            .limit(self._most)
            .with_for_update(skip_locked=True)
        )
        keys = connection.scalars(wanted).all()
        if keys:
            connection.execute(delete(kind.key.table).where(kind.key.in_(keys)))
        return len(keys)
