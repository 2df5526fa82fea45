from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, event, insert, select

from repository_tier.engine import DEADLINE_OPTION, PoolSettings, make_engines
from repository_tier.totals import REMEMBERED_SECONDS, Totals
from tests.fakes.clock import FakeClock
from tier_runtime.deadline import Deadline

things = Table("things", MetaData(), Column("id", Integer, primary_key=True))
ALL, NONE = select(things.c.id), select(things.c.id).where(things.c.id < 0)


class Statements(list[str]):
    """What was asked of the database."""

    def note(self, *about: object) -> None:
        self.append(str(about[2]))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engines = make_engines(f"sqlite:///{tmp_path}/things.db", PoolSettings(8, 1.0, 1, 3.0))
    things.create(engines.writers)
    yield engines.readers
    engines.close()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield within_deadline(connection)


def within_deadline(connection: Connection) -> Connection:
    return connection.execution_options(**{DEADLINE_OPTION: Deadline.after(30)})


def add(connection: Connection, count: int) -> None:
    for _ in range(count):
        connection.execute(insert(things))


def test_a_short_list_is_counted_each_time(connection: Connection) -> None:
    totals = Totals(FakeClock(), exact_up_to=3)
    assert totals.total(connection, ALL, "all") == 0
    add(connection, 3)
    assert totals.total(connection, ALL, "all") == 3
    connection.execute(things.delete().where(things.c.id == 1))
    assert totals.total(connection, ALL, "all") == 2


def test_a_long_list_is_counted_to_its_end_and_remembered_for_a_time(
    connection: Connection,
) -> None:
    clock = FakeClock()
    totals = Totals(clock, exact_up_to=3)
    add(connection, 5)
    assert totals.total(connection, ALL, "all") == 5
    add(connection, 1)
    assert totals.total(connection, ALL, "all") == 5
    # Of another list nothing is known by that.
    assert totals.total(connection, NONE, "none") == 0
    assert totals.total(connection, ALL, "the same by another name") == 6
    clock.advance(REMEMBERED_SECONDS)
    assert totals.total(connection, ALL, "all") == 6
    connection.execute(things.delete().where(things.c.id > 1))
    clock.advance(REMEMBERED_SECONDS)
    assert totals.total(connection, ALL, "all") == 1


def test_what_is_remembered_is_not_asked_for(connection: Connection, engine: Engine) -> None:
    totals = Totals(FakeClock(), exact_up_to=3)
    add(connection, 4)
    asked = Statements()
    event.listen(engine, "before_cursor_execute", asked.note)
    totals.total(connection, ALL, "all")
    assert ["LIMIT" in statement for statement in asked] == [True, False]
    totals.total(connection, ALL, "all")
    assert len(asked) == 2


def test_of_more_lists_than_are_remembered_the_first_is_forgotten(connection: Connection) -> None:
    totals = Totals(FakeClock(), exact_up_to=1, max_remembered=2)
    add(connection, 2)
    for key in ("first", "second", "third"):
        assert totals.total(connection, ALL, key) == 2
    add(connection, 1)
    assert [totals.total(connection, ALL, key) for key in ("second", "third", "first")] == [2, 2, 3]


def test_many_at_once_all_get_the_total(engine: Engine) -> None:
    totals = Totals(FakeClock(), exact_up_to=1)
    together = Barrier(8)
    with engine.connect() as connection:
        add(connection, 9)

    def count(_number: int) -> int:
        with engine.connect() as connection:
            together.wait(10)
            return totals.total(within_deadline(connection), ALL, "all")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(count, range(8))) == {9}
