from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from repository_tier.cache.redis_store import connect_redis
from repository_tier.engine import Engines, PoolSettings, make_engines
from repository_tier.store_spans import TracedRedis
from tests.tracing.recorded import CALLER, UNRECORDED, Recorded, parent_of
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline

POOL = PoolSettings(size=1, wait_seconds=1.0, connect_seconds=1, io_seconds=3.0)
NOBODY = "redis://127.0.0.1:1/0"


def call_in(traceparent: str) -> Call:
    return Call(Actor(), "r-1", Deadline.after(30), traceparent)


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def engines(recorded: Recorded, tmp_path: Path) -> Iterator[Engines]:
    engines = make_engines(f"sqlite:///{tmp_path}/people.db", POOL, recorded.tracing)
    with engines.writers.begin() as connection:
        connection.execute(text("CREATE TABLE people (email TEXT UNIQUE)"))
    yield engines
    engines.close()


def test_a_statement_in_a_traced_call_is_a_span_without_its_values(
    engines: Engines, recorded: Recorded
) -> None:
    with call_scope(call_in(CALLER)), engines.writers.begin() as connection:
        statement = text("INSERT INTO people (email) VALUES (:email)")
        connection.execute(statement, {"email": "ada@people.example"})
    # Before it comes the BEGIN of its transaction.
    *_, span = recorded.spans
    assert (span.name, parent_of(span)) == ("INSERT people", CALLER.split("-")[2])
    assert dict(span.attributes or {}) == {
        "db.system.name": "sqlite",
        "db.operation.name": "INSERT",
        "db.collection.name": "people",
        "db.query.text": "INSERT INTO people (email) VALUES (?)",
    }
    assert "ada@" not in span.to_json()


def test_a_statement_that_fails_tells_the_kind_of_error_and_not_its_text(
    engines: Engines, recorded: Recorded
) -> None:
    insert = text("INSERT INTO people (email) VALUES ('ada@people.example')")
    with engines.writers.begin() as connection:
        connection.execute(insert)
        with call_scope(call_in(CALLER)), pytest.raises(SQLAlchemyError):
            connection.execute(insert, {})
    span = recorded.only
    assert not span.status.is_unset
    assert span.status.description is None
    assert (span.attributes or {})["error.type"] == "IntegrityError"
    assert not span.events


@pytest.mark.parametrize("traceparent", ["", UNRECORDED])
def test_a_statement_outside_of_a_recorded_trace_is_none(
    engines: Engines, recorded: Recorded, traceparent: str
) -> None:
    with call_scope(call_in(traceparent)), engines.readers.connect() as connection:
        connection.execute(text("SELECT email FROM people"))
        with pytest.raises(SQLAlchemyError):
            connection.execute(text("SELECT nothing FROM nobody"))
    assert not recorded.spans


def test_a_command_to_redis_is_a_span_without_its_arguments(recorded: Recorded) -> None:
    client = connect_redis(NOBODY, 0.1, 1, recorded.tracing)
    with call_scope(call_in(CALLER)), pytest.raises(RedisError):
        client.get("arcana:cache:ada@people.example")
    client.close()
    span = recorded.only
    assert span.name == "GET"
    assert dict(span.attributes or {}) == {
        "db.system.name": "redis",
        "db.operation.name": "GET",
        "server.address": "127.0.0.1",
        "server.port": 1,
        "error.type": "ConnectionError",
    }
    assert "ada@" not in span.to_json()


def test_a_command_outside_of_a_recorded_trace_is_none(recorded: Recorded) -> None:
    client = connect_redis(NOBODY, 0.1, 1, recorded.tracing)
    with pytest.raises(RedisError):
        client.get("key")
    with call_scope(call_in(UNRECORDED)), pytest.raises(RedisError):
        client.get("key")
    client.close()
    assert not recorded.spans


def test_who_does_not_trace_has_the_usual_client() -> None:
    client = connect_redis(NOBODY, 0.1, 1)
    assert isinstance(client, Redis)
    assert not isinstance(client, TracedRedis)
    client.close()
