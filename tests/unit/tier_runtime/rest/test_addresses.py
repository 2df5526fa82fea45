"""Which address is next."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from tests.stores.waiting import eventually
from tier_runtime.rest.addresses import (
    FIRST_REST_SECONDS,
    LONGEST_REST_SECONDS,
    RESOLVE_SECONDS,
    Addresses,
    NoAddressError,
)

A, B, C = ("10.0.0.1", 1), ("10.0.0.2", 2), ("10.0.0.3", 3)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Names:
    """A name server."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self.addresses: Sequence[tuple[str, int]] = addresses
        self.asked = 0

    def __call__(self, host: str, port: int) -> Sequence[tuple[str, int]]:
        self.asked += 1
        if not self.addresses:
            raise OSError("no such name")
        return self.addresses


def _targets(*addresses: tuple[str, int]) -> list[str]:
    return [f"{host}:{port}" for host, port in addresses]


def test_each_address_has_its_turn() -> None:
    addresses = Addresses(_targets(A, B, C), clock=Clock())
    turns = [addresses.next() for _ in range(9)]
    assert {turns.count(one) for one in (A, B, C)} == {3}
    assert turns[:3] == turns[3:6]


def test_an_address_that_failed_rests_longer_each_time() -> None:
    clock = Clock()
    addresses = Addresses(_targets(A, B), clock=clock)
    for rest in (FIRST_REST_SECONDS, 2 * FIRST_REST_SECONDS, 4 * FIRST_REST_SECONDS):
        addresses.failed(A)
        clock.now += rest - 0.01
        assert {addresses.next() for _ in range(4)} == {B}
        clock.now += 0.02
        assert {addresses.next() for _ in range(4)} == {A, B}
    for _ in range(9):
        addresses.failed(A)
    clock.now += LONGEST_REST_SECONDS
    assert {addresses.next() for _ in range(4)} == {A, B}


def test_an_address_that_was_reached_has_never_failed() -> None:
    addresses = Addresses(_targets(A, B), clock=Clock())
    addresses.failed(A)
    addresses.reached(A)
    assert {addresses.next() for _ in range(4)} == {A, B}


def test_if_all_rest_the_first_to_wake_is_asked() -> None:
    clock = Clock()
    addresses = Addresses(_targets(A, B), clock=clock)
    addresses.failed(B)
    clock.now += 0.01
    addresses.failed(A)
    assert addresses.next() == B


def test_what_was_tried_is_not_tried_again() -> None:
    addresses = Addresses(_targets(A, B), clock=Clock())
    assert addresses.next([A]) == B
    with pytest.raises(NoAddressError):
        addresses.next([A, B])


def test_a_name_is_resolved_again_every_few_seconds() -> None:
    clock, names = Clock(), Names(A)
    addresses = Addresses(["tier:1"], resolve=names, clock=clock)
    assert addresses.next() == A
    names.addresses = (A, B)
    clock.now += RESOLVE_SECONDS - 0.1
    assert {addresses.next() for _ in range(4)} == {A}
    assert names.asked == 1
    clock.now += 0.2
    eventually(lambda: B in {addresses.next(), addresses.next()}, what="the new address")


def test_the_old_addresses_stay_while_the_name_server_is_gone() -> None:
    clock, names = Clock(), Names(A)
    addresses = Addresses(["tier:1"], resolve=names, clock=clock)
    addresses.next()
    names.addresses = ()
    clock.now += RESOLVE_SECONDS + 1
    assert addresses.next() == A
    eventually(lambda: names.asked == 2, what="the name server is asked again")
    assert addresses.next() == A


def test_a_slow_name_server_delays_nobody_who_has_addresses() -> None:
    clock, names = Clock(), Names(A)
    answering = threading.Event()
    answering.set()

    def slow(host: str, port: int) -> Sequence[tuple[str, int]]:
        assert answering.wait(10)
        return names(host, port)

    addresses = Addresses(["tier:1"], resolve=slow, clock=clock)
    assert addresses.next() == A
    answering.clear()
    clock.now += RESOLVE_SECONDS + 1
    assert addresses.next() == A
    answering.set()
    eventually(lambda: names.asked == 2, what="the name server is asked again")


def test_a_name_without_addresses_has_none() -> None:
    addresses = Addresses(["tier:1"], resolve=Names(), clock=Clock())
    with pytest.raises(NoAddressError):
        addresses.next()


def test_numbers_are_never_resolved() -> None:
    names, clock = Names(C), Clock()
    addresses = Addresses(["127.0.0.1:1", "[::1]:2"], resolve=names, clock=clock)
    clock.now += 100
    assert {addresses.next() for _ in range(4)} == {("127.0.0.1", 1), ("::1", 2)}
    assert names.asked == 0
