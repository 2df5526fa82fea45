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
    RETRY_SECONDS,
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


def test_the_first_lookup_takes_no_longer_than_its_caller_has() -> None:
    answering = threading.Event()

    def slow(_host: str, _port: int) -> Sequence[tuple[str, int]]:
        assert answering.wait(10)
        return [A]

    addresses = Addresses(["tier:1"], resolve=slow, clock=Clock())
    with pytest.raises(NoAddressError):
        addresses.next(seconds=0.05)
    answering.set()
    assert addresses.next(seconds=10) == A


def test_all_that_come_first_wait_for_one_lookup() -> None:
    answering, names = threading.Event(), Names(A)
    got: list[tuple[str, int]] = []

    def slow(host: str, port: int) -> Sequence[tuple[str, int]]:
        assert answering.wait(10)
        return names(host, port)

    addresses = Addresses(["tier:1"], resolve=slow, clock=Clock())
    threads = [threading.Thread(target=lambda: got.append(addresses.next())) for _ in range(3)]
    for thread in threads:
        thread.start()
    answering.set()
    for thread in threads:
        thread.join(10)
    assert (got, names.asked) == ([A, A, A], 1)


class NamesByHost:
    """A name server that answers about some hosts, and fails for the others."""

    def __init__(self, **found: tuple[str, int]) -> None:
        self.found = found
        self.asked: list[str] = []

    def __call__(self, host: str, _port: int) -> Sequence[tuple[str, int]]:
        self.asked.append(host)
        if host not in self.found:
            raise OSError("no such name")
        return [self.found[host]]


def test_a_name_that_cannot_be_resolved_takes_no_peer_of_another_name_away() -> None:
    clock, names = Clock(), NamesByHost(one=A, two=B)
    addresses = Addresses(["one:1", "two:1"], resolve=names, clock=clock)
    addresses.next()
    eventually(_no_lookup_runs, what="the first lookup has ended")
    assert addresses.known() == {A, B}
    del names.found["two"]
    names.found["one"] = C
    clock.now += RESOLVE_SECONDS
    addresses.next()
    eventually(_no_lookup_runs, what="the second lookup has ended")
    assert addresses.known() == {B, C}


@pytest.mark.parametrize("is_known", [True, False])
def test_a_name_server_that_is_down_is_not_asked_for_each_request(is_known: bool) -> None:
    clock, names = Clock(), Names(*([A] if is_known else []))
    addresses = Addresses(["tier:1"], resolve=names, clock=clock)

    def ask() -> None:
        if is_known:
            assert addresses.next() == A
        else:
            with pytest.raises(NoAddressError):
                addresses.next()

    ask()
    eventually(_no_lookup_runs, what="the first lookup has ended")
    names.addresses = ()
    clock.now += RESOLVE_SECONDS
    ask()
    eventually(_no_lookup_runs, what="the second lookup has ended")
    for _ in range(5):
        ask()
    assert names.asked == 2
    clock.now += RETRY_SECONDS
    ask()
    eventually(lambda: names.asked == 3, what="the name server is asked again")


def _no_lookup_runs() -> bool:
    return not any(thread.name == "resolve" for thread in threading.enumerate())


def test_a_lookup_that_breaks_is_not_the_last_one() -> None:
    clock, names = Clock(), Names(A)
    hosts: list[str] = []

    def breaks_once(host: str, port: int) -> Sequence[tuple[str, int]]:
        hosts.append(host)
        if len(hosts) == 1:
            # What Python raises of a host that no name server could be asked about.
            raise UnicodeError("label too long")
        return names(host, port)

    addresses = Addresses(["tier:1"], resolve=breaks_once, clock=clock)
    with pytest.raises(NoAddressError):
        addresses.next()
    clock.now += RETRY_SECONDS
    assert addresses.next() == A


def test_numbers_among_names_do_not_wait_for_them() -> None:
    names = NamesByHost()
    addresses = Addresses(["10.0.0.1:1", "tier:1"], resolve=names, clock=Clock())
    assert {addresses.next() for _ in range(4)} == {A}
    eventually(lambda: names.asked == ["tier"], what="the name is looked up, the number is not")


def test_numbers_are_never_resolved() -> None:
    names, clock = Names(C), Clock()
    addresses = Addresses(["127.0.0.1:1", "[::1]:2"], resolve=names, clock=clock)
    clock.now += 100
    assert {addresses.next() for _ in range(4)} == {("127.0.0.1", 1), ("::1", 2)}
    assert names.asked == 0
