from __future__ import annotations

import io
import json

import pytest

from arcana.service.v1.auth_service_pb2 import RoleChange
from controller_tier.access_feed import (
    MAX_TOKEN_LIFETIME_SECONDS,
    PRUNE_SECONDS,
    SKEW_SECONDS,
    AccessFeed,
)
from controller_tier.access_tokens import Claims
from tests.fakes.clock import FakeClock
from tests.fakes.service import FakeServiceTier, stubs_of
from tests.stores.waiting import eventually
from tier_runtime.clock import SystemClock
from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import configure_logging
from tier_runtime.timestamps import timestamp_from

DOWN = AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")
LATE = AppError(Kind.DEADLINE, "DEADLINE_EXCEEDED", "Late.")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tier(clock: FakeClock) -> FakeServiceTier:
    return FakeServiceTier(clock)


@pytest.fixture
def feed(tier: FakeServiceTier, clock: FakeClock) -> AccessFeed:
    return AccessFeed(
        stubs_of(tier).auth,
        clock,
        interval_seconds=0.25,
        max_age_seconds=1,
    )


def _claims(tier: FakeServiceTier, email: str = "ada@example.org") -> Claims:
    user = tier.add_user(email)
    tier.start_session(user)
    session_id = list(tier.sessions)[-1]
    now = int(tier.clock.now().timestamp())
    return Claims(user.id, session_id, frozenset({"user"}), now + 3600, "k")


def test_the_first_answer_is_read_to_its_last_page(tier: FakeServiceTier, feed: AccessFeed) -> None:
    ended = [_claims(tier, f"u{number}@example.org") for number in range(5)]
    for claims in ended:
        tier.end_session(claims.session_id)
    feed.poll()
    requests = [each.request for each in tier.received]
    assert [request.page_token for request in requests] == ["", "2", "4"]
    assert not any(request.HasField("since_time") for request in requests)
    for claims in ended:
        with pytest.raises(AppError) as raised:
            feed.roles_of(claims)
        assert raised.value.code == "TOKEN_REVOKED"


def test_later_asks_go_on_from_the_time_they_were_given(
    tier: FakeServiceTier, feed: AccessFeed, clock: FakeClock
) -> None:
    feed.poll()
    clock.advance(20)
    feed.poll()
    feed.poll()
    times = [each.request.since_time.ToJsonString() for each in tier.received[1:]]
    assert times == ["2026-11-21T03:59:50Z", "2026-11-21T04:00:10Z"]


def test_knowledge_is_as_old_as_the_question(
    tier: FakeServiceTier, feed: AccessFeed, clock: FakeClock
) -> None:
    tier.before = lambda _method: clock.advance(0.9)
    feed.poll()
    tier.before = lambda _method: None
    assert feed.is_fresh()
    clock.advance(0.2)
    assert not feed.is_fresh()


def test_it_is_not_fresh_before_the_first_answer(tier: FakeServiceTier, feed: AccessFeed) -> None:
    claims = _claims(tier)
    assert not feed.is_fresh()
    assert feed.roles_of(claims) == {"user"}
    assert tier.methods() == ["CheckSession"]


@pytest.mark.parametrize("failure", [DOWN, LATE], ids=["down", "late"])
def test_what_cannot_be_known_is_told_as_what_kept_it_from_being_known(
    tier: FakeServiceTier, feed: AccessFeed, failure: AppError
) -> None:
    claims = _claims(tier)
    tier.failures["CheckSession"] = failure
    with pytest.raises(AppError) as raised:
        feed.roles_of(claims)
    assert (raised.value.kind, raised.value.code) == (failure.kind, failure.code)


def test_a_failed_ask_leaves_what_was_known(
    tier: FakeServiceTier, feed: AccessFeed, clock: FakeClock
) -> None:
    claims = _claims(tier)
    tier.end_session(claims.session_id)
    feed.poll()
    tier.failures["ListAccessChanges"] = DOWN
    clock.advance(0.5)
    with pytest.raises(AppError):
        feed.poll()
    with pytest.raises(AppError) as raised:
        feed.roles_of(claims)
    assert raised.value.code == "TOKEN_REVOKED"


def test_a_change_of_roles_holds_for_tokens_of_before_and_after(
    tier: FakeServiceTier, feed: AccessFeed, clock: FakeClock
) -> None:
    before = _claims(tier)
    clock.advance(2)
    _change_roles(tier, before.subject, "admin")
    clock.advance(2)
    now = int(clock.now().timestamp())
    # Signed by a clock that is ahead, or with roles that were read before the change.
    after = Claims(before.subject, before.session_id, frozenset({"user"}), now + 9, "k")
    feed.poll()
    assert feed.roles_of(before) == {"admin", "user"}
    assert feed.roles_of(after) == {"admin", "user"}
    _change_roles(tier, before.subject)
    feed.poll()
    assert feed.roles_of(after) == {"user"}


def _change_roles(tier: FakeServiceTier, user_id: str, *roles: str) -> None:
    tier.role_changes.append(
        RoleChange(
            user_id=user_id,
            roles=sorted({"user", *roles}),
            change_time=timestamp_from(tier.clock.now()),
        )
    )


def test_what_no_living_token_can_need_is_forgotten(
    tier: FakeServiceTier, feed: AccessFeed, clock: FakeClock
) -> None:
    old, new = _claims(tier, "old@example.org"), _claims(tier, "new@example.org")
    tier.end_session(old.session_id)
    _change_roles(tier, old.subject, "admin")
    feed.poll()
    clock.advance(MAX_TOKEN_LIFETIME_SECONDS + SKEW_SECONDS)
    tier.ended.clear()
    tier.role_changes.clear()
    feed.poll()
    assert (set(feed._ended), set(feed._roles)) == ({old.session_id}, {old.subject})
    clock.advance(PRUNE_SECONDS)
    tier.end_session(new.session_id)
    _change_roles(tier, new.subject, "admin")
    feed.poll()
    assert (set(feed._ended), set(feed._roles)) == ({new.session_id}, {new.subject})
    clock.advance(PRUNE_SECONDS)
    feed.poll()
    assert set(feed._ended) == {new.session_id}


def test_the_thread_asks_on_through_failures_and_tells_of_them_once() -> None:
    stream = io.StringIO()
    configure_logging("controller", "info", stream)
    tier = FakeServiceTier(SystemClock())
    feed = AccessFeed(
        stubs_of(tier).auth,
        SystemClock(),
        interval_seconds=0.001,
        max_age_seconds=30,
    )
    feed.start()
    try:
        eventually(feed.is_fresh, what="the first answer")
        tier.failures["ListAccessChanges"] = DOWN
        eventually(lambda: "access_feed_lost" in stream.getvalue(), what="the loss is told")
        asked = len(tier.received)
        eventually(lambda: len(tier.received) > asked + 5, what="it asks on")
        tier.failures.clear()
        eventually(lambda: "access_feed_back" in stream.getvalue(), what="the return is told")

        def surprise(_method: str) -> None:
            raise RuntimeError("a surprise")

        tier.before = surprise
        asked = len(tier.received)
        eventually(lambda: len(tier.received) > asked + 5, what="it asks on after a surprise")
    finally:
        feed.stop()
    asked = len(tier.received)
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events.count("access_feed_lost") == 2
    assert events.count("access_feed_back") == 1
    assert len(tier.received) == asked


def test_what_else_is_to_be_done_is_done_after_each_ask_also_after_one_that_failed() -> None:
    tier = FakeServiceTier(SystemClock())
    feed = AccessFeed(
        stubs_of(tier).auth, SystemClock(), interval_seconds=0.001, max_age_seconds=30
    )
    done: list[int] = []

    def note() -> None:
        done.append(len(tier.received))
        if len(done) == 3:
            tier.failures["ListAccessChanges"] = DOWN
        if len(done) == 6:
            raise RuntimeError("a surprise")

    feed.start(note)
    try:
        eventually(lambda: len(done) > 8, what="it goes on through failures of both")
    finally:
        feed.stop()
    assert done == [number + 1 for number in range(len(done))]


def test_stopping_what_never_began_is_nothing(feed: AccessFeed) -> None:
    feed.stop()
    assert not feed.is_fresh()
