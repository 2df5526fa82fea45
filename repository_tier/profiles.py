"""What users tell of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, insert, select, update

from arcana.repository.v1 import user_pb2
from repository_tier.conversion import profile_from_row
from repository_tier.database import Database
from repository_tier.outbox import OutboxEvent, append_events
from repository_tier.tables import user_profiles, users
from repository_tier.user_rows import lock_user, user_not_found
from repository_tier.versions import stale
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """A whole profile, to put in place of the present one.

    The version expected is 0 for a profile that was never written, and None for any.
    """

    user_id: str
    expected_version: int | None
    avatar_url: str
    bio: str
    phone: str


class Profiles:
    """Reads and writes profiles."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def get(self, user_id: str, deadline: Deadline) -> user_pb2.UserProfile:
        """Return a user's profile; one that was never written is empty, with version 0.

        Raises:
            AppError: MISSING/USER_NOT_FOUND.
        """
        # From the users' side, so that one statement tells "no profile" from "no user".
        wanted = (
            select(users.c.id, user_profiles)
            .join_from(users, user_profiles, isouter=True)
            .where(users.c.id == user_id)
        )
        row = self._database.read(
            deadline, lambda connection: connection.execute(wanted).mappings().first()
        )
        if row is None:
            raise user_not_found()
        if row["user_id"] is None:
            return user_pb2.UserProfile(user_id=user_id)
        return profile_from_row(row)

    def replace(
        self, change: ProfileChange, events: Sequence[OutboxEvent], deadline: Deadline
    ) -> user_pb2.UserProfile:
        """Replace a profile.

        Raises:
            AppError: MISSING/USER_NOT_FOUND; STALE/PRECONDITION_FAILED.
        """
        now = self._clock.now()
        user_id = change.user_id

        def work(connection: Connection) -> user_pb2.UserProfile:
            # The first profile has no row to lock yet, so the user's row stands for it.
            lock_user(connection, user_id)
            old = _find_profile(connection, user_id)
            version = 0 if old is None else old["version"]
            if change.expected_version not in (None, version):
                raise stale()
            values = {
                "avatar_url": change.avatar_url,
                "bio": change.bio,
                "phone": change.phone,
                "version": version + 1,
                "updated_time": now,
            }
            if old is None:
                connection.execute(insert(user_profiles).values(user_id=user_id, **values))
            else:
                connection.execute(
                    update(user_profiles).where(user_profiles.c.user_id == user_id).values(**values)
                )
            append_events(connection, events, now)
            return profile_from_row({"user_id": user_id, **values})

        return self._database.write(deadline, work)


def _find_profile(connection: Connection, user_id: str) -> RowMapping | None:
    wanted = select(user_profiles).where(user_profiles.c.user_id == user_id)
    return connection.execute(wanted).mappings().first()
