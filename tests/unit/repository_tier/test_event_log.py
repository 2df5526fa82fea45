"""Rules of the log of events that need no store."""

from __future__ import annotations

import sqlite3
from typing import cast

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from sqlalchemy import create_engine, func, select

from repository_tier.event_log.event_times import SKEW, begin_of
from repository_tier.event_log.log import RetryRule
from repository_tier.event_log.redis_streams import is_no_group, redis_errors
from repository_tier.event_log.table_rows import give
from repository_tier.tables import event_deliveries
from tests.fakes.clock import FakeClock
from tier_runtime.errors import AppError, Kind
from tier_runtime.health import HealthBoard
from tier_runtime.server import Registration
from tier_runtime.tier import Tier


@pytest.mark.parametrize(
    ("attempt", "chance", "pause"),
    [(1, 1.0, 1.0), (1, 0.0, 0.5), (2, 1.0, 2.0), (4, 0.5, 6.0), (9, 1.0, 60.0), (99, 0.0, 30.0)],
)
def test_a_pause_doubles_to_its_longest_and_chance_halves_it_at_most(
    attempt: int, chance: float, pause: float
) -> None:
    rule = RetryRule(max_attempts=8, first_pause_seconds=1.0, longest_pause_seconds=60.0)
    assert rule.pause_after(attempt, chance) == pause


def test_an_id_tells_before_when_its_event_was_published() -> None:
    now = FakeClock().now()
    milliseconds = int(now.timestamp() * 1000)
    digits = f"{milliseconds:012x}"
    assert begin_of(f"{digits[:8]}-{digits[8:]}-7000-8000-000000000001") == now - SKEW


@pytest.mark.parametrize("digits", ["000000000000", "ffffffffffff", "e677d21fffff"])
def test_an_id_may_name_any_time_and_the_one_meant_is_one_that_stores_know(digits: str) -> None:
    begin = begin_of(f"{digits[:8]}-{digits[8:]}-7000-8000-000000000001")
    assert 1970 <= begin.year <= 9999
    assert begin.timestamp() > 0


def test_what_redis_cannot_do_is_unavailable() -> None:
    with pytest.raises(AppError) as caught, redis_errors():
        raise RedisConnectionError("no route")
    assert (caught.value.kind, caught.value.retry_after) == (Kind.UNAVAILABLE, 1.0)


def test_only_an_answer_that_says_so_means_that_there_is_no_group() -> None:
    assert is_no_group(ResponseError("NOGROUP No such key"))
    assert is_no_group(ResponseError("Error: NOGROUP No such consumer group, script: 1f"))
    assert not is_no_group(ResponseError("WRONGTYPE"))
    assert not is_no_group(RedisConnectionError("NOGROUP"))


def test_a_new_group_is_given_more_events_than_one_statement_takes() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        event_deliveries.create(connection)
        raw = cast("sqlite3.Connection", connection.connection.driver_connection)
        # SQLite's own; a distribution may allow more.
        raw.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766)
        give(connection, ["mails"], range(1, 6002), FakeClock().now())
        assert connection.scalar(select(func.count()).select_from(event_deliveries)) == 6001
    engine.dispose()


def test_what_a_tier_does_besides_begins_when_it_serves_and_drains_when_told() -> None:
    done: list[str] = []
    health = HealthBoard()
    tier = Tier(
        [Registration("arcana.x.v1.X", lambda _server: None)],
        health,
        [lambda: done.append("stopped")],
        [lambda: done.append("began")],
    )
    tier.open()
    assert done == ["began"]
    assert health.is_serving("arcana.x.v1.X")
    drains = [health.is_draining]
    tier.close()
    drains.append(health.is_draining)
    assert drains == [False, True]
    assert done == ["began", "stopped"]
