from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from service_tier.hashing import (
    TRIAL_SECONDS,
    TRUSTED_SECONDS,
    HashSlots,
    PasswordHasher,
    WerkzeugFunction,
)
from tests.fakes.clock import FakeClock
from tests.stores.waiting import eventually
from tests.unit.service_tier.harness import METHOD, CountingFunction
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind


class SlowFunction:
    """Takes so many seconds of a fake clock, and no time."""

    method = METHOD

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds

    def hash(self, password: str) -> str:
        self.clock.advance(self.seconds)
        return f"{METHOD}${password}"

    def verify(self, password_hash: str, password: str) -> bool:
        self.clock.advance(self.seconds)
        return password_hash == f"{METHOD}${password}"


def after(clock: FakeClock, seconds: float) -> Deadline:
    return Deadline.after(seconds, clock.monotonic)


def test_a_hash_of_werkzeug_verifies_its_password_only() -> None:
    function = WerkzeugFunction(METHOD)
    password_hash = function.hash("right")
    assert password_hash.startswith(METHOD + "$")
    assert function.hash("right") != password_hash
    assert function.verify(password_hash, "right")
    assert not function.verify(password_hash, "wrong")


def test_a_missing_account_costs_one_check_and_no_password_fits_it() -> None:
    function = CountingFunction()
    hasher = PasswordHasher(function, HashSlots(concurrency=1, queue=0), FakeClock())
    with hasher.slot(Deadline.after(5)) as slot:
        assert not slot.verify(None, "no account has this one")
    assert len(function.verifications) == 1
    assert function.verifications[0].startswith(METHOD + "$")


def test_only_a_hash_of_other_parameters_needs_to_be_made_anew() -> None:
    hasher = PasswordHasher(CountingFunction(), HashSlots(concurrency=1, queue=0), FakeClock())
    assert not hasher.needs_rehash(METHOD + "$salt$hash")
    assert hasher.needs_rehash("scrypt:512:8:1$salt$hash")
    assert hasher.needs_rehash("pbkdf2:sha256:1000$salt$hash")


def test_a_hash_that_cannot_end_in_time_is_not_begun() -> None:
    clock = FakeClock()
    hasher = PasswordHasher(SlowFunction(clock, 0.3), HashSlots(concurrency=1, queue=0), clock)
    assert hasher.expected_seconds == pytest.approx(0.3)
    with pytest.raises(AppError) as refused, hasher.slot(after(clock, 0.2)):
        pytest.fail("There was no time for a hash.")
    assert refused.value.kind is Kind.DEADLINE


def test_a_second_hash_in_one_slot_is_not_begun_in_vain_either() -> None:
    clock = FakeClock()
    hasher = PasswordHasher(SlowFunction(clock, 0.3), HashSlots(concurrency=1, queue=0), clock)
    with hasher.slot(after(clock, 0.4)) as slot:
        assert slot.has_time()
        assert not slot.verify(f"{METHOD}$a", "b")
        assert not slot.has_time()
        with pytest.raises(AppError) as second_check:
            slot.verify(f"{METHOD}$a", "b")
        with pytest.raises(AppError) as second_hash:
            slot.hash("b")
    assert {second_check.value.kind, second_hash.value.kind} == {Kind.DEADLINE}


def hash_once(hasher: PasswordHasher, deadline: Deadline) -> bool:
    """Tell whether there was a hash, or no time for one."""
    try:
        with hasher.slot(deadline) as slot:
            slot.hash("x")
    except AppError as error:
        if error.kind is not Kind.DEADLINE:
            raise
        return False
    return True


def slow_since(clock: FakeClock, function: SlowFunction, slots: HashSlots) -> PasswordHasher:
    """Give one that knows a fast hash, and has learnt a while ago that one takes a minute."""
    hasher = PasswordHasher(function, slots, clock)
    usual, function.seconds = function.seconds, 300
    with hasher.slot(after(clock, 400)) as slot:
        slot.hash("x")
    function.seconds = usual
    clock.advance(TRUSTED_SECONDS)
    assert hasher.expected_seconds > 50
    return hasher


def test_a_machine_that_was_busy_finds_out_that_it_is_faster_now() -> None:
    clock = FakeClock()
    hasher = slow_since(clock, SlowFunction(clock, 0.1), HashSlots(concurrency=1, queue=0))
    with capture_logs() as lines:
        assert all(hash_once(hasher, after(clock, 5)) for _ in range(3))
    assert hasher.expected_seconds == pytest.approx(0.1)
    assert [(line["event"], line["seconds"]) for line in lines] == [("hash_measured_again", 0.1)]


def test_a_machine_that_was_busy_at_the_start_finds_out_that_it_is_faster_now() -> None:
    clock = FakeClock()
    function = SlowFunction(clock, 60)
    hasher = PasswordHasher(function, HashSlots(concurrency=1, queue=0), clock)
    function.seconds = 0.1
    assert not hash_once(hasher, after(clock, 5))
    clock.advance(TRUSTED_SECONDS)
    assert not hash_once(hasher, after(clock, TRIAL_SECONDS))
    assert all(hash_once(hasher, after(clock, 5)) for _ in range(3))


def test_what_was_measured_just_now_is_believed() -> None:
    clock = FakeClock()
    function = SlowFunction(clock, 0.1)
    hasher = slow_since(clock, function, HashSlots(concurrency=1, queue=0))
    function.seconds = 6
    # The trial says that there is no time, for a while.
    assert hash_once(hasher, after(clock, 5))
    tries = []
    for _ in range(4):
        tries.append(hash_once(hasher, after(clock, 5)))
        clock.advance(TRUSTED_SECONDS / 2)
    assert tries == [False, False, True, False]


def test_one_caller_at_a_time_finds_out_however_long_it_takes() -> None:
    clock = FakeClock()
    hasher = slow_since(clock, SlowFunction(clock, 0.1), HashSlots(concurrency=2, queue=0))
    with hasher.slot(after(clock, 50)) as slot:
        clock.advance(2 * TRUSTED_SECONDS)
        assert not hash_once(hasher, after(clock, 5))
        slot.hash("x")
        assert hash_once(hasher, after(clock, 5))


def test_a_trial_is_one_hash() -> None:
    clock = FakeClock()
    function = SlowFunction(clock, 0.1)
    hasher = slow_since(clock, function, HashSlots(concurrency=1, queue=0))
    function.seconds = 6
    with hasher.slot(after(clock, 10)) as slot:
        slot.hash("x")
        with pytest.raises(AppError):
            slot.hash("x")


def test_who_comes_to_no_hash_leaves_the_trial_to_the_next() -> None:
    clock = FakeClock()
    slots = HashSlots(concurrency=1, queue=0)
    hasher = slow_since(clock, SlowFunction(clock, 0.1), slots)
    with pytest.raises(ZeroDivisionError), hasher.slot(after(clock, 5)):
        raise ZeroDivisionError
    with slots.taken(timeout=0), pytest.raises(AppError) as busy, hasher.slot(after(clock, 5)):
        pytest.fail("All slots were taken.")
    assert busy.value.kind is Kind.UNAVAILABLE
    assert hash_once(hasher, after(clock, 5))


def test_who_would_be_gone_before_the_fastest_hash_ends_finds_out_nothing() -> None:
    clock = FakeClock()
    hasher = slow_since(clock, SlowFunction(clock, 0.1), HashSlots(concurrency=1, queue=0))
    assert not hash_once(hasher, after(clock, 0.1))
    assert hash_once(hasher, after(clock, 0.11))


def test_a_check_of_other_parameters_teaches_nothing() -> None:
    clock = FakeClock()
    function = SlowFunction(clock, 0.1)
    hasher = PasswordHasher(function, HashSlots(concurrency=1, queue=0), clock)
    function.seconds = 0.01
    with hasher.slot(after(clock, 5)) as slot:
        slot.verify("scrypt:512:8:1$salt$hash", "x")
    assert hasher.expected_seconds == pytest.approx(0.1)


def test_the_expected_time_follows_what_hashes_take() -> None:
    clock = FakeClock()
    function = SlowFunction(clock, 0.1)
    hasher = PasswordHasher(function, HashSlots(concurrency=1, queue=0), clock)
    function.seconds = 0.5
    for _ in range(40):
        with hasher.slot(after(clock, 5)) as slot:
            slot.hash("x")
    assert hasher.expected_seconds == pytest.approx(0.5, abs=0.01)


def test_no_more_hash_at_once_than_there_are_slots_and_the_queue_is_bounded() -> None:
    slots = HashSlots(concurrency=2, queue=3)
    leave, inside = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        with slots.taken(timeout=10):
            inside.release()
            leave.wait(10)

    with ThreadPoolExecutor(5) as pool:
        held = [pool.submit(hold) for _ in range(5)]
        eventually(lambda: slots.waiting == 3, what="a full queue")
        assert inside.acquire(timeout=5)
        assert inside.acquire(timeout=5)
        assert not inside.acquire(blocking=False)
        with pytest.raises(AppError) as refused, slots.taken(timeout=10):
            pytest.fail("The queue was full.")
        leave.set()
        for future in held:
            future.result(10)
    assert refused.value.kind is Kind.UNAVAILABLE
    assert refused.value.retry_after == 1.0
    assert slots.waiting == 0


def test_waiting_in_vain_is_told_and_leaves_the_queue() -> None:
    slots = HashSlots(concurrency=1, queue=1)
    with (
        slots.taken(timeout=1),
        pytest.raises(AppError) as refused,
        slots.taken(timeout=0.01),
    ):
        pytest.fail("The slot was taken.")
    assert refused.value.kind is Kind.UNAVAILABLE
    assert slots.waiting == 0


def test_a_slot_comes_back_when_the_work_in_it_fails() -> None:
    slots = HashSlots(concurrency=1, queue=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), slots.taken(timeout=1):
            raise ZeroDivisionError
    with slots.taken(timeout=0):
        pass
