"""The unit of work against real databases: rolled back, repeated, given up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import pytest
from sqlalchemy import Connection, Engine, event, insert, make_url, select, text, update
from sqlalchemy.exc import ProgrammingError

from repository_tier.database import Database
from repository_tier.engine import Engines, PoolSettings, make_engines
from repository_tier.tables import roles
from tests.stores import Store, TcpRelay
from tier_runtime.clock import SystemClock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

POOL = PoolSettings(size=4, wait_seconds=0.2, connect_seconds=1, io_seconds=2.5)
UNAVAILABLE = (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")


@pytest.fixture
def engines(empty_store: Store) -> Iterator[Engines]:
    made = make_engines(empty_store.database_url, POOL)
    yield made
    made.close()


@pytest.fixture
def database(engines: Engines) -> Database:
    return Database(engines, SystemClock(), Random(1))


@pytest.fixture
def relay(real_store: Store) -> Iterator[TcpRelay]:
    with TcpRelay.to(real_store.database_url) as made:
        yield made


@pytest.fixture
def relayed_engines(relay: TcpRelay) -> Iterator[Engines]:
    made = make_engines(relay.url, POOL)
    yield made
    made.close()


@pytest.fixture
def relayed(relayed_engines: Engines) -> Database:
    return Database(relayed_engines, SystemClock(), Random(1))


def role_names(database: Database) -> set[str]:
    return set(
        database.read(soon(), lambda connection: connection.scalars(select(roles.c.name)).all())
    )


def soon(seconds: float = 5.0) -> Deadline:
    return Deadline.after(seconds)


def refused(caught: pytest.ExceptionInfo[AppError]) -> tuple[Kind, str]:
    return caught.value.kind, caught.value.code


def test_work_that_raises_leaves_nothing(database: Database) -> None:
    def work(connection: Connection) -> None:
        connection.execute(insert(roles).values(name="half"))
        raise AppError(Kind.CONFLICT, "INVALID_STATE", "No.")

    with pytest.raises(AppError) as caught:
        database.write(soon(), work)
    assert refused(caught) == (Kind.CONFLICT, "INVALID_STATE")
    assert "half" not in role_names(database)


def test_work_that_ends_after_its_deadline_leaves_nothing(database: Database) -> None:
    now = [0.0]
    deadline = Deadline.after(1.0, lambda: now[0])

    def work(connection: Connection) -> None:
        connection.execute(insert(roles).values(name="late"))
        now[0] = 2.0

    with pytest.raises(AppError) as caught:
        database.write(deadline, work)
    assert refused(caught) == (Kind.DEADLINE, "DEADLINE_EXCEEDED")
    assert "late" not in role_names(database)


def test_work_does_not_begin_after_its_deadline(database: Database) -> None:
    for run in (database.read, database.write):
        with pytest.raises(AppError) as caught:
            run(Deadline.after(-1), lambda _connection: pytest.fail("It began."))
        assert refused(caught) == (Kind.DEADLINE, "DEADLINE_EXCEEDED")


def test_a_fault_of_ours_stays_a_fault_of_ours(database: Database) -> None:
    with pytest.raises(Exception, match="no_such_table") as caught:
        database.read(
            soon(), lambda connection: connection.execute(text("SELECT * FROM no_such_table"))
        )
    assert not isinstance(caught.value, AppError)


def test_the_text_of_an_error_holds_no_values(database: Database) -> None:
    with pytest.raises(Exception, match="no_such_table") as caught:
        database.read(
            soon(),
            lambda connection: connection.execute(
                text("SELECT * FROM no_such_table WHERE a = :a"), {"a": "a secret"}
            ),
        )
    assert "a secret" not in str(caught.value)


def test_a_full_pool_is_told_soon(engines: Engines, database: Database) -> None:
    held = [engines.readers.connect() for _ in range(POOL.size)]
    try:
        with pytest.raises(AppError) as caught:
            database.read(soon(), lambda connection: connection.scalar(select(1)))
        assert refused(caught) == UNAVAILABLE
        assert caught.value.retry_after == 1.0
    finally:
        for connection in held:
            connection.close()
    assert database.is_up()


def test_a_writer_that_waits_too_long_is_told_so(store_engine: Engine, database: Database) -> None:
    with store_engine.begin() as other:
        other.execute(update(roles).where(roles.c.name == "user").values(name="user"))
        with pytest.raises(AppError) as caught:
            database.write(
                soon(),
                lambda connection: connection.execute(
                    update(roles).where(roles.c.name == "user").values(name="user")
                ),
            )
    assert refused(caught) == UNAVAILABLE
    # Readers go on meanwhile, and writers after it.
    database.write(soon(), lambda connection: connection.scalar(select(1)))


def test_connections_are_set_up_alike(database: Database, empty_store: Store) -> None:
    def settings(connection: Connection) -> list[object]:
        if empty_store.kind == "embedded":
            asked = ["PRAGMA foreign_keys", "PRAGMA journal_mode", "PRAGMA busy_timeout"]
        else:
            asked = ["SELECT @@time_zone", "SELECT @@innodb_lock_wait_timeout"]
        return [connection.scalar(text(question)) for question in asked]

    expected = [1, "wal", 1000] if empty_store.kind == "embedded" else ["+00:00", 2]
    assert database.read(soon(), settings) == expected
    assert database.write(soon(), settings) == expected


def test_what_does_not_fit_is_an_error_and_not_cut(relayed: Database) -> None:
    with pytest.raises(Exception, match="Data too long"):
        relayed.write(
            soon(), lambda connection: connection.execute(insert(roles).values(name="x" * 33))
        )


def test_transactions_that_deadlock_are_repeated(real_store: Store, relayed: Database) -> None:
    met = threading.Barrier(2)
    attempts = {"user": 0, "admin": 0}

    def locks(first: str, second: str) -> None:
        def work(connection: Connection) -> None:
            attempts[first] += 1
            connection.execute(select(roles).where(roles.c.name == first).with_for_update())
            if attempts[first] == 1:
                met.wait(5)
            connection.execute(select(roles).where(roles.c.name == second).with_for_update())

        relayed.write(soon(10), work)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(locks, "user", "admin"), pool.submit(locks, "admin", "user")]:
            done.result(10)
    assert sorted(attempts.values()) == [1, 2]


def test_a_deadlock_that_does_not_end_is_given_up(relayed: Database, real_store: Store) -> None:
    attempts = 0

    def work(connection: Connection) -> None:
        nonlocal attempts
        attempts += 1
        connection.execute(
            text("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'again'")
        )

    with pytest.raises(AppError) as caught:
        relayed.write(soon(), work)
    assert refused(caught) == UNAVAILABLE
    assert attempts == 6


def test_a_read_is_given_up_by_the_server_at_its_deadline(relayed: Database) -> None:
    with pytest.raises(AppError) as caught:
        relayed.read(
            soon(0.3),
            lambda connection: connection.scalar(
                text(
                    "SELECT COUNT(*) FROM information_schema.collations a, "
                    "information_schema.collations b, information_schema.collations c, "
                    "information_schema.collations d"
                )
            ),
        )
    assert refused(caught) == (Kind.DEADLINE, "DEADLINE_EXCEEDED")


def test_connections_that_died_in_the_pool_are_replaced(relay: TcpRelay, relayed: Database) -> None:
    for _ in range(2):
        assert relayed.read(soon(), lambda connection: connection.scalar(select(1))) == 1
        assert relayed.write(soon(), lambda connection: connection.scalar(select(1))) == 1
        relay.cut()
        relay.restore()


def test_a_server_that_is_gone_is_told_at_once(relay: TcpRelay, relayed: Database) -> None:
    relayed.is_up()
    relay.cut()
    for run in (relayed.read, relayed.write):
        with pytest.raises(AppError) as caught:
            run(soon(), lambda connection: connection.scalar(select(1)))
        assert refused(caught) == UNAVAILABLE
    relay.restore()
    assert relayed.is_up()


def test_a_silent_server_is_not_asked_twice(relay: TcpRelay, relayed: Database) -> None:
    relayed.is_up()
    clock = SystemClock()
    began = clock.monotonic()
    relay.stall()
    with pytest.raises(AppError) as caught:
        relayed.read(soon(20), lambda connection: connection.scalar(select(1)))
    assert refused(caught) == UNAVAILABLE
    assert clock.monotonic() - began < POOL.io_seconds * 1.8
    relay.restore()
    assert relayed.is_up()


def test_a_commit_whose_outcome_is_not_known_is_not_repeated(
    relay: TcpRelay, relayed_engines: Engines, relayed: Database
) -> None:
    attempts = 0

    def work(connection: Connection) -> None:
        nonlocal attempts
        attempts += 1
        connection.execute(update(roles).where(roles.c.name == "user").values(name="user"))

    def lose_connection(_connection: Connection) -> None:
        relay.cut()

    event.listen(relayed_engines.writers, "commit", lose_connection)
    with pytest.raises(AppError) as caught:
        relayed.write(soon(), work)
    assert refused(caught) == UNAVAILABLE
    assert attempts == 1


def test_a_wrong_password_at_run_time_is_no_fault_of_the_request(real_store: Store) -> None:
    url = make_url(real_store.database_url).set(password="wrong")
    engines = make_engines(url.render_as_string(hide_password=False), replace(POOL, size=1))
    try:
        with pytest.raises(AppError) as caught:
            Database(engines, SystemClock(), Random(1)).is_up()
        assert refused(caught) == UNAVAILABLE
    finally:
        engines.close()


def test_a_programming_error_of_mysql_is_not_hidden(relayed: Database) -> None:
    with pytest.raises(ProgrammingError):
        relayed.read(soon(), lambda connection: connection.scalar(text("SELECT * FROM nowhere")))
