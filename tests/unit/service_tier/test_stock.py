from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import product_repository_pb2
from arcana.service.v1 import product_service_pb2 as pb
from service_tier.usecases.stock import GROUP_SECONDS, GROUP_SIZE, MAX_ERRORS
from tests.unit.service_tier.harness import ADMIN, Harness
from tier_runtime.errors import AppError, Kind

UNKNOWN = "019aa000-0000-7000-8000-000000000001"


def move(harness: Harness, product_id: str, units: int, **fields: object) -> pb.UpdateStockResponse:
    request = pb.UpdateStockRequest(product_id=product_id, quantity_change=units, **fields)  # type: ignore[arg-type]
    with harness.acting(ADMIN):
        return harness.products.UpdateStock(request)


def ledger(harness: Harness, product_id: str) -> list[tuple[int, str]]:
    with harness.acting(ADMIN):
        answer = harness.products.ListStockMovements(
            pb.ListStockMovementsRequest(product_id=product_id)
        )
    return [(movement.quantity_change, movement.reason) for movement in answer.movements]


def change(
    product_id: str, units: int = 1, request_id: str = "", reason: str = "", **told: Any
) -> pb.BatchUpdateStockRequest:
    return pb.BatchUpdateStockRequest(
        request_id=request_id, product_id=product_id, quantity_change=units, reason=reason, **told
    )


def keyed(product_id: str, count: int, **told: Any) -> list[pb.BatchUpdateStockRequest]:
    """Return so many changes under one key; the first one tells what is told of all."""
    return [
        change(product_id, 1, "key-1", **told),
        *(change(product_id) for _ in range(count - 1)),
    ]


def batch(
    harness: Harness, changes: Iterable[pb.BatchUpdateStockRequest], seconds: float = 5.0
) -> pb.BatchUpdateStockResponse:
    with harness.acting(ADMIN, seconds):
        return harness.products.BatchUpdateStock(iter(changes))


def stock(harness: Harness, product_id: str) -> int:
    return harness.kept_product(product_id).stock


def test_units_come_and_go_and_the_ledger_says_so(harness: Harness) -> None:
    product = harness.product(stock=5)
    moved = move(harness, product.id, -2, reason=" broken ").product
    assert (moved.stock, moved.version) == (3, 2)
    assert move(harness, product.id, 10).product.stock == 13
    assert ledger(harness, product.id) == [(5, "initial"), (-2, "broken"), (10, "")]
    # The ledger is what tells of it; events are for what nobody can see there.
    assert harness.repository.event_types() == ["product.created"]


def test_more_than_there_is_cannot_go(harness: Harness) -> None:
    product = harness.product(stock=5)
    with pytest.raises(AppError) as refused:
        move(harness, product.id, -6)
    assert (refused.value.kind, refused.value.code) == (Kind.CONFLICT, "INSUFFICIENT_STOCK")
    assert refused.value.metadata == {"product_id": product.id, "available": "5"}
    assert set(refused.value.field_errors) == {"quantity_change"}
    assert ledger(harness, product.id) == [(5, "initial")]


def test_another_version_and_no_product_are_refused(harness: Harness) -> None:
    product = harness.product()
    with pytest.raises(AppError, match="PRECONDITION_FAILED"):
        move(harness, product.id, 1, expected_version=9)
    assert move(harness, product.id, 1, expected_version=product.version).product.version == 2
    with pytest.raises(AppError, match="PRODUCT_NOT_FOUND"):
        move(harness, UNKNOWN, 1)
    with pytest.raises(AppError, match="PRODUCT_NOT_FOUND"):
        ledger(harness, UNKNOWN)


def test_the_same_key_moves_units_once(harness: Harness) -> None:
    product = harness.product(stock=5)
    first = move(harness, product.id, -1, request_id="key-1")
    again = move(harness, product.id, -1, request_id="key-1")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.product == first.product
    assert stock(harness, product.id) == 4
    with pytest.raises(AppError, match="IDEMPOTENCY_KEY_REUSED"):
        move(harness, product.id, -2, request_id="key-1")


def test_what_is_wrong_with_a_change_is_told_by_field(harness: Harness) -> None:
    product = harness.product()
    for product_id, units, reason, expected in (
        ("", 0, "", {"product_id", "quantity_change"}),
        (product.id, 10**9 + 1, "x" * 256, {"quantity_change", "reason"}),
        (product.id, 10**9, "", {"quantity_change"}),
    ):
        with pytest.raises(AppError) as refused:
            move(harness, product_id, units, reason=reason)
        assert refused.value.code == "VALIDATION_FAILED"
        assert set(refused.value.field_errors) == expected


def test_a_ledger_is_walked_page_by_page(harness: Harness) -> None:
    product = harness.product(stock=1)
    for _ in range(3):
        move(harness, product.id, 1)
    page = paging_pb2.PageRequest(page_size=3)
    request = pb.ListStockMovementsRequest(product_id=product.id, page=page)
    with harness.acting(ADMIN):
        first = harness.products.ListStockMovements(request)
        request.page.cursor = first.page.next_cursor
        second = harness.products.ListStockMovements(request)
    assert (len(first.movements), first.page.total) == (3, 4)
    assert (len(second.movements), second.page.next_cursor) == (1, "")
    request.page.page_size = 101
    with harness.acting(ADMIN), pytest.raises(AppError) as refused:
        harness.products.ListStockMovements(request)
    assert set(refused.value.field_errors) == {"page_size"}


def test_each_change_of_a_stream_is_made_or_refused_by_itself(harness: Harness) -> None:
    product, other = harness.product(stock=5), harness.product(stock=0)
    harness.channel.calls.clear()
    sent = [
        change(product.id, -3),
        change(other.id, 0),
        change(UNKNOWN),
        change(product.id, -3),
        change("lamp", 1),
        change(other.id, 7, reason="x" * 256),
        change("", 1),
        change(other.id, 4),
        change(product.id, 1),
    ]
    answer = batch(harness, sent)
    assert (answer.success_count, answer.failure_count, answer.replayed) == (3, 6, False)
    assert [(error.index, error.product_id, error.code) for error in answer.errors] == [
        (1, other.id, "VALIDATION_FAILED"),
        (2, UNKNOWN, "PRODUCT_NOT_FOUND"),
        (3, product.id, "INSUFFICIENT_STOCK"),
        (4, "lamp", "VALIDATION_FAILED"),
        (5, other.id, "VALIDATION_FAILED"),
        (6, "", "VALIDATION_FAILED"),
    ]
    assert "quantity_change" in answer.errors[0].message
    assert "2 available" in answer.errors[2].message
    assert (stock(harness, product.id), stock(harness, other.id)) == (3, 4)
    assert harness.channel.calls == ["BatchUpdateStock"]


def test_a_stream_of_nothing_changes_nothing(harness: Harness) -> None:
    assert batch(harness, []) == pb.BatchUpdateStockResponse()
    assert harness.channel.calls == []


def test_a_stream_of_what_cannot_be_made_asks_for_nothing(harness: Harness) -> None:
    answer = batch(harness, [change(UNKNOWN, 0)])
    assert (answer.success_count, answer.failure_count, answer.replayed) == (0, 1, False)
    assert harness.channel.calls == []


def test_a_long_stream_goes_on_in_groups_as_it_comes(harness: Harness) -> None:
    product = harness.product(stock=0)
    sizes: list[int] = []
    taken = 0

    def sent() -> Iterator[pb.BatchUpdateStockRequest]:
        nonlocal taken
        for _ in range(2 * GROUP_SIZE + 1):
            # One is read ahead of what has been made: a group is to know whether it is the last.
            assert taken - sum(sizes) <= GROUP_SIZE
            taken += 1
            yield change(product.id)

    harness.channel.before["BatchUpdateStock"] = lambda request: sizes.append(len(request.changes))
    assert batch(harness, sent()).success_count == 2 * GROUP_SIZE + 1
    assert sizes == [GROUP_SIZE, GROUP_SIZE, 1]
    assert stock(harness, product.id) == 2 * GROUP_SIZE + 1


def test_of_many_errors_the_first_are_kept_and_all_counted(harness: Harness) -> None:
    answer = batch(harness, (change("x" * 1000, 0) for _ in range(MAX_ERRORS + 50)), seconds=60)
    assert (answer.failure_count, len(answer.errors)) == (MAX_ERRORS + 50, MAX_ERRORS)
    assert [error.index for error in answer.errors] == list(range(MAX_ERRORS))
    # Garbage is not given back at any length.
    assert len(answer.errors[0].product_id) == 255


def test_a_stream_of_any_length_takes_the_memory_of_a_short_one(harness: Harness) -> None:
    def peak(count: int) -> int:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        assert batch(harness, (change("x" * 300, 0) for _ in range(count))).failure_count == count
        return tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    try:
        short = peak(MAX_ERRORS + GROUP_SIZE)
        assert peak(5 * (MAX_ERRORS + GROUP_SIZE)) < 1.5 * short
    finally:
        tracemalloc.stop()


def test_a_stream_sent_again_is_not_made_again(harness: Harness) -> None:
    product = harness.product(stock=150)
    sent = [change(product.id, -1, "key-1"), *(change(product.id, -1) for _ in range(199))]
    first = batch(harness, sent)
    assert (first.success_count, first.failure_count, first.replayed) == (150, 50, False)
    harness.product()
    again = batch(harness, sent)
    assert again.replayed
    again.replayed = False
    assert again == first
    assert stock(harness, product.id) == 0


def test_of_a_stream_that_was_cut_off_only_the_rest_is_made(harness: Harness) -> None:
    product = harness.product(stock=0)
    sent = [change(product.id, 1, "key-1") for _ in range(2 * GROUP_SIZE + 10)]
    groups: list[int] = []

    def fail_at_the_second(request: product_repository_pb2.BatchUpdateStockRequest) -> None:
        groups.append(len(request.changes))
        if len(groups) == 2:
            raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    harness.channel.before["BatchUpdateStock"] = fail_at_the_second
    with pytest.raises(AppError, match="SERVICE_UNAVAILABLE"):
        batch(harness, sent)
    assert stock(harness, product.id) == GROUP_SIZE
    answer = batch(harness, sent)
    # Some of it was made only now.
    assert (answer.success_count, answer.replayed) == (2 * GROUP_SIZE + 10, False)
    assert stock(harness, product.id) == 2 * GROUP_SIZE + 10


def test_another_stream_with_the_same_key_is_refused(harness: Harness) -> None:
    product = harness.product(stock=10)
    batch(harness, [change(product.id, 1, "key-1")])
    for other in (
        [change(product.id, 2, "key-1")],
        [change(product.id, 1, "key-1", "why")],
        [change(product.id, 1, "key-1"), change(product.id, 1)],
        # What is refused belongs to what was sent.
        [change(product.id, 1, "key-1"), change("", 1)],
    ):
        with pytest.raises(AppError, match="IDEMPOTENCY_KEY_REUSED"):
            batch(harness, other)
    assert stock(harness, product.id) == 11


@pytest.mark.parametrize(
    ("count", "other"),
    [
        (GROUP_SIZE, GROUP_SIZE + 50),
        (GROUP_SIZE, 2 * GROUP_SIZE),
        (GROUP_SIZE + 50, GROUP_SIZE),
        (2 * GROUP_SIZE + 50, GROUP_SIZE),
        (2 * GROUP_SIZE, 2 * GROUP_SIZE + 1),
        (2 * GROUP_SIZE + 50, 3 * GROUP_SIZE),
    ],
)
def test_a_longer_and_a_shorter_stream_with_the_same_key_are_refused(
    harness: Harness, count: int, other: int
) -> None:
    product = harness.product(stock=0)
    first = batch(harness, keyed(product.id, count))
    with pytest.raises(AppError, match="IDEMPOTENCY_KEY_REUSED"):
        batch(harness, keyed(product.id, other))
    assert stock(harness, product.id) == count
    again = batch(harness, keyed(product.id, count))
    assert (again.success_count, again.replayed) == (first.success_count, True)


def test_what_was_refused_is_recorded_with_its_key_too(harness: Harness) -> None:
    product = harness.product(stock=0)
    bad = [change(product.id, 0, "key-1"), *(change(product.id, 0) for _ in range(GROUP_SIZE - 1))]
    sent = [*bad, change(product.id, 1)]
    first = batch(harness, sent)
    assert (first.success_count, first.failure_count, first.replayed) == (1, GROUP_SIZE, False)
    # The first group is another one, the second one differs as well.
    with pytest.raises(AppError, match="IDEMPOTENCY_KEY_REUSED"):
        batch(harness, [*keyed(product.id, GROUP_SIZE), change(product.id, 2)])
    assert stock(harness, product.id) == 1
    assert batch(harness, sent).replayed


def test_a_stream_of_which_nothing_could_be_made_is_replayed(harness: Harness) -> None:
    product = harness.product(stock=0)
    first = batch(harness, [change(product.id, 0, "key-1")])
    again = batch(harness, [change(product.id, 0, "key-1")])
    assert (first.replayed, again.replayed) == (False, True)
    assert again.errors == first.errors
    with pytest.raises(AppError, match="IDEMPOTENCY_KEY_REUSED"):
        batch(harness, keyed(product.id, 1))


def test_a_digest_refuses_another_stream_before_anything_is_made(harness: Harness) -> None:
    product = harness.product(stock=0)
    told = {"changes_sha256": b"a" * 32, "change_count": GROUP_SIZE + 1}
    groups = 0

    def fail_at_the_second(_: object) -> None:
        nonlocal groups
        groups += 1
        if groups == 2:
            raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    harness.channel.before["BatchUpdateStock"] = fail_at_the_second
    with pytest.raises(AppError, match="SERVICE_UNAVAILABLE"):
        batch(harness, keyed(product.id, GROUP_SIZE + 1, **told))
    for other in ({"changes_sha256": b"b" * 32}, {"changes_sha256": b""}, {"change_count": 0}):
        with pytest.raises(AppError, match="IDEMPOTENCY_KEY_REUSED"):
            batch(harness, keyed(product.id, GROUP_SIZE + 1, **{**told, **other}))
    assert stock(harness, product.id) == GROUP_SIZE
    answer = batch(harness, keyed(product.id, GROUP_SIZE + 1, **told))
    assert (answer.success_count, answer.replayed) == (GROUP_SIZE + 1, False)
    assert stock(harness, product.id) == GROUP_SIZE + 1


@pytest.mark.parametrize("key", ["", "key-1"])
def test_a_stream_that_ends_before_its_count_is_cut_off_and_can_be_sent_again(
    harness: Harness, key: str
) -> None:
    product = harness.product(stock=0)
    count = GROUP_SIZE + 50
    sent = [change(product.id, 1, key, change_count=count), *[change(product.id)] * (count - 1)]
    for came, made in ((GROUP_SIZE + 20, GROUP_SIZE), (GROUP_SIZE, 0), (1, 0)):
        before = stock(harness, product.id)
        with pytest.raises(AppError) as refused:
            batch(harness, sent[:came])
        assert set(refused.value.field_errors) == {"change_count"}
        assert stock(harness, product.id) - before in {0, made}
    before = stock(harness, product.id)
    assert batch(harness, sent).success_count == count
    assert stock(harness, product.id) == (count if key else before + count)


@pytest.mark.parametrize(
    ("count", "made"),
    [(GROUP_SIZE + 1, GROUP_SIZE + 1), (GROUP_SIZE, GROUP_SIZE), (2 * GROUP_SIZE, 2 * GROUP_SIZE)],
)
def test_a_stream_of_its_count_passes_and_one_more_change_is_refused(
    harness: Harness, count: int, made: int
) -> None:
    product = harness.product(stock=0)
    sent = [change(product.id, change_count=count), *[change(product.id)] * (count - 1)]
    assert batch(harness, sent).success_count == made
    with pytest.raises(AppError) as refused:
        batch(harness, [*sent, change(product.id)])
    assert set(refused.value.field_errors) == {"change_count"}
    # Whole groups before it remain made.
    assert stock(harness, product.id) == made + (count - 1) // GROUP_SIZE * GROUP_SIZE


@pytest.mark.parametrize(
    "told", [{"change_count": -1}, {"changes_sha256": b"x" * 31}, {"changes_sha256": b"x" * 33}]
)
def test_what_is_told_of_a_stream_is_checked(harness: Harness, told: dict[str, Any]) -> None:
    product = harness.product(stock=0)
    with pytest.raises(AppError) as refused:
        batch(harness, keyed(product.id, 1, **told))
    assert set(refused.value.field_errors) == set(told)
    assert stock(harness, product.id) == 0


def test_what_a_later_message_tells_of_the_stream_does_not_count(harness: Harness) -> None:
    product = harness.product(stock=0)
    sent = [change(product.id), change(product.id, change_count=-1, changes_sha256=b"x")]
    assert batch(harness, sent).success_count == 2


def test_the_key_of_the_first_message_is_that_of_the_stream(harness: Harness) -> None:
    product = harness.product(stock=0)
    sent = [change(product.id, 1), change(product.id, 1, "key-1")]
    assert not batch(harness, sent).replayed
    assert not batch(harness, sent).replayed
    assert stock(harness, product.id) == 4
    assert harness.repository.state.answers == {}


@pytest.mark.parametrize("key", ["k" * 255, "~ !", "key.1"])
def test_every_group_has_a_key_of_its_own_whatever_the_streams_key_is(
    harness: Harness, key: str
) -> None:
    product = harness.product(stock=0)
    asked: list[str] = []
    harness.channel.before["BatchUpdateStock"] = lambda request: asked.append(
        request.idempotency_key.key
    )
    batch(harness, [change(product.id, 1, key) for _ in range(3 * GROUP_SIZE)])
    batch(harness, [change(product.id, 1, f"{key[:200]}.1") for _ in range(3 * GROUP_SIZE)])
    assert len(set(asked)) == 6
    assert all(len(one) <= 255 for one in asked)
    assert stock(harness, product.id) == 6 * GROUP_SIZE


@pytest.mark.parametrize("key", ["k" * 256, "ä", "a\nb"])
def test_a_key_that_is_none_is_a_field_error_and_nothing_is_made(
    harness: Harness, key: str
) -> None:
    product = harness.product(stock=0)
    with pytest.raises(AppError) as refused:
        batch(harness, [change(product.id, 1, key)])
    assert set(refused.value.field_errors) == {"request_id"}
    assert stock(harness, product.id) == 0


def test_a_group_that_is_still_running_is_told_so(harness: Harness) -> None:
    def running(_: object) -> None:
        raise AppError(Kind.CONFLICT, "IDEMPOTENCY_IN_PROGRESS", "Wait.", retry_after=1.0)

    harness.channel.before["BatchUpdateStock"] = running
    with pytest.raises(AppError, match="IDEMPOTENCY_IN_PROGRESS"):
        batch(harness, [change(UNKNOWN, 1, "key-1")])


def test_a_stream_ends_with_its_deadline_and_what_was_made_stays(harness: Harness) -> None:
    product = harness.product(stock=0)
    harness.channel.before["BatchUpdateStock"] = lambda _: harness.clock.advance(3)
    with pytest.raises(AppError, match="DEADLINE_EXCEEDED"):
        batch(harness, (change(product.id) for _ in range(3 * GROUP_SIZE)))
    assert stock(harness, product.id) == 2 * GROUP_SIZE


def test_a_group_has_the_time_of_a_request_however_long_its_stream_may_take(
    harness: Harness,
) -> None:
    batch(harness, [change(harness.product(stock=0).id)], seconds=300.0)
    assert harness.channel.timeouts["BatchUpdateStock"] == GROUP_SECONDS
