"""However often somebody is denied at no cost, the audit log grows by a line for each window."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from controller_tier.counted_denials import LEAST_SECONDS, CountedDenials, Source
from controller_tier.rate_limits import Bucket, Rate
from tests.fakes.audit import KeptActs
from tests.fakes.clock import FakeClock
from tier_runtime.audit import Act, Outcome
from tier_runtime.call import Actor

SECONDS = 120
BY_ADDRESS = Bucket("login-ip", Rate(600, SECONDS), "203.0.113.7")
BY_EMAIL = Bucket("login-email", Rate(30, SECONDS), "0" * 64)
LOGIN = Act(
    "AuthService/Login",
    Outcome.DENIED,
    Actor(),
    "request-1",
    code="RATE_LIMITED",
    target={"address_sha256": "0" * 64},
)
MOST = 3


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def kept() -> KeptActs:
    return KeptActs()


@pytest.fixture
def denials(kept: KeptActs, clock: FakeClock) -> CountedDenials:
    return CountedDenials(kept, clock, MOST)


def refuse(denials: CountedDenials, act: Act, *limits: Bucket) -> None:
    denials.record(act, [Source.of_limit(act.name, limit) for limit in limits])


def counts(kept: KeptActs) -> list[object]:
    return [act.target["refused"] for act in kept.acts]


def test_the_first_refusal_is_a_line_and_those_of_its_window_are_the_next(
    denials: CountedDenials, kept: KeptActs, clock: FakeClock
) -> None:
    for number in range(100):
        refuse(denials, replace(LOGIN, request_id=f"request-{number}"), BY_EMAIL)
    assert kept.acts == [
        replace(
            LOGIN,
            request_id="request-0",
            target={
                "address_sha256": "0" * 64,
                "limit": "login-email",
                "refused": 1,
                "first_time": "2026-11-21T04:00:00.000000Z",
                "last_time": "2026-11-21T04:00:00.000000Z",
            },
        )
    ]
    clock.advance(SECONDS)
    refuse(denials, replace(LOGIN, request_id="request-100"), BY_EMAIL)
    assert counts(kept) == [1, 100]
    assert kept.acts[-1].request_id == "request-100"


def test_somebody_who_never_stops_is_a_line_a_window(
    denials: CountedDenials, kept: KeptActs, clock: FakeClock
) -> None:
    for _ in range(10 * SECONDS):
        refuse(denials, LOGIN, BY_EMAIL)
        clock.advance(1)
    denials.close()
    assert counts(kept) == [1, *[SECONDS] * 9, SECONDS - 1]


def test_sources_acts_and_limits_have_lines_of_their_own(
    denials: CountedDenials, kept: KeptActs
) -> None:
    other = replace(BY_EMAIL, holder="1" * 64)
    same_holder = replace(BY_EMAIL, name="account-email")
    for act, limit in [
        (LOGIN, BY_EMAIL),
        (LOGIN, other),
        (LOGIN, same_holder),
        (replace(LOGIN, name="AuthService/RequestPasswordReset"), BY_EMAIL),
    ] * 2:
        refuse(denials, act, limit)
    assert counts(kept) == [1, 1, 1, 1]
    assert [act.target["limit"] for act in kept.acts] == [
        "login-email",
        "login-email",
        "account-email",
        "login-email",
    ]


def test_what_came_last_is_told_when_anybody_is_refused_after_the_window(
    denials: CountedDenials, kept: KeptActs, clock: FakeClock
) -> None:
    for _ in range(3):
        refuse(denials, LOGIN, BY_EMAIL)
    clock.advance(SECONDS)
    refuse(denials, LOGIN, BY_ADDRESS)
    assert [(act.target["limit"], act.target["refused"]) for act in kept.acts[1:]] == [
        ("login-email", 2),
        ("login-ip", 1),
    ]


def test_what_came_last_is_told_at_the_end(denials: CountedDenials, kept: KeptActs) -> None:
    for _ in range(3):
        refuse(denials, LOGIN, BY_EMAIL)
    refuse(denials, LOGIN, BY_ADDRESS)
    denials.close()
    denials.close()
    assert counts(kept) == [1, 1, 2]


def test_who_tries_many_accounts_from_one_address_is_one_source(
    denials: CountedDenials, kept: KeptActs
) -> None:
    refuse(denials, LOGIN, BY_ADDRESS)
    for number in range(50):
        refuse(denials, LOGIN, replace(BY_EMAIL, holder=str(number)), BY_ADDRESS)
    denials.close()
    assert [(act.target["limit"], act.target["refused"]) for act in kept.acts] == [
        ("login-ip", 1),
        ("login-ip", 50),
    ]


def test_more_sources_than_are_kept_apart_share_a_line(
    denials: CountedDenials, kept: KeptActs, clock: FakeClock
) -> None:
    crowd = [replace(BY_ADDRESS, holder=f"203.0.113.{number}") for number in range(200)]
    for limit in crowd * 2:
        refuse(denials, LOGIN, limit)
    denials.close()
    # A first line each and one for all others, and what each came to in the end.
    assert counts(kept) == [*[1] * (MOST + 1), *[1] * MOST, 2 * (200 - MOST) - 1]
    assert [act.target.get("sources") for act in kept.acts].count("several") == 2
    assert kept.acts[-1].target["sources"] == "several"


def test_who_stopped_makes_room_for_others(
    denials: CountedDenials, kept: KeptActs, clock: FakeClock
) -> None:
    for holder in "abc":
        refuse(denials, LOGIN, replace(BY_ADDRESS, holder=holder))
    clock.advance(SECONDS)
    # The first to come finds them all there, and has them forgotten.
    refuse(denials, LOGIN, replace(BY_ADDRESS, holder="d"))
    for holder in "ef":
        refuse(denials, LOGIN, replace(BY_ADDRESS, holder=holder))
    several = [act.target.get("sources") for act in kept.acts]
    assert several == [None, None, None, "several", None, None]


def test_a_limit_by_the_second_is_no_line_a_second(
    denials: CountedDenials, kept: KeptActs, clock: FakeClock
) -> None:
    limit = replace(BY_ADDRESS, rate=Rate(5, 1))
    for _ in range(int(LEAST_SECONDS)):
        refuse(denials, LOGIN, limit)
        clock.advance(1)
    assert counts(kept) == [1]


def test_what_was_counted_in_a_window_that_is_over_waits_for_nobody(
    denials: CountedDenials, kept: KeptActs, clock: FakeClock
) -> None:
    for _ in range(4):
        refuse(denials, LOGIN, BY_EMAIL)
        clock.advance(10)
    denials.flush()
    assert counts(kept) == [1]
    clock.advance(SECONDS - 40)
    denials.flush()
    assert counts(kept) == [1, 3]
    # The line is written long after what it tells of.
    assert [kept.acts[-1].target[name] for name in ("first_time", "last_time")] == [
        "2026-11-21T04:00:10.000000Z",
        "2026-11-21T04:00:30.000000Z",
    ]
    clock.advance(SECONDS)
    denials.flush()
    denials.close()
    assert counts(kept) == [1, 3]


def test_strangers_are_counted_by_their_network_and_code_whatever_they_try(
    denials: CountedDenials, kept: KeptActs
) -> None:
    for number, (code, address) in enumerate(
        [
            ("INVALID_TOKEN", "2001:db8::1"),
            ("INVALID_TOKEN", "2001:db8::2"),
            ("INVALID_TOKEN", "2001:db8:0:1::1"),
            ("TOKEN_REVOKED", "2001:db8::1"),
        ]
    ):
        act = replace(LOGIN, name=f"Service/Method{number}", code=code, target={})
        denials.record(act, [Source.of_stranger(code, address)])
    assert [act.name[-1] for act in kept.acts] == ["0", "2", "3"]
    denials.close()
    assert [(act.name[-1], act.target["refused"]) for act in kept.acts[3:]] == [("1", 1)]
    assert not any("limit" in act.target for act in kept.acts)


class InterruptedClock(FakeClock):
    """A clock that lets something else happen while it is looked at, once."""

    meanwhile: Callable[[], None] | None = None

    def now(self) -> datetime:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().now()


def test_a_denial_in_the_middle_of_another_waits_until_that_is_counted(kept: KeptActs) -> None:
    clock = InterruptedClock()
    denials = CountedDenials(kept, clock, MOST)
    other = threading.Thread(target=refuse, args=(denials, LOGIN, BY_EMAIL))

    def meanwhile() -> None:
        other.start()
        # All the time that it needs, if nothing holds it back.
        other.join(0.5)

    clock.meanwhile = meanwhile
    refuse(denials, LOGIN, BY_EMAIL)
    other.join()
    assert counts(kept) == [1]
    denials.close()
    assert counts(kept) == [1, 1]
