"""However often somebody is refused by a limit, the audit log grows by a line for each window."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from controller_tier.limit_refusals import LEAST_SECONDS, LimitRefusals
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
def refusals(kept: KeptActs, clock: FakeClock) -> LimitRefusals:
    return LimitRefusals(kept, clock, MOST)


def counts(kept: KeptActs) -> list[object]:
    return [act.target["refused"] for act in kept.acts]


def test_the_first_refusal_is_a_line_and_those_of_its_window_are_the_next(
    refusals: LimitRefusals, kept: KeptActs, clock: FakeClock
) -> None:
    for number in range(100):
        refusals.record(replace(LOGIN, request_id=f"request-{number}"), [BY_EMAIL])
    assert kept.acts == [
        replace(
            LOGIN,
            request_id="request-0",
            target={"address_sha256": "0" * 64, "limit": "login-email", "refused": 1},
        )
    ]
    clock.advance(SECONDS)
    refusals.record(replace(LOGIN, request_id="request-100"), [BY_EMAIL])
    assert counts(kept) == [1, 100]
    assert kept.acts[-1].request_id == "request-100"


def test_somebody_who_never_stops_is_a_line_a_window(
    refusals: LimitRefusals, kept: KeptActs, clock: FakeClock
) -> None:
    for _ in range(10 * SECONDS):
        refusals.record(LOGIN, [BY_EMAIL])
        clock.advance(1)
    refusals.close()
    assert counts(kept) == [1, *[SECONDS] * 9, SECONDS - 1]


def test_sources_acts_and_limits_have_lines_of_their_own(
    refusals: LimitRefusals, kept: KeptActs
) -> None:
    other = replace(BY_EMAIL, holder="1" * 64)
    for act, limit in [
        (LOGIN, BY_EMAIL),
        (LOGIN, other),
        (replace(LOGIN, name="AuthService/RequestPasswordReset"), BY_EMAIL),
    ] * 2:
        refusals.record(act, [limit])
    assert counts(kept) == [1, 1, 1]


def test_what_came_last_is_told_when_anybody_is_refused_after_the_window(
    refusals: LimitRefusals, kept: KeptActs, clock: FakeClock
) -> None:
    for _ in range(3):
        refusals.record(LOGIN, [BY_EMAIL])
    clock.advance(SECONDS)
    refusals.record(LOGIN, [BY_ADDRESS])
    assert [(act.target["limit"], act.target["refused"]) for act in kept.acts[1:]] == [
        ("login-email", 2),
        ("login-ip", 1),
    ]


def test_what_came_last_is_told_at_the_end(refusals: LimitRefusals, kept: KeptActs) -> None:
    for _ in range(3):
        refusals.record(LOGIN, [BY_EMAIL])
    refusals.record(LOGIN, [BY_ADDRESS])
    refusals.close()
    refusals.close()
    assert counts(kept) == [1, 1, 2]


def test_who_tries_many_accounts_from_one_address_is_one_source(
    refusals: LimitRefusals, kept: KeptActs
) -> None:
    refusals.record(LOGIN, [BY_ADDRESS])
    for number in range(50):
        refusals.record(LOGIN, [replace(BY_EMAIL, holder=str(number)), BY_ADDRESS])
    refusals.close()
    assert [(act.target["limit"], act.target["refused"]) for act in kept.acts] == [
        ("login-ip", 1),
        ("login-ip", 50),
    ]


def test_more_sources_than_are_kept_apart_share_a_line(
    refusals: LimitRefusals, kept: KeptActs, clock: FakeClock
) -> None:
    crowd = [replace(BY_ADDRESS, holder=f"203.0.113.{number}") for number in range(200)]
    for limit in crowd * 2:
        refusals.record(LOGIN, [limit])
    refusals.close()
    # A first line each and one for all others, and what each came to in the end.
    assert counts(kept) == [*[1] * (MOST + 1), *[1] * MOST, 2 * (200 - MOST) - 1]
    assert [act.target.get("sources") for act in kept.acts].count("several") == 2
    assert kept.acts[-1].target["sources"] == "several"


def test_who_stopped_makes_room_for_others(
    refusals: LimitRefusals, kept: KeptActs, clock: FakeClock
) -> None:
    for holder in "abc":
        refusals.record(LOGIN, [replace(BY_ADDRESS, holder=holder)])
    clock.advance(SECONDS)
    # The first to come finds them all there, and has them forgotten.
    refusals.record(LOGIN, [replace(BY_ADDRESS, holder="d")])
    for holder in "ef":
        refusals.record(LOGIN, [replace(BY_ADDRESS, holder=holder)])
    several = [act.target.get("sources") for act in kept.acts]
    assert several == [None, None, None, "several", None, None]


def test_a_limit_by_the_second_is_no_line_a_second(
    refusals: LimitRefusals, kept: KeptActs, clock: FakeClock
) -> None:
    limit = replace(BY_ADDRESS, rate=Rate(5, 1))
    for _ in range(int(LEAST_SECONDS)):
        refusals.record(LOGIN, [limit])
        clock.advance(1)
    assert counts(kept) == [1]


def test_refusals_of_several_threads_are_all_counted(
    refusals: LimitRefusals, kept: KeptActs
) -> None:
    def refuse() -> None:
        for _ in range(200):
            refusals.record(LOGIN, [BY_EMAIL])

    threads = [threading.Thread(target=refuse) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusals.close()
    assert counts(kept) == [1, 1599]
