"""Events from the outbox to consumers, on Redis Streams and on tables alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from arcana.repository.v1 import event_repository_pb2 as pb
from repository_tier.tables import outbox_events
from tests.fakes.clock import FakeClock
from tests.stores import Store
from tests.stores.waiting import eventually
from tests.tier.repository.conftest import StartTier
from tests.tier.repository.event_flow import (
    DONE,
    FAILED,
    RETURNED,
    RelayAlone,
    after_retry,
    append,
    consume,
    dead,
    ids,
    publish_all,
    relay_on,
    settle,
)
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, bad_fields
from tier_runtime.clock import SystemClock

FAST = {"event_retry_seconds": 0.05, "event_longest_retry_seconds": 0.1, "event_max_attempts": 3}


@pytest.fixture
def tier(start_tier: StartTier) -> RunningTier:
    """A tier with short pauses, on the machine's clock, whose relay is not begun."""
    return start_tier(tier_clock=SystemClock(), **FAST)


@pytest.fixture
def alone(empty_store: Store, tier: RunningTier) -> Iterator[RelayAlone]:
    with relay_on(empty_store, SystemClock(), **FAST) as made:
        yield made


def test_events_come_in_their_order_and_once_settled_never_again(
    tier: RunningTier, alone: RelayAlone, make: Requests
) -> None:
    wanted = append(tier.events, *(make.event(type="user.updated") for _ in range(5)))
    assert publish_all(alone.relay) == 5
    got = consume(tier.events, most=5, seconds=20.0)
    assert ids(got) == wanted
    assert [delivery.attempt for delivery in got] == [1] * 5
    settle(tier.events, got)
    # A second time is passed over, and so is what was never given.
    settle(tier.events, got)
    assert consume(tier.events) == []
    lag = tier.events.GetEventLag(pb.GetEventLagRequest())
    assert lag.unpublished == 0
    assert not lag.HasField("oldest_unpublished_age")
    assert [(each.group, each.unsettled) for each in lag.groups] == [("mails", 0)]


def test_a_stream_ends_after_as_many_events_as_are_wanted(
    tier: RunningTier, alone: RelayAlone, make: Requests
) -> None:
    wanted = append(tier.events, *(make.event(type="user.updated") for _ in range(5)))
    publish_all(alone.relay)
    first = consume(tier.events, most=3, seconds=20.0)
    rest = consume(tier.events, most=2, seconds=20.0)
    assert ids(first) + ids(rest) == wanted


def test_types_that_nobody_wants_are_settled_unseen(
    tier: RunningTier, alone: RelayAlone, make: Requests
) -> None:
    append(tier.events, make.event(type="auth.login_failed"))
    (wanted,) = append(tier.events, make.event(type="order.created"))
    publish_all(alone.relay)
    got = consume(tier.events, most=1, seconds=20.0, types=["order.created"])
    assert ids(got) == [wanted]
    settle(tier.events, got)
    (group,) = tier.events.GetEventLag(pb.GetEventLagRequest()).groups
    assert (group.unsettled, group.HasField("oldest_age")) == (0, False)


def test_types_that_nobody_wants_are_settled_unseen_when_the_tier_died_over_them_too(
    tier: RunningTier, alone: RelayAlone, make: Requests
) -> None:
    append(tier.events, make.event(type="auth.login_failed"))
    publish_all(alone.relay)
    # As a tier that is killed between taking events out of the stream and settling them.
    assert len(consume(tier.events, 1, 20.0, types=["auth.login_failed"], lease=1)) == 1
    (wanted,) = append(tier.events, make.event(type="order.created"))
    publish_all(alone.relay)
    assert ids(consume(tier.events, 1, 20.0, types=["order.created"], lease=1)) == [wanted]

    got: list[pb.Delivery] = []

    def is_settled() -> bool:
        got.extend(consume(tier.events, types=["order.created"], lease=1))
        (group,) = tier.events.GetEventLag(pb.GetEventLagRequest()).groups
        return group.unsettled == 1

    eventually(is_settled, 10.0, "only what is wanted is left")
    assert set(ids(got)) <= {wanted}


def test_what_is_new_gets_through_however_many_events_come_again(
    start_tier: StartTier, alone: RelayAlone, empty_store: Store, make: Requests
) -> None:
    if not empty_store.redis_url:
        pytest.skip("A table hands out what is oldest, whether it was refused or not.")
    at_once = {"event_retry_seconds": 0.001, "event_longest_retry_seconds": 0.001}
    tier = start_tier(tier_clock=SystemClock(), **at_once)
    append(tier.events, *(make.event(type="user.updated") for _ in range(4)))
    publish_all(alone.relay)
    settle(tier.events, consume(tier.events, most=4, seconds=20.0), RETURNED)
    (new,) = append(tier.events, make.event(type="user.updated"))
    publish_all(alone.relay)
    assert new in ids(consume(tier.events, most=4, seconds=20.0))


def test_each_group_gets_every_event_and_a_new_one_begins_with_the_oldest(
    tier: RunningTier, alone: RelayAlone, make: Requests
) -> None:
    (first,) = append(tier.events, make.event(type="user.updated"))
    publish_all(alone.relay)
    settle(tier.events, consume(tier.events, most=1, seconds=20.0))
    (second,) = append(tier.events, make.event(type="user.updated"))
    publish_all(alone.relay)
    assert ids(consume(tier.events, most=1, seconds=20.0)) == [second]
    assert ids(consume(tier.events, most=2, seconds=20.0, group="audit")) == [first, second]


def test_what_is_not_settled_comes_again_after_its_lease(
    tier: RunningTier, alone: RelayAlone, make: Requests
) -> None:
    (wanted,) = append(tier.events, make.event(type="user.updated"))
    publish_all(alone.relay)
    assert ids(consume(tier.events, most=1, seconds=20.0, lease=1)) == [wanted]
    again = after_retry(lambda: consume(tier.events, most=1, lease=1))
    assert (ids(again), again[0].attempt) == ([wanted], 2)


def test_an_event_whose_consumers_never_settle_it_dies_after_its_attempts(
    start_tier: StartTier, alone: RelayAlone, make: Requests
) -> None:
    tier = start_tier(tier_clock=SystemClock(), **(FAST | {"event_max_attempts": 1}))
    append(tier.events, make.event(type="user.updated"))
    publish_all(alone.relay)
    assert len(consume(tier.events, most=1, seconds=20.0, lease=1)) == 1
    again: list[pb.Delivery] = []

    def has_died() -> bool:
        again.extend(consume(tier.events, lease=1))
        return bool(dead(tier.events))

    eventually(has_died, 10.0, "it dies")
    assert again == []
    (letter,) = dead(tier.events)
    assert (letter.attempts, "lease" in letter.error) == (1, True)


def test_a_poison_event_dies_with_its_error_and_blocks_nothing_behind_it(
    tier: RunningTier, alone: RelayAlone, make: Requests
) -> None:
    poison, *others = append(tier.events, *(make.event(type="user.updated") for _ in range(4)))
    publish_all(alone.relay)
    attempts = []
    handled: list[str] = []
    for _ in range(50):
        for delivery in consume(tier.events):
            if delivery.event.id == poison:
                attempts.append(delivery.attempt)
                settle(tier.events, [delivery], FAILED, f"Broken, {delivery.attempt}.")
            else:
                handled.append(delivery.event.id)
                settle(tier.events, [delivery], DONE)
        if dead(tier.events):
            break
    assert handled == others
    assert attempts == [1, 2, 3]
    (letter,) = dead(tier.events)
    assert (letter.event.id, letter.attempts, letter.error) == (poison, 3, "Broken, 3.")
    assert letter.HasField("dead_time")
    (group,) = tier.events.GetEventLag(pb.GetEventLagRequest()).groups
    assert (group.unsettled, group.refused, group.dead) == (0, 0, 1)
    assert consume(tier.events) == []


def test_what_is_returned_comes_again_and_the_attempt_does_not_count(
    tier: RunningTier, alone: RelayAlone, make: Requests
) -> None:
    append(tier.events, make.event(type="user.updated"))
    publish_all(alone.relay)
    for _ in range(5):
        (got,) = after_retry(lambda: consume(tier.events, most=1, seconds=1.0))
        assert got.attempt == 1
        settle(tier.events, [got], RETURNED)
    assert dead(tier.events) == []


def test_dead_events_are_listed_page_by_page_the_newest_first(
    start_tier: StartTier, alone: RelayAlone, make: Requests
) -> None:
    tier = start_tier(tier_clock=SystemClock(), **(FAST | {"event_max_attempts": 1}))
    wanted = append(tier.events, *(make.event(type="user.updated") for _ in range(3)))
    publish_all(alone.relay)
    got = consume(tier.events, most=3, seconds=20.0)
    for delivery in got:
        settle(tier.events, [delivery], FAILED, "No.")
    found, token = [], ""
    for _ in range(4):
        page = tier.events.ListDeadEvents(
            pb.ListDeadEventsRequest(group="mails", page_size=1, page_token=token)
        )
        found += [each.event.id for each in page.dead_events]
        token = page.next_page_token
        if not token:
            break
    assert found == wanted[::-1]


def test_removed_are_only_published_events_that_nobody_waits_for(
    tier: RunningTier, empty_store: Store, make: Requests
) -> None:
    clock = FakeClock()
    with relay_on(empty_store, clock, event_kept_seconds=100) as alone:
        consume(tier.events, seconds=0.8)
        append(tier.events, make.event(type="user.updated"))
        publish_all(alone.relay)
        append(tier.events, make.event(type="user.updated"))
        settle(tier.events, consume(tier.events, most=1, seconds=20.0))
        alone.relay.look_after()
        assert len(tier.rows(select(outbox_events.c.id))) == 2
        clock.advance(101)
        alone.relay.look_after()
    assert len(tier.rows(select(outbox_events.c.id))) == 1


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"group": ""}, "group"),
        ({"group": "A b"}, "group"),
        ({"types": []}, "types"),
        ({"types": ["x"] * 101}, "types"),
        ({"types": ["x" * 65]}, "types[0]"),
        ({"max_events": 1001}, "max_events"),
        ({"max_events": -1}, "max_events"),
        ({"lease_duration": None}, "lease_duration"),
        ({"lease_duration": {"seconds": 3601}}, "lease_duration"),
    ],
)
def test_a_consumer_that_asks_for_what_there_is_not_is_refused(
    tier: RunningTier, fields: dict[str, object], bad: str
) -> None:
    values: dict[str, object] = {"group": "mails", "types": ["a"], "lease_duration": {"seconds": 9}}
    request = pb.ConsumeEventsRequest(**values | fields)  # type: ignore[arg-type]  # wrong on purpose
    assert bad_fields(lambda asked: list(tier.events.ConsumeEvents(asked)), request) == {bad}


def test_settlements_that_say_nothing_are_refused(tier: RunningTier) -> None:
    def refused(**fields: object) -> set[str]:
        request = pb.SettleEventsRequest(
            group="mails",
            settlements=[pb.Settlement(**{"delivery_id": "1", "outcome": DONE} | fields)],  # type: ignore[arg-type]  # wrong on purpose
        )
        return bad_fields(tier.events.SettleEvents, request)

    assert refused(delivery_id="x") == {"settlements[0].delivery_id"}
    assert refused(outcome=0) == {"settlements[0].outcome"}
    assert refused(outcome=FAILED) == {"settlements[0].error"}
    assert refused(outcome=FAILED, error="x" * 501) == {"settlements[0].error"}
    none = pb.SettleEventsRequest(group="mails")
    assert bad_fields(tier.events.SettleEvents, none) == {"settlements"}
    many = pb.SettleEventsRequest(
        group="mails", settlements=[pb.Settlement(delivery_id="1", outcome=DONE)] * 1001
    )
    assert bad_fields(tier.events.SettleEvents, many) == {"settlements"}
    token = pb.ListDeadEventsRequest(group="mails", page_token="no such")
    assert bad_fields(tier.events.ListDeadEvents, token) == {"page_token"}
