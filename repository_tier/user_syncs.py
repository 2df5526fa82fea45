"""Which users wait for the external directory, and what it said to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Connection, func, select, update

from arcana.repository.v1 import user_sync_repository_pb2 as pb
from repository_tier.conversion import enum_word, user_from_row
from repository_tier.database import Database
from repository_tier.field_checks import FieldChecks
from repository_tier.tables import users
from repository_tier.user_rows import SYNC_PENDING, USER_COLUMNS
from tier_runtime.deadline import Deadline

MOST_AT_ONCE = 100
_WORDS: Mapping[int, str] = MappingProxyType(
    {pb.USER_SYNC_STATUS_SYNCED: "synced", pb.USER_SYNC_STATUS_FAILED: "failed"}
)


@dataclass(frozen=True, slots=True)
class UserSync:
    """What the directory said to a version of a user."""

    user_id: str
    version: int
    status: str


def pending_from_proto(request: pb.ListPendingUsersRequest) -> tuple[int, str]:
    """Check how many users are wanted, and behind which one.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks()
    size = checks.between("page_size", request.page_size or MOST_AT_ONCE, 1, MOST_AT_ONCE)
    after = request.after_user_id
    behind = checks.known_id("after_user_id", after) if after else ""
    checks.done()
    return size, behind


def syncs_from_proto(messages: Sequence[pb.UserSync]) -> list[UserSync]:
    """Check what is to be noted.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks()
    if len(messages) > MOST_AT_ONCE:
        checks.fault("syncs", f"More than {MOST_AT_ONCE}.")
        checks.done()
    found = [
        UserSync(
            checks.known_id(f"syncs[{number}].user_id", message.user_id),
            checks.not_negative(f"syncs[{number}].version", message.version),
            enum_word(_WORDS, checks, f"syncs[{number}].status", message.status),
        )
        for number, message in enumerate(messages)
    ]
    checks.done()
    return found


class UserSyncs:
    """Reads and writes how users stand to the directory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pending(self, size: int, behind: str, deadline: Deadline) -> pb.ListPendingUsersResponse:
        """Return users that wait, by their ids, and how many wait in all."""
        waiting = users.c.sync_status == SYNC_PENDING
        wanted = select(*USER_COLUMNS).where(waiting).order_by(users.c.id).limit(size)
        if behind:
            wanted = wanted.where(users.c.id > behind)
        counted = select(func.count()).select_from(users).where(waiting)

        def work(connection: Connection) -> pb.ListPendingUsersResponse:
            rows = connection.execute(wanted).mappings()
            return pb.ListPendingUsersResponse(
                users=[user_from_row(row) for row in rows],
                # For a type checker: COUNT without GROUP BY always has one row.
                pending=connection.scalar(counted) or 0,
            )

        return self._database.read(deadline, work)

    def record(self, syncs: Sequence[UserSync], deadline: Deadline) -> int:
        """Note what the directory said, and return of how many users.

        A user of another version has changed since: what the directory has is old.
        """

        def work(connection: Connection) -> int:
            return sum(
                connection.execute(
                    update(users)
                    .where(users.c.id == sync.user_id, users.c.version == sync.version)
                    .values(sync_status=sync.status)
                ).rowcount
                for sync in sorted(syncs, key=lambda each: each.user_id)
            )

        return self._database.write(deadline, work)
