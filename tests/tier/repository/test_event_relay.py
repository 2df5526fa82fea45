"""The relay: any number of them, in order, and whatever becomes of Redis."""

from __future__ import annotations

import io
import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Connection, select, update

from arcana.repository.v1 import event_repository_pb2 as pb
from repository_tier.outbox_claims import claim, mark_published
from repository_tier.tables import event_groups, outbox_events
from tests.stores import Store
from tests.stores.relay import TcpRelay
from tests.stores.waiting import eventually
from tests.tier.repository.conftest import StartTier
from tests.tier.repository.event_flow import (
    FAILED,
    RelayAlone,
    after_retry,
    append,
    consume,
    ids,
    publish_all,
    relay_on,
    settle,
)
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier
from tier_runtime.clock import SystemClock
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import configure_logging


@pytest.fixture
def log() -> io.StringIO:
    """What is logged from now on."""
    stream = io.StringIO()
    configure_logging("repository", "info", stream)
    return stream


@pytest.fixture
def tier(start_tier: StartTier) -> RunningTier:
    return start_tier(tier_clock=SystemClock())


@pytest.fixture
def real(empty_store: Store) -> Store:
    """The store, where it is a real one."""
    if not empty_store.redis_url:
        pytest.skip("There is nothing to lose without Redis.")
    return empty_store


def test_several_relays_publish_each_event_once_and_in_order_for_each_aggregate(
    tier: RunningTier, empty_store: Store, make: Requests
) -> None:
    aggregates = [make.new_id() for _ in range(5)]
    wanted: dict[str, list[str]] = {each: [] for each in aggregates}
    for number in range(60):
        aggregate = aggregates[number % 5]
        wanted[aggregate] += append(
            tier.events, make.event(type="user.updated", aggregate_id=aggregate)
        )
    # The embedded store has one owner, and its relay is the only one.
    count = 4 if empty_store.redis_url else 1
    with ExitStack() as stack:
        relays = [
            stack.enter_context(relay_on(empty_store, SystemClock(), event_batch=7)).relay
            for _ in range(count)
        ]
        for relay in relays:
            relay.start()
            stack.callback(relay.stop)
        lag = pb.GetEventLagRequest()
        eventually(lambda: tier.events.GetEventLag(lag).unpublished == 0, 20.0)
    got = consume(tier.events, most=60, seconds=20.0)
    assert len(got) == 60
    for aggregate, events in wanted.items():
        assert [each.event.id for each in got if each.event.aggregate_id == aggregate] == events


def test_what_another_relay_holds_is_not_overtaken(
    tier: RunningTier, real: Store, make: Requests
) -> None:
    one, other = make.new_id(), make.new_id()
    first = append(tier.events, make.event(aggregate_id=one))
    append(tier.events, make.event(aggregate_id=one))
    (free,) = append(tier.events, make.event(aggregate_id=other))
    deadline = Deadline.after(20.0)
    holds, goes_on = threading.Event(), threading.Event()
    with relay_on(real, SystemClock()) as slow, relay_on(real, SystemClock()) as quick:

        def hold() -> None:
            def work(connection: Connection) -> None:
                (held,) = claim(connection, 1)
                assert held.id == first[0]
                holds.set()
                assert goes_on.wait(20)
                mark_published(connection, [held], SystemClock().now())

            slow.database.write(deadline, work)

        thread = threading.Thread(target=hold)
        thread.start()
        try:
            assert holds.wait(20)
            # The event of the other aggregate goes; the second of the first one waits.
            claimed = quick.database.write(deadline, lambda connection: claim(connection, 10))
            assert [event.id for event in claimed] == [free]
        finally:
            goes_on.set()
            thread.join(20)
        claimed = quick.database.write(deadline, lambda connection: claim(connection, 10))
        assert [event.aggregate[1] for event in claimed] == [one, other]


def test_while_redis_is_away_events_stay_in_the_outbox_and_go_later(
    tier: RunningTier, real: Store, make: Requests
) -> None:
    with TcpRelay.to(real.redis_url) as way:
        store = replace(real, redis_url=way.url)
        with relay_on(store, SystemClock()) as cut_off:
            way.cut()
            wanted = append(tier.events, *(make.event(type="user.updated") for _ in range(3)))
            with pytest.raises(AppError) as caught:
                cut_off.relay.publish()
            assert caught.value.kind is Kind.UNAVAILABLE
            assert tier.events.GetEventLag(pb.GetEventLagRequest()).unpublished == 3
            way.restore()
            eventually(lambda: _published(cut_off), 10.0)
    assert ids(consume(tier.events, most=3, seconds=20.0)) == wanted


def _published(alone: RelayAlone) -> bool:
    try:
        return alone.relay.publish() > 0
    except AppError:
        return False


def test_what_redis_forgot_is_published_again(
    tier: RunningTier, alone: RelayAlone, real: Store, make: Requests
) -> None:
    handled = append(tier.events, make.event(type="user.updated"))
    publish_all(alone.relay)
    settle(tier.events, consume(tier.events, most=1, seconds=20.0))
    lost = append(tier.events, *(make.event(type="user.updated") for _ in range(3)))
    publish_all(alone.relay)
    with redis.Redis.from_url(real.redis_url) as client:
        client.flushdb()
    # The first one to ask finds the group gone, and makes it anew.
    assert consume(tier.events, seconds=0.8) == []
    alone.log.look_after(SystemClock().now())
    assert publish_all(alone.relay) >= 3
    got = ids(consume(tier.events, most=4, seconds=3.0))
    assert [each for each in got if each not in handled] == lost


def test_after_a_restart_of_redis_only_what_is_not_known_to_be_settled_comes_again(
    tier: RunningTier, alone: RelayAlone, real: Store, make: Requests
) -> None:
    now = SystemClock().now()
    old = append(tier.events, make.event(type="user.updated"))
    publish_all(alone.relay)
    settle(tier.events, consume(tier.events, most=1, seconds=20.0))
    # Published and settled long ago.
    long_ago = update(outbox_events).values(published_time=now.replace(year=now.year - 1))
    tier.change(long_ago)
    alone.log.look_after(now)
    (group,) = tier.rows(select(event_groups))
    assert group["settled_time"] is not None
    assert group["settled_time"] < now
    (held,) = append(tier.events, make.event(type="user.updated"))
    publish_all(alone.relay)
    consume(tier.events, most=1, seconds=20.0)
    alone.log.look_after(SystemClock().now())
    # As another run of Redis would answer.
    tier.change(update(event_groups).values(run_id="another"))
    alone.log.look_after(SystemClock().now())
    assert publish_all(alone.relay) == 1
    again = ids(consume(tier.events, most=1, seconds=20.0))
    assert again == [held]
    assert old[0] not in again


def test_what_redis_forgets_while_a_relay_publishes_is_published_again(
    tier: RunningTier, real: Store, make: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    consume(tier.events, seconds=0.8)
    (wanted,) = append(tier.events, make.event(type="user.updated"))
    # As another run of Redis would answer, from now on.
    tier.change(update(event_groups).values(run_id="another"))
    with relay_on(real, SystemClock()) as slow, relay_on(real, SystemClock()) as quick:
        publish = slow.log.publish

        def publish_to_what_is_lost(*given: Any) -> None:
            publish(*given)
            with redis.Redis.from_url(real.redis_url) as client:
                client.delete("arcana:events")
            # It must not say that all is published again before this is marked as published.
            with pytest.raises(AppError) as caught:
                quick.log.look_after(SystemClock().now())
            assert caught.value.kind is Kind.UNAVAILABLE

        monkeypatch.setattr(slow.log, "publish", publish_to_what_is_lost)
        assert slow.relay.publish() == 1
        quick.log.look_after(SystemClock().now())
        assert quick.relay.publish() == 1
    consume(tier.events, seconds=0.5)
    assert wanted in ids(consume(tier.events, most=1, seconds=20.0))


def test_however_much_redis_has_lost_is_published_again_by_short_statements(
    tier: RunningTier,
    alone: RelayAlone,
    real: Store,
    make: Requests,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("repository_tier.event_log.redis_loss.LOST_AT_ONCE", 3)
    consume(tier.events, seconds=0.8)
    wanted = append(tier.events, *(make.event(type="user.updated") for _ in range(10)))
    publish_all(alone.relay)
    tier.change(update(event_groups).values(run_id="another", settled_time=None))
    alone.log.look_after(SystemClock().now())
    assert tier.events.GetEventLag(pb.GetEventLagRequest()).unpublished == 10
    assert publish_all(alone.relay) == 10
    assert ids(consume(tier.events, most=20, seconds=20.0)) == wanted * 2


def test_an_event_that_waits_for_another_attempt_holds_back_only_what_is_as_old(
    tier: RunningTier, alone: RelayAlone, real: Store, make: Requests
) -> None:
    append(tier.events, make.event(type="user.updated"))
    publish_all(alone.relay)
    settle(tier.events, consume(tier.events, most=1, seconds=20.0), FAILED, "Not now.")
    now = SystemClock().now()
    alone.log.look_after(now + timedelta(hours=1))
    (group,) = tier.rows(select(event_groups))
    assert now - timedelta(minutes=1) < group["settled_time"] < now


def test_what_consumers_hold_stays_in_the_stream_however_much_comes_behind_it(
    tier: RunningTier, real: Store, make: Requests
) -> None:
    with relay_on(real, SystemClock(), event_stream_length=1000) as alone:
        (held,) = append(tier.events, make.event(type="user.updated"))
        publish_all(alone.relay)
        assert ids(consume(tier.events, most=1, seconds=20.0)) == [held]
        for _ in range(14):
            append(tier.events, *(make.event(type="user.updated") for _ in range(100)))
            publish_all(alone.relay)
            settle(tier.events, consume(tier.events, most=100, seconds=20.0))
        again = after_retry(lambda: consume(tier.events, most=1, lease=1))
        assert (ids(again), again[0].attempt) == ([held], 2)
        settle(tier.events, again)
        append(tier.events, make.event(type="user.updated"))
        publish_all(alone.relay)
    with redis.Redis.from_url(real.redis_url) as client:
        assert 1000 <= client.xlen("arcana:events") <= 1100


def test_a_group_that_is_far_behind_holds_the_relay_up(
    tier: RunningTier, real: Store, make: Requests
) -> None:
    with relay_on(real, SystemClock(), event_stream_length=1000) as alone:
        consume(tier.events, seconds=0.8)
        for _ in range(6):
            append(tier.events, *(make.event(type="user.updated") for _ in range(100)))
        # Half of the stream is all that a group may be behind.
        published = sum(alone.relay.publish() for _ in range(5))
        assert published == 500
        assert tier.events.GetEventLag(pb.GetEventLagRequest()).unpublished == 100
        for _ in range(5):
            settle(tier.events, consume(tier.events, most=100, seconds=20.0))
        assert publish_all(alone.relay) == 100


def test_the_relays_thread_goes_on_after_a_failure(
    tier: RunningTier, alone: RelayAlone, make: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter(range(2))
    publish = alone.log.publish

    def fail_first(*given: Any) -> None:
        if next(failures, None) is not None:
            raise RuntimeError("A surprise.")
        publish(*given)

    monkeypatch.setattr(alone.log, "publish", fail_first)
    (wanted,) = append(tier.events, make.event(type="user.updated"))
    alone.relay.start()
    alone.relay.start()
    try:
        assert ids(consume(tier.events, most=1, seconds=20.0)) == [wanted]
    finally:
        alone.relay.stop()


def test_while_redis_is_away_it_is_told_that_events_are_late(
    tier: RunningTier, real: Store, make: Requests, log: io.StringIO
) -> None:
    append(tier.events, make.event(type="user.updated"))
    now = SystemClock().now()
    tier.change(update(outbox_events).values(created_time=now.replace(year=now.year - 1)))
    with TcpRelay.to(real.redis_url) as way:
        way.cut()
        with relay_on(replace(real, redis_url=way.url), SystemClock()) as cut_off:
            cut_off.relay.start()
            try:
                eventually(lambda: "events_late" in log.getvalue(), 10.0, "the lag is told")
                eventually(lambda: "relay_failing" in log.getvalue(), 10.0, "the failure is told")
            finally:
                cut_off.relay.stop()


def test_an_old_event_that_waits_is_told(
    tier: RunningTier, alone: RelayAlone, make: Requests, log: io.StringIO
) -> None:
    append(tier.events, make.event(type="user.updated"))
    now = SystemClock().now()
    tier.change(update(outbox_events).values(created_time=now.replace(year=now.year - 1)))
    alone.relay.look_after()
    assert "events_late" in log.getvalue()
    lag = tier.events.GetEventLag(pb.GetEventLagRequest())
    assert lag.oldest_unpublished_age.seconds > 86_400


def test_a_database_on_a_server_does_without_redis_too(
    start_tier: StartTier, real: Store, make: Requests
) -> None:
    store = replace(real, redis_url="")
    tier = start_tier(store, tier_clock=SystemClock(), event_retry_seconds=0.05)
    with relay_on(store, SystemClock()) as one, relay_on(store, SystemClock()) as other:
        consume(tier.events, seconds=0.8)
        wanted = append(tier.events, *(make.event(type="user.updated") for _ in range(20)))
        for alone in (one, other):
            alone.relay.start()
        try:
            got = consume(tier.events, most=20, seconds=20.0)
            assert sorted(ids(got)) == sorted(wanted)
            settle(tier.events, got[1:])
            settle(tier.events, got[:1], FAILED, "Not now.")
            (again,) = eventually(lambda: consume(tier.events, most=1), 10.0)
            assert (again.event.id, again.attempt) == (got[0].event.id, 2)
        finally:
            for alone in (one, other):
                alone.relay.stop()
