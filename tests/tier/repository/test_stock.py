"""Stock changed by hand, one product at a time, and its ledger."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import product_repository_pb2 as messages
from repository_tier.tables import idempotency_keys, outbox_events, stock_movements
from tests.fakes.clock import FakeClock
from tests.tier.repository.conftest import StartTier
from tests.tier.repository.requests import Requests, sha256
from tests.tier.repository.running_tier import (
    RunningTier,
    all_at_once,
    bad_fields,
    failure,
    outcomes,
    warm_up,
)
from tests.tier.repository.shelf import Shelf
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

TOO_FEW = (Kind.CONFLICT, "INSUFFICIENT_STOCK")
NOT_FOUND = (Kind.MISSING, "PRODUCT_NOT_FOUND")
MOST = 1_000_000_000

CLIENTS, EACH = 50, 4


def change(product_id: str, units: int, **fields: Any) -> messages.UpdateStockRequest:
    return messages.UpdateStockRequest(product_id=product_id, quantity_change=units, **fields)


def test_units_come_and_go_and_the_ledger_says_so(
    tier: RunningTier, make: Requests, shelf: Shelf, clock: FakeClock
) -> None:
    product_id = shelf.put(stock=5)
    get = messages.GetProductRequest(product_id=product_id)
    before = tier.products.GetProduct(get).product
    clock.advance(3)
    event = make.event(type="product.updated")
    more = tier.products.UpdateStock(change(product_id, 7, reason="delivery", events=[event]))
    assert not more.replayed
    assert (more.product.stock, more.product.version) == (12, before.version + 1)
    assert more.product.updated_time.seconds - before.updated_time.seconds == 3
    # Not what the cache knew.
    assert tier.products.GetProduct(get).product == more.product
    fewer = tier.products.UpdateStock(change(product_id, -12)).product
    assert (fewer.stock, fewer.version) == (0, before.version + 2)
    assert tier.products.GetProduct(get).product == fewer
    assert shelf.ledger(product_id) == [(5, "initial"), (7, "delivery"), (-12, "")]
    assert shelf.event_types() == ["product.updated", "product.out_of_stock"]
    (moved,) = tier.rows(select(stock_movements).where(stock_movements.c.reason == "delivery"))
    assert (moved["order_id"], moved["created_time"]) == (None, clock.now())


def test_stock_below_zero_is_refused_with_what_is_available(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    product_id = shelf.put(stock=3)
    with pytest.raises(AppError) as caught:
        tier.products.UpdateStock(change(product_id, -4, events=[make.event()]))
    error = caught.value
    assert (error.kind, error.code) == TOO_FEW
    assert error.metadata == {"product_id": product_id, "available": "3"}
    assert set(error.field_errors) == {"quantity_change"}
    assert shelf.ledger(product_id) == [(3, "initial")]
    assert tier.rows(select(outbox_events)) == []


def test_more_units_than_there_may_be_are_refused(tier: RunningTier, shelf: Shelf) -> None:
    product_id = shelf.put(stock=MOST - 1)
    assert bad_fields(tier.products.UpdateStock, change(product_id, 2)) == {"quantity_change"}
    assert tier.products.UpdateStock(change(product_id, 1)).product.stock == MOST
    assert tier.products.UpdateStock(change(product_id, -MOST)).product.stock == 0


def test_a_product_that_is_not_there_has_no_stock(tier: RunningTier, make: Requests) -> None:
    nothing = make.new_id()
    assert failure(tier.products.UpdateStock, change(nothing, 1)) == NOT_FOUND
    listed = messages.ListStockMovementsRequest(product_id=nothing)
    assert failure(tier.products.ListStockMovements, listed) == NOT_FOUND


def test_a_change_from_another_version_is_refused(tier: RunningTier, shelf: Shelf) -> None:
    product_id = shelf.put(version=7)
    stale = (Kind.STALE, "PRECONDITION_FAILED")
    for version in (6, 8):
        request = change(product_id, -1, expected_version=version)
        assert failure(tier.products.UpdateStock, request) == stale
    request = change(product_id, -1, expected_version=7)
    assert tier.products.UpdateStock(request).product.version == 8
    assert failure(tier.products.UpdateStock, request) == stale


def test_a_change_with_a_key_is_made_once(tier: RunningTier, make: Requests, shelf: Shelf) -> None:
    product_id = shelf.put()
    request = change(product_id, -3, idempotency_key=make.key())
    first = tier.products.UpdateStock(request)
    tier.products.UpdateStock(change(product_id, -1))
    again = tier.products.UpdateStock(request)
    assert (again.replayed, again.product) == (True, first.product)
    other = change(product_id, -3, idempotency_key=make.key(fingerprint=sha256("other")))
    assert failure(tier.products.UpdateStock, other) == (Kind.INVALID, "IDEMPOTENCY_KEY_REUSED")
    assert shelf.stock(product_id) == 6
    # An old answer does not go back into the cache.
    get = messages.GetProductRequest(product_id=product_id)
    assert tier.products.GetProduct(get).product.stock == 6


def test_a_change_that_was_refused_leaves_its_key_free(
    tier: RunningTier, make: Requests, shelf: Shelf
) -> None:
    request = change(shelf.put(stock=1), -2, idempotency_key=make.key())
    assert failure(tier.products.UpdateStock, request) == TOO_FEW
    assert tier.rows(select(idempotency_keys)) == []


def test_what_stock_sets_off_says_who_did_it(tier: RunningTier, shelf: Shelf) -> None:
    product_id = shelf.put(stock=6, low_stock_threshold=5)
    with call_scope(Call(Actor("an-admin"), "request-7", Deadline.after(20))):
        tier.products.UpdateStock(change(product_id, -1))
    (event,) = shelf.events()
    assert (event.type, event.aggregate_id) == ("product.low_stock", product_id)
    assert (event.request_id, event.actor_subject) == ("request-7", "an-admin")
    # It is low already, and then it is not, and then it is again.
    for units in (-1, 3, -2):
        tier.products.UpdateStock(change(product_id, units))
    assert shelf.event_types() == ["product.low_stock"] * 2


@pytest.mark.usefixtures("warm_tier")
def test_of_sixty_four_that_take_a_unit_of_forty_forty_get_one(
    tier: RunningTier, shelf: Shelf
) -> None:
    product_id = shelf.put(stock=40, low_stock_threshold=10)
    request = change(product_id, -1)
    answers = all_at_once(64, lambda _number: tier.products.UpdateStock(request))
    assert outcomes(answers) == {"OK": 40, "INSUFFICIENT_STOCK": 24}
    left = {answer.product.stock for answer in answers if not isinstance(answer, AppError)}
    assert left == set(range(40))
    assert shelf.event_types() == ["product.low_stock", "product.out_of_stock"]
    get = messages.GetProductRequest(product_id=product_id)
    assert tier.products.GetProduct(get).product.stock == 0


def test_fifty_clients_of_two_tiers_take_what_there_is_and_no_more(
    start_tier: StartTier, shelf: Shelf
) -> None:
    # An embedded store has one owner.
    tiers = [start_tier()]
    if tiers[0].engine.dialect.name != "sqlite":
        tiers.append(start_tier())
    for one in tiers:
        warm_up(one)
    product_id = shelf.put(stock=80)
    request = change(product_id, -1)

    def take(number: int) -> list[str]:
        codes = []
        for turn in range(EACH):
            try:
                tiers[(number + turn) % len(tiers)].products.UpdateStock(request)
                codes.append("OK")
            except AppError as error:
                codes.append(error.code)
        return codes

    answers = all_at_once(CLIENTS, take)
    codes = [code for answer in answers if isinstance(answer, list) for code in answer]
    assert len(codes) == CLIENTS * EACH
    assert set(codes) == {"OK", "INSUFFICIENT_STOCK"}
    assert (codes.count("OK"), shelf.stock(product_id)) == (80, 0)


@pytest.mark.parametrize("descending", [False, True])
def test_the_ledger_is_walked_in_the_order_in_which_it_was_written(
    tier: RunningTier, make: Requests, shelf: Shelf, descending: bool
) -> None:
    product_id, other = shelf.put(stock=1), shelf.put(stock=2)
    for units in range(2, 6):
        tier.products.UpdateStock(change(product_id, units))
    order = tier.orders.PlaceOrder(make.order(make.line(product_id, 4))).order

    def listed(**page: Any) -> messages.ListStockMovementsResponse:
        return tier.products.ListStockMovements(
            messages.ListStockMovementsRequest(
                product_id=product_id, page=PageRequest(descending=descending, **page)
            )
        )

    expected = [1, 2, 3, 4, 5, -4]
    if descending:
        expected.reverse()
    whole = listed()
    assert [one.quantity_change for one in whole.movements] == expected
    assert (whole.page.total, whole.page.next_cursor) == (6, "")
    assert [one.order_id for one in whole.movements if one.order_id] == [order.id]
    assert list(listed(page_size=4, page=1).movements) == list(whole.movements)[4:]
    first = listed(page_size=4)
    rest = listed(page_size=4, cursor=first.page.next_cursor)
    assert [*first.movements, *rest.movements] == list(whole.movements)
    assert not rest.page.HasField("total")

    page = PageRequest(descending=descending, cursor=first.page.next_cursor)
    elsewhere = messages.ListStockMovementsRequest(product_id=other, page=page)
    assert bad_fields(tier.products.ListStockMovements, elsewhere) == {"cursor"}
