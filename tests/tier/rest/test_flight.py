"""A request on its way, and whether its answer is there before it has ended."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tier_runtime.rest.flight import Flight


@pytest.fixture
def sides() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_what_the_peer_has_sent_is_an_answer(sides: tuple[socket.socket, socket.socket]) -> None:
    flight = Flight(5)
    assert not flight.is_answered()
    flight.board(sides[0])
    assert not flight.is_answered()
    sides[1].send(b"HTTP")
    assert flight.is_answered()
    flight.leave()
    assert not flight.is_answered()


def test_a_peer_that_has_left_answers_too(sides: tuple[socket.socket, socket.socket]) -> None:
    flight = Flight(5)
    flight.board(sides[0])
    sides[1].close()
    assert flight.is_answered()


def test_a_connection_that_this_side_has_closed_has_no_answer(
    sides: tuple[socket.socket, socket.socket],
) -> None:
    flight = Flight(5)
    flight.board(sides[0])
    sides[0].close()
    assert not flight.is_answered()
