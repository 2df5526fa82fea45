from __future__ import annotations

import pytest
from sqlalchemy import select

from arcana.repository.v1 import user_repository_pb2 as messages
from repository_tier.tables import idempotency_keys, outbox_events, users
from tests.fakes.clock import FakeClock
from tests.tier.repository.requests import Requests, sha256
from tests.tier.repository.running_tier import RunningTier, all_at_once, failure, outcomes
from tier_runtime.errors import AppError, Kind


def test_the_answer_to_a_known_key_is_given_again(tier: RunningTier, make: Requests) -> None:
    request = make.user(idempotency_key=make.key(), events=[make.event()])
    first = tier.users.CreateUser(request)
    other_attempt = make.user(
        email=request.email, idempotency_key=make.key(), events=[make.event()]
    )
    second = tier.users.CreateUser(other_attempt)
    assert (first.replayed, second.replayed) == (False, True)
    assert first.user == second.user
    assert len(tier.rows(select(users))) == 1
    assert len(tier.rows(select(outbox_events))) == 1


def test_a_known_key_with_another_request_is_refused(tier: RunningTier, make: Requests) -> None:
    tier.users.CreateUser(make.user(idempotency_key=make.key()))
    other = make.user(idempotency_key=make.key(fingerprint=sha256("another request")))
    assert failure(tier.users.CreateUser, other) == (Kind.INVALID, "IDEMPOTENCY_KEY_REUSED")
    assert len(tier.rows(select(users))) == 1


@pytest.mark.parametrize(
    "other", [{"scope": "anonymous:register "}, {"key": "K-1"}, {"key": "k-1 "}]
)
def test_keys_that_differ_in_anything_are_two(
    tier: RunningTier, make: Requests, other: dict[str, str]
) -> None:
    tier.users.CreateUser(make.user(idempotency_key=make.key(scope="anonymous:register")))
    second = tier.users.CreateUser(make.user(idempotency_key=make.key(**other)))
    assert not second.replayed


def test_a_key_is_forgotten_after_a_day(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    tier.users.CreateUser(make.user(idempotency_key=make.key()))
    clock.advance(24 * 3600 - 1)
    other = make.user(idempotency_key=make.key(fingerprint=sha256("another request")))
    assert failure(tier.users.CreateUser, other) == (Kind.INVALID, "IDEMPOTENCY_KEY_REUSED")
    clock.advance(1)
    assert not tier.users.CreateUser(other).replayed
    assert tier.users.CreateUser(other).replayed


def test_a_creation_that_failed_leaves_its_key_free(tier: RunningTier, make: Requests) -> None:
    tier.users.CreateUser(make.user(email="ada@example.org"))
    failing = make.user(email="ada@example.org", idempotency_key=make.key())
    assert failure(tier.users.CreateUser, failing) == (Kind.EXISTS, "EMAIL_EXISTS")
    assert tier.rows(select(idempotency_keys)) == []
    working = make.user(idempotency_key=make.key(fingerprint=sha256("another request")))
    assert not tier.users.CreateUser(working).replayed


@pytest.mark.usefixtures("warm_tier")
def test_of_twenty_calls_with_one_key_one_creates_and_the_others_get_its_answer(
    tier: RunningTier, make: Requests
) -> None:
    def create(_number: int) -> messages.CreateUserResponse:
        return tier.users.CreateUser(make.user(email="ada@example.org", idempotency_key=make.key()))

    answers = all_at_once(20, create)
    assert outcomes(answers) == {"OK": 20}
    created = [answer for answer in answers if not isinstance(answer, AppError)]
    assert sum(not answer.replayed for answer in created) == 1
    assert len({answer.user.id for answer in created}) == 1
    assert len(tier.rows(select(users))) == 1


@pytest.mark.usefixtures("warm_tier")
def test_of_twelve_failing_calls_with_one_key_each_fails_by_itself(
    tier: RunningTier, make: Requests
) -> None:
    tier.users.CreateUser(make.user(email="ada@example.org"))

    def create(_number: int) -> messages.CreateUserResponse:
        return tier.users.CreateUser(make.user(email="ada@example.org", idempotency_key=make.key()))

    # Fewer than there are connections: they follow one another, and a wait for one is bounded.
    assert outcomes(all_at_once(12, create)) == {"EMAIL_EXISTS": 12}
