from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import FakeClock
from tier_runtime.clock import Clock, SystemClock
from tier_runtime.ids import Uuid7Source
from tier_runtime.timestamps import datetime_from, timestamp_from

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(timezones=st.just(UTC)).filter(lambda moment: moment != EPOCH)


@given(MOMENTS)
def test_a_moment_survives_the_way_there_and_back(moment: datetime) -> None:
    timestamp = timestamp_from(moment)
    assert datetime_from(timestamp) == moment
    # protobuf's own reading is the reference.
    assert timestamp.ToDatetime(tzinfo=UTC) == moment


def test_a_moment_of_another_zone_is_the_same_moment_in_utc() -> None:
    there = datetime(2026, 11, 21, 6, 0, tzinfo=timezone(timedelta(hours=2)))
    back = datetime_from(timestamp_from(there))
    assert back == there
    assert back is not None
    assert back.tzinfo is UTC


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        timestamp_from(datetime(2026, 11, 21))  # noqa: DTZ001 - the naive value is what is tested.


def test_an_absent_or_unset_timestamp_is_no_moment() -> None:
    assert datetime_from(None) is None
    assert datetime_from(Timestamp()) is None


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock()], ids=["system", "fake"])
def test_a_clock_tells_aware_utc_and_never_runs_backwards(clock: Clock) -> None:
    assert clock.now().tzinfo is UTC
    first = clock.monotonic()
    assert clock.monotonic() >= first


def test_the_fake_clock_moves_both_times_together() -> None:
    clock = FakeClock()
    now, monotonic = clock.now(), clock.monotonic()
    clock.advance(1.5)
    assert clock.now() - now == timedelta(seconds=1.5)
    assert clock.monotonic() - monotonic == 1.5


def test_ids_are_version_7_and_sort_by_the_time_they_were_made() -> None:
    source = Uuid7Source()
    ids = [source.new_id() for _ in range(1000)]
    assert ids == sorted(set(ids))
    assert all(len(one) == 36 and one[14] == "7" and one == one.lower() for one in ids)
