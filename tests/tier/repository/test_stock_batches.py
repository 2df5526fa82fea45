"""Changes of stock of many products in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from arcana.repository.v1 import product_repository_pb2 as messages
from repository_tier.tables import idempotency_keys
from tests.tier.repository.requests import Requests, sha256
from tests.tier.repository.running_tier import (
    RunningTier,
    all_at_once,
    bad_fields,
    failure,
    outcomes,
)
from tests.tier.repository.shelf import Shelf
from tier_runtime.errors import AppError, Kind
from tier_runtime.status import from_status

# Product, units and reason.
Wanted = tuple[str, int] | tuple[str, int, str]


def batch(*wanted: Wanted) -> messages.BatchUpdateStockRequest:
    changes = [
        messages.StockChange(product_id=one[0], quantity_change=one[1], reason="".join(one[2:]))
        for one in wanted
    ]
    return messages.BatchUpdateStockRequest(changes=changes)


def errors(answer: messages.BatchUpdateStockResponse) -> list[AppError | None]:
    """Return what stood against each change."""
    return [
        from_status(result.error) if result.HasField("error") else None for result in answer.results
    ]


def codes(answer: messages.BatchUpdateStockResponse) -> list[str]:
    return [error.code if error else "OK" for error in errors(answer)]


def test_each_change_is_made_or_says_what_stands_against_it(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    full, few, good = shelf.put(stock=10**9), shelf.put(stock=3), shelf.put(stock=10)
    nothing = make.new_id()
    answer = tier.products.BatchUpdateStock(
        batch(
            (good, -4, "counted"),
            (few, -4),
            (nothing, 1),
            (full, 1),
            ("nonsense", 1),
            (good, 0),
            (good, 2),
            ("", 1),
        )
    )
    found = errors(answer)
    assert [error and (error.kind, error.code) for error in found] == [
        None,
        (Kind.CONFLICT, "INSUFFICIENT_STOCK"),
        (Kind.MISSING, "PRODUCT_NOT_FOUND"),
        (Kind.INVALID, "VALIDATION_FAILED"),
        (Kind.INVALID, "VALIDATION_FAILED"),
        (Kind.INVALID, "VALIDATION_FAILED"),
        None,
        (Kind.INVALID, "VALIDATION_FAILED"),
    ]
    short = found[1]
    assert short is not None
    assert short.metadata == {"product_id": few, "available": "3"}
    assert not answer.replayed
    assert shelf.ledger(good) == [(10, "initial"), (-4, "counted"), (2, "")]
    assert (shelf.stock(few), shelf.stock(full)) == (3, 10**9)
    get = messages.GetProductRequest(product_id=good)
    assert tier.products.GetProduct(get).product.stock == 8


def test_changes_of_one_product_happen_in_the_order_given(tier: RunningTier, shelf: Shelf) -> None:
    first, second = shelf.put_many(2, stock=1)
    # Only in this order do the units suffice; the products take turns.
    answer = tier.products.BatchUpdateStock(
        batch((second, -1), (first, -2), (second, -1), (first, 5), (second, 3), (first, -6))
    )
    assert codes(answer) == ["OK", "INSUFFICIENT_STOCK", "INSUFFICIENT_STOCK", "OK", "OK", "OK"]
    assert [one for one, _ in shelf.ledger(second)] == [1, -1, 3]
    assert [one for one, _ in shelf.ledger(first)] == [1, 5, -6]


def test_what_counts_is_stock_before_and_after_the_batch(tier: RunningTier, shelf: Shelf) -> None:
    kept, low, out = (shelf.put(stock=10, low_stock_threshold=5) for _ in range(3))
    tier.products.BatchUpdateStock(
        batch((kept, -10), (low, -3), (out, -6), (kept, 6), (low, -3), (out, -4))
    )
    told = {event.aggregate_id: event.type for event in shelf.events()}
    assert told == {low: "product.low_stock", out: "product.out_of_stock"}
    assert len(shelf.events()) == 2


def test_a_batch_with_a_key_is_made_once_with_all_its_outcomes(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    product_id = shelf.put(stock=5)
    request = batch((product_id, -3), (product_id, -3), ("nonsense", 1))
    request.idempotency_key.CopyFrom(make.key())
    first = tier.products.BatchUpdateStock(request)
    assert codes(first) == ["OK", "INSUFFICIENT_STOCK", "VALIDATION_FAILED"]
    tier.products.BatchUpdateStock(batch((product_id, 100)))
    again = tier.products.BatchUpdateStock(request)
    assert again.replayed
    assert again.results == first.results
    assert shelf.stock(product_id) == 102
    request.idempotency_key.fingerprint = sha256("another batch")
    reused = (Kind.INVALID, "IDEMPOTENCY_KEY_REUSED")
    assert failure(tier.products.BatchUpdateStock, request) == reused
    assert len(tier.rows(select(idempotency_keys))) == 1


def test_a_hundred_changes_are_a_batch_and_one_more_is_none(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    product_id = shelf.put(stock=60)
    # Failures keep their texts in the record too.
    request = batch(*[(product_id, -1)] * 100)
    request.idempotency_key.CopyFrom(make.key())
    answer = tier.products.BatchUpdateStock(request)
    assert codes(answer) == ["OK"] * 60 + ["INSUFFICIENT_STOCK"] * 40
    assert tier.products.BatchUpdateStock(request).results == answer.results
    too_many = batch(*[(product_id, 1)] * 101)
    assert bad_fields(tier.products.BatchUpdateStock, too_many) == {"changes"}
    assert bad_fields(tier.products.BatchUpdateStock, batch()) == {"changes"}
    assert shelf.stock(product_id) == 0


def test_batches_with_their_products_in_opposite_order_all_go_through(
    tier: RunningTier, shelf: Shelf
) -> None:
    several = shelf.put_many(5, stock=100)

    def take(number: int) -> messages.BatchUpdateStockResponse:
        ordered: Sequence[str] = several if number % 2 else several[::-1]
        return tier.products.BatchUpdateStock(batch(*[(one, -1) for one in ordered]))

    assert outcomes(all_at_once(24, take)) == {"OK": 24}
    assert [shelf.stock(one) for one in several] == [76] * 5


def test_batches_orders_and_single_changes_that_race_sell_no_unit_twice(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    several = shelf.put_many(3, stock=12)

    def take(number: int) -> object:
        ordered = several if number % 2 else several[::-1]
        if number % 3 == 0:
            return tier.orders.PlaceOrder(make.order(*[make.line(one) for one in ordered]))
        if number % 3 == 1:
            return codes(tier.products.BatchUpdateStock(batch(*[(one, -1) for one in ordered])))
        single = messages.UpdateStockRequest(product_id=ordered[0], quantity_change=-1)
        return tier.products.UpdateStock(single)

    assert set(outcomes(all_at_once(48, take))) <= {"OK", "INSUFFICIENT_STOCK"}
    assert [shelf.stock(one) for one in several] == [0, 0, 0]
