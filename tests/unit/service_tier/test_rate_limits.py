from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration

from arcana.service.v1 import rate_limit_service_pb2 as pb
from tests.unit.service_tier.harness import Harness
from tier_runtime.errors import AppError, Kind


def bucket(key: str = "login:1", limit: int = 2, seconds: int = 60) -> pb.RateLimitBucket:
    return pb.RateLimitBucket(key=key, limit=limit, window=Duration(seconds=seconds))


def take(harness: Harness, *buckets: pb.RateLimitBucket) -> list[pb.RateLimitState]:
    return list(harness.rate_limits.TakeRateLimit(pb.TakeRateLimitRequest(buckets=buckets)).states)


def test_a_bucket_refuses_when_it_is_empty_and_fills_again(harness: Harness) -> None:
    assert [take(harness, bucket())[0].allowed for _ in range(3)] == [True, True, False]
    (state,) = take(harness, bucket())
    assert (state.key, state.remaining, state.reset_after.seconds) == ("login:1", 0, 60)
    harness.clock.advance(60)
    assert take(harness, bucket())[0].allowed


def test_each_bucket_is_charged_whatever_the_others_say(harness: Harness) -> None:
    take(harness, bucket("a", 1))
    first, second = take(harness, bucket("a", 1), bucket("b", 5))
    assert (first.allowed, second.allowed, second.remaining) == (False, True, 4)


@pytest.mark.parametrize(
    "bad",
    [
        bucket(key=""),
        bucket(key="x" * 256),
        bucket(limit=0),
        bucket(seconds=0),
        bucket(seconds=86_401),
        pb.RateLimitBucket(key="a", limit=1, window=Duration(seconds=1, nanos=1)),
    ],
    ids=["no key", "long key", "no limit", "no window", "long window", "split second"],
)
def test_a_bad_bucket_is_named_by_its_place(harness: Harness, bad: pb.RateLimitBucket) -> None:
    with pytest.raises(AppError) as refused:
        take(harness, bucket(), bad)
    assert set(refused.value.field_errors) == {"buckets[1]"}


def test_no_bucket_and_too_many_are_field_errors(harness: Harness) -> None:
    for buckets in ([], [bucket()] * 5):
        with pytest.raises(AppError) as refused:
            take(harness, *buckets)
        assert set(refused.value.field_errors) == {"buckets"}


def test_counters_that_cannot_be_reached_are_told(harness: Harness) -> None:
    def down(_: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    harness.channel.before["TakeRateLimit"] = down
    with pytest.raises(AppError) as refused:
        take(harness, bucket())
    assert refused.value.kind is Kind.UNAVAILABLE
