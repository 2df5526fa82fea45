"""Reads of all that has an id and a version: one, several, and those of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table, select

from arcana.common.v1 import paging_pb2
from repository_tier.cache.entry import Entry
from repository_tier.cache.message_cache import Load, MessageCache, Versioned
from repository_tier.database import Database
from repository_tier.paging import Found, Order, Page, list_page
from repository_tier.totals import Totals
from tier_runtime.batches import Outcome
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError
from tier_runtime.wire import message_field

MessageT = TypeVar("MessageT", bound=Versioned)

# Leaves the rows that are wanted.
Filtered = Callable[[Select[Any]], Select[Any]]


@dataclass(frozen=True, slots=True)
class CachedKind(Generic[MessageT]):
    """A table of things with columns `id` and `version`, and how its rows become messages.

    `columns` are all that a message holds. A response of a single read has it as its field 1.
    """

    table: Table
    columns: Sequence[ColumnElement[Any]]
    from_row: Callable[[RowMapping], MessageT]
    not_found: Callable[[str], AppError]


class CachedReads(Generic[MessageT]):
    """Answers with serialized messages, from the cache where that is as good as the database.

    One thing by its id is what the cache has. A list is asked of the database, ids and versions
    only; the cache then gives the messages that are of these versions. So no list misses a change
    that was completed before it was asked for, whatever became of the cache.
    """

    def __init__(
        self,
        kind: CachedKind[MessageT],
        database: Database,
        cache: MessageCache[MessageT],
        totals: Totals,
    ) -> None:
        self._kind = kind
        self._database = database
        self._cache = cache
        self._totals = totals
        self._shown = frozenset(column.name for column in kind.columns if column.name)

    def get(self, id_: str, deadline: Deadline) -> bytes:
        """Return the serialized response of a read of one.

        Raises:
            AppError: there is none of this id.
        """
        body = self._cache.get(id_, self._loading(deadline), deadline)
        if body is None:
            raise self._kind.not_found(id_)
        return message_field(1, body)

    def get_many(
        self, wanted: Sequence[str | AppError], deadline: Deadline, *, fresh: bool = False
    ) -> Sequence[Outcome]:
        """Return for each id what `get` returns or raises; an error stays what it is.

        `fresh` ones are never from the cache.

        Raises:
            AppError: the database cannot be read, and none of them is in the cache.
        """
        ids = list(dict.fromkeys(one for one in wanted if isinstance(one, str)))
        outcomes = self._fresh(ids, deadline) if fresh else self._known_or_loaded(ids, deadline)
        return [outcomes[one] if isinstance(one, str) else one for one in wanted]

    def list(
        self, filtered: Filtered, digest: bytes, order: Order, page: Page, deadline: Deadline
    ) -> tuple[Sequence[bytes], paging_pb2.PageResult]:
        """Return one page of serialized messages, each as it is now.

        The digest tells one filter from another.

        Raises:
            AppError: INVALID/VALIDATION_FAILED, for a cursor of another list.
        """

        def found(columns: Iterable[ColumnElement[Any]]) -> Found:
            rows = filtered(select(*columns))
            return self._database.read(
                deadline,
                lambda connection: list_page(
                    connection, rows, order, page, digest, totals=self._totals
                ),
            )

        # Who walks by cursor reads everything once: the cache holds little of it, and keeping it
        # would push out what others ask for.
        if not page.cursor:
            narrow = found(dict.fromkeys((*self.identifying_columns(), order.column)))
            bodies = self.current(narrow.rows, deadline)
            if bodies is not None:
                return bodies, narrow.place
        columns = self._kind.columns
        whole = found(columns if order.column.name in self._shown else (*columns, order.column))
        return self.serialized(whole.rows), whole.place

    def identifying_columns(self) -> tuple[ColumnElement[Any], ...]:
        """Return what `current` needs of each row."""
        return self._kind.table.c.id, self._kind.table.c.version

    def current(self, rows: Sequence[RowMapping], deadline: Deadline) -> Sequence[bytes] | None:
        """Return the serialized messages of rows just read, in the versions that the rows tell.

        None when one of them has changed since, and perhaps belongs elsewhere: the caller then
        reads all of them by one statement, in which all are of the same moment.
        """
        versions = {row["id"]: row["version"] for row in rows}
        known = self._cache.known(versions)
        stale = [
            id_
            for id_, version in versions.items()
            if id_ not in known or known[id_].version != version
        ]
        if stale:
            known.update(self._cache.load(stale, self._loading(deadline), deadline))
        bodies = [
            entry.body
            for id_, version in versions.items()
            if (entry := known[id_]).body is not None and entry.version == version
        ]
        return bodies if len(bodies) == len(versions) else None

    def serialized(self, rows: Iterable[RowMapping]) -> Sequence[bytes]:
        """Return the serialized messages of rows that hold all columns."""
        return [self._kind.from_row(row).SerializeToString() for row in rows]

    def _known_or_loaded(self, ids: Sequence[str], deadline: Deadline) -> dict[str, Outcome]:
        known = self._cache.known(ids)
        outcomes = {id_: self._outcome(id_, entry) for id_, entry in known.items()}
        missing = [id_ for id_ in ids if id_ not in known]
        if missing:
            try:
                loaded = self._cache.load(missing, self._loading(deadline), deadline)
                outcomes.update((id_, self._outcome(id_, loaded[id_])) for id_ in missing)
            except AppError as error:
                if not known:
                    raise
                # Those that are known are answered, as they would be one by one.
                outcomes.update(dict.fromkeys(missing, error))
        return outcomes

    def _fresh(self, ids: Sequence[str], deadline: Deadline) -> dict[str, Outcome]:
        # No id at all is a batch of nothing but bad ones.
        found = self._cache.load_anew(ids, self._loading(deadline)) if ids else {}
        return {id_: self._outcome(id_, entry) for id_, entry in found.items()}

    def _outcome(self, id_: str, entry: Entry) -> Outcome:
        return self._kind.not_found(id_) if entry.body is None else message_field(1, entry.body)

    def _loading(self, deadline: Deadline) -> Load[MessageT]:
        return lambda ids: self._database.read(
            deadline, lambda connection: self._find(connection, ids)
        )

    def _find(self, connection: Connection, ids: Sequence[str]) -> Sequence[MessageT]:
        wanted = select(*self._kind.columns).where(self._kind.table.c.id.in_(ids))
        return [self._kind.from_row(row) for row in connection.execute(wanted).mappings()]
