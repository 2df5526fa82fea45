"""The unit of work: one function, run in one transaction, against one deadline."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from threading import Event
from typing import TypeVar

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from repository_tier.engine import DEADLINE_OPTION, Engines
from repository_tier.metrics import DatabaseMeter
from repository_tier.store_errors import (
    app_error_of,
    is_dead_connection,
    is_deadlock,
    unavailable,
)
from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline
from tier_runtime.logs import get_logger

T = TypeVar("T")
Work = Callable[[Connection], T]

MAX_ATTEMPTS = 6
# The longest pause before the second attempt; it doubles with each one.
FIRST_PAUSE_SECONDS = 0.01
# A pooled connection that died meanwhile is found dead at once; a server that is silent takes
# the whole time-out to be found out, and asking it again would take that time once more.
QUICK_SECONDS = 0.5
PROBE_SECONDS = 1.0

_log = get_logger(__name__)


class Database:
    """Runs work against the database. Safe to use from several threads.

    Work gets a connection, may run more than once, and so must do nothing but read and write by
    that connection. Both methods raise AppError: UNAVAILABLE/SERVICE_UNAVAILABLE,
    DEADLINE/DEADLINE_EXCEEDED, and what the work itself raises.
    """

    def __init__(
        self,
        engines: Engines,
        clock: Clock,
        random: Random,
        meter: DatabaseMeter | None = None,
    ) -> None:
        self._engines = engines
        self._clock = clock
        self._random = random
        self._meter = meter
        # Nobody sets it: waiting on it is a pause.
        self._never = Event()

    def read(self, deadline: Deadline, work: Work[T]) -> T:
        """Run work that only reads, each statement for itself, and return its result."""

        def once() -> T:
            with self._connection("read", self._engines.readers) as connection:
                deadline.check()
                return work(connection.execution_options(**{DEADLINE_OPTION: deadline}))

        return self._until_done(once, deadline)

    def write(self, deadline: Deadline, work: Work[T]) -> T:
        """Run work in a transaction, commit it, and return its result.

        It is rolled back when the work raises or the deadline has passed meanwhile. After
        UNAVAILABLE or DEADLINE it may have been committed all the same.
        """

        def once() -> T:
            with self._connection("write", self._engines.writers) as connection:
                deadline.check()
                connection.execution_options(**{DEADLINE_OPTION: deadline})
                with connection.begin() as transaction:
                    result = work(connection)
                    deadline.check()
                    try:
                        transaction.commit()
                    except DBAPIError as error:
                        if is_deadlock(error):
                            raise
                        raise _OutcomeUnknownError from error
                    return result

        return self._until_done(once, deadline)

    def is_up(self) -> bool:
        """True when the database answers; for the health board."""
        self.read(Deadline.after(PROBE_SECONDS), lambda connection: connection.scalar(select(1)))
        return True

    def close(self) -> None:
        """Close the pools."""
        self._engines.close()

    def _connection(self, pool: str, engine: Engine) -> Connection:
        if self._meter is None:
            return engine.connect()
        with self._meter.waiting(pool):
            return engine.connect()

    def _until_done(self, once: Callable[[], T], deadline: Deadline) -> T:
        attempt = 0
        while True:
            attempt += 1
            deadline.check()
            began = self._clock.monotonic()
            try:
                return once()
            except _OutcomeUnknownError as error:
                _log.warning("commit_outcome_unknown", error=_name_of(error.__cause__))
                self._count_failure("OUTCOME_UNKNOWN")
                raise unavailable() from error
            except SQLAlchemyError as error:
                quick = self._clock.monotonic() - began < QUICK_SECONDS
                again = is_deadlock(error) or (is_dead_connection(error) and quick)
                if not again or attempt == MAX_ATTEMPTS:
                    shown = app_error_of(error)
                    if shown is None:
                        raise
                    self._count_failure(shown.code)
                    _log.warning("database_failed", error=_name_of(error), code=shown.code)
                    raise shown from error
            if self._meter is not None:
                self._meter.repeated()
            self._pause(attempt, deadline)

    def _count_failure(self, code: str) -> None:
        if self._meter is not None:
            self._meter.failed(code)

    def _pause(self, attempt: int, deadline: Deadline) -> None:
        # Victims of one deadlock that come back at the same moment would meet again.
        longest = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
        self._never.wait(min(self._random.uniform(0, longest), deadline.remaining()))


class _OutcomeUnknownError(Exception):
    """The connection was lost in the middle of COMMIT."""


def _name_of(error: BaseException | None) -> str:
    # The text may quote values. The driver's error begins with its number.
    cause = getattr(error, "orig", None) or error
    number = cause.args[0] if isinstance(cause, Exception) and cause.args else None
    return f"{type(cause).__name__} {number}" if isinstance(number, int) else type(cause).__name__
