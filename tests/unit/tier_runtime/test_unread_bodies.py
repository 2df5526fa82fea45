"""What has come of a body is there at once, and no more than the body."""

from __future__ import annotations

import pytest
from gunicorn.http.body import Body, EOFReader, LengthReader  # type: ignore[import-untyped]
from gunicorn.http.unreader import IterUnreader  # type: ignore[import-untyped]

from tier_runtime.unread_bodies import _take


def test_each_piece_of_a_body_of_known_length_is_taken_as_it_comes() -> None:
    unreader = IterUnreader([b"abc", b"de", b"fNEXT REQUEST", b" GOES ON"])
    body = Body(LengthReader(unreader, 6))
    assert [_take(body) for _ in range(5)] == [b"abc", b"de", b"f", b"", b""]
    # What comes after the body is where the next request is read.
    assert unreader.read() == b"NEXT REQUEST"
    assert unreader.read() == b" GOES ON"


def test_a_sender_that_leaves_ends_the_body_before_its_length() -> None:
    body = Body(LengthReader(IterUnreader([b"abc"]), 6))
    assert [_take(body), _take(body)] == [b"abc", b""]
    assert body.reader.length == 3


def test_a_body_that_ends_with_its_connection_is_taken_in_steps() -> None:
    body = Body(EOFReader(IterUnreader([b"abc", b"de"])))
    assert [_take(body), _take(body)] == [b"abcde", b""]


def test_a_connection_that_fails_is_used_no_more() -> None:
    class Broken(IterUnreader):  # type: ignore[misc]  # its base has no types
        def chunk(self, size_hint: int | None = None) -> bytes:
            raise BlockingIOError

    body = Body(LengthReader(Broken([]), 6))
    with pytest.raises(BlockingIOError):
        _take(body)
    assert body.failed
