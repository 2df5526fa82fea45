from __future__ import annotations

from typing import Any

import pytest

from arcana.repository.v1 import product_pb2 as kept_product_pb2
from arcana.service.v1 import order_pb2, product_pb2
from arcana.service.v1 import order_service_pb2 as pb
from service_tier.usecases.placing import MAX_ATTEMPTS
from tests.unit.service_tier.harness import ADMIN, Harness
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind

UNKNOWN = "019aa000-0000-7000-8000-000000000001"
ADA = Actor("019aa000-0000-7000-8000-00000000000c", frozenset({"user"}))
PREMIUM = Actor("019aa000-0000-7000-8000-00000000000d", frozenset({"user", "premium"}))


def place(
    harness: Harness, *lines: tuple[str, int], actor: Actor = ADA, key: str = ""
) -> pb.PlaceOrderResponse:
    items = [pb.OrderLine(product_id=product_id, quantity=units) for product_id, units in lines]
    with harness.acting(actor):
        return harness.orders.PlaceOrder(pb.PlaceOrderRequest(request_id=key, items=items))


def stock(harness: Harness, product_id: str) -> int:
    return harness.kept_product(product_id).stock


def item(product: product_pb2.Product, units: int, discount: int = 0) -> order_pb2.OrderItem:
    return order_pb2.OrderItem(
        product_id=product.id,
        name=product.name,
        quantity=units,
        unit_price_minor=product.price_minor,
        discount_minor=discount,
        line_total_minor=units * product.price_minor - discount,
    )


def test_an_order_holds_what_was_sold_and_at_which_price(harness: Harness) -> None:
    lamp, desk = harness.product("Lamp"), harness.product("Desk", price_minor=25_000)
    answer = place(harness, (lamp.id, 2), (desk.id, 1), (lamp.id, 3))
    order = answer.order
    assert list(order.items) == [item(lamp, 2), item(desk, 1), item(lamp, 3)]
    assert (order.subtotal_minor, order.discount_minor, order.total_minor) == (34_995, 0, 34_995)
    assert (order.user_id, order.currency_code) == (ADA.subject, "USD")
    assert (order.status, order.pricing) == (
        order_pb2.ORDER_STATUS_PENDING,
        order_pb2.PRICING_REGULAR,
    )
    assert not answer.replayed
    assert (stock(harness, lamp.id), stock(harness, desk.id)) == (95, 99)
    (event,) = harness.events("order.created")
    assert (event.aggregate_type, event.aggregate_id) == ("order", order.id)
    assert dict(event.payload) == {
        "order_id": order.id,
        "user_id": ADA.subject,
        "total_minor": "34995",
        "currency_code": "USD",
    }
    assert event.actor_subject == ADA.subject


@pytest.mark.parametrize(
    ("actor", "units", "pricing", "discounts"),
    [
        (ADA, (9, 1), order_pb2.PRICING_REGULAR, (0, 0)),
        (ADA, (10, 1), order_pb2.PRICING_BULK, (1999, 0)),
        (ADMIN, (1, 12), order_pb2.PRICING_BULK, (0, 2399)),
        (PREMIUM, (10, 1), order_pb2.PRICING_PREMIUM, (2999, 300)),
    ],
)
def test_the_rule_of_the_discount_follows_from_role_and_quantities(
    harness: Harness,
    actor: Actor,
    units: tuple[int, int],
    pricing: order_pb2.Pricing.ValueType,
    discounts: tuple[int, int],
) -> None:
    product = harness.product()
    order = place(harness, *((product.id, one) for one in units), actor=actor).order
    assert order.pricing == pricing
    assert tuple(one.discount_minor for one in order.items) == discounts
    assert order.subtotal_minor == 1999 * sum(units)
    assert order.total_minor == order.subtotal_minor - sum(discounts)


def test_a_client_has_no_field_to_choose_its_price_by() -> None:
    fields = {field.name for field in pb.PlaceOrderRequest.DESCRIPTOR.fields}
    line_fields = {field.name for field in pb.OrderLine.DESCRIPTOR.fields}
    assert fields == {"request_id", "items"}
    assert line_fields == {"product_id", "quantity"}


def test_prices_come_from_the_cache_first(harness: Harness) -> None:
    product = harness.product()
    asked: list[Any] = []
    harness.channel.before["BatchGetProducts"] = asked.append
    harness.channel.calls.clear()
    place(harness, (product.id, 1), (product.id, 2))
    assert harness.channel.calls == ["BatchGetProducts", "PlaceOrder"]
    assert [(list(one.product_ids), one.fresh) for one in asked] == [([product.id], False)]


def test_a_price_that_changed_in_between_is_the_one_that_is_paid(harness: Harness) -> None:
    product = harness.product()
    fresh: list[bool] = []
    harness.channel.before["BatchGetProducts"] = lambda request: fresh.append(request.fresh)

    def raise_once(_: object) -> None:
        del harness.channel.before["PlaceOrder"]
        harness.kept_product(product.id).price_minor = 2500

    harness.channel.before["PlaceOrder"] = raise_once
    order = place(harness, (product.id, 10)).order
    assert (order.items[0].unit_price_minor, order.total_minor) == (2500, 22_500)
    assert fresh == [False, True]
    (event,) = harness.events("order.created")
    assert event.payload["total_minor"] == "22500"
    assert (len(harness.repository.state.orders), stock(harness, product.id)) == (1, 90)


def test_who_is_outrun_by_prices_is_told_to_come_back_and_nothing_is_sold(
    harness: Harness,
) -> None:
    product = harness.product()

    def raise_it(_: object) -> None:
        harness.kept_product(product.id).price_minor += 1

    harness.channel.before["PlaceOrder"] = raise_it
    harness.channel.calls.clear()
    with pytest.raises(AppError) as refused:
        place(harness, (product.id, 1))
    assert (refused.value.kind, refused.value.code) == (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert refused.value.retry_after == 1.0
    assert harness.channel.calls.count("PlaceOrder") == MAX_ATTEMPTS
    assert harness.repository.state.orders == {}
    assert stock(harness, product.id) == 100


def test_pricing_anew_ends_with_the_deadline(harness: Harness) -> None:
    product = harness.product()

    def raise_it(_: object) -> None:
        harness.clock.advance(3)
        harness.kept_product(product.id).price_minor += 1

    harness.channel.before["PlaceOrder"] = raise_it
    with pytest.raises(AppError, match="DEADLINE_EXCEEDED"):
        place(harness, (product.id, 1))


@pytest.mark.parametrize(
    "status",
    [
        product_pb2.PRODUCT_STATUS_DRAFT,
        product_pb2.PRODUCT_STATUS_INACTIVE,
        product_pb2.PRODUCT_STATUS_ARCHIVED,
    ],
)
def test_what_is_not_for_sale_is_sold_to_nobody(
    harness: Harness, status: product_pb2.ProductStatus.ValueType
) -> None:
    lamp, hidden = harness.product(), harness.product(status=status)
    for actor in (ADA, ADMIN):
        with pytest.raises(AppError) as refused:
            place(harness, (lamp.id, 1), (hidden.id, 1), actor=actor)
        assert (refused.value.kind, refused.value.code) == (Kind.MISSING, "PRODUCT_NOT_FOUND")
        assert refused.value.metadata == {"product_id": hidden.id}
    assert stock(harness, lamp.id) == 100


def test_a_product_that_is_none_is_looked_for_past_the_cache_and_not_found(
    harness: Harness,
) -> None:
    lamp = harness.product()
    fresh: list[bool] = []
    harness.channel.before["BatchGetProducts"] = lambda request: fresh.append(request.fresh)
    with pytest.raises(AppError) as refused:
        place(harness, (lamp.id, 1), (UNKNOWN, 1))
    assert (refused.value.kind, refused.value.code) == (Kind.MISSING, "PRODUCT_NOT_FOUND")
    assert refused.value.metadata == {"product_id": UNKNOWN}
    assert fresh == [False, True]
    assert stock(harness, lamp.id) == 100


def test_a_product_that_only_the_cache_does_not_know_is_sold(harness: Harness) -> None:
    lamp = harness.product()
    hidden = harness.repository.state.products.pop(lamp.id)

    def bring_back(request: Any) -> None:
        if request.fresh:
            harness.repository.state.products[lamp.id] = hidden

    harness.channel.before["BatchGetProducts"] = bring_back
    assert place(harness, (lamp.id, 1)).order.items[0].name == "Lamp"


def test_too_few_units_are_told_by_product_and_line_and_nothing_is_sold(harness: Harness) -> None:
    lamp, desk = harness.product("Lamp", stock=5), harness.product("Desk", stock=1)
    plenty = harness.product("Chair")
    with pytest.raises(AppError) as refused:
        place(harness, (lamp.id, 3), (plenty.id, 1), (desk.id, 2), (lamp.id, 3))
    error = refused.value
    assert (error.kind, error.code) == (Kind.CONFLICT, "INSUFFICIENT_STOCK")
    assert error.metadata == {"product_id": lamp.id, "available": "5"}
    assert set(error.field_errors) == {"items.0.quantity", "items.2.quantity", "items.3.quantity"}
    assert "1 available" in error.field_errors["items.2.quantity"][0]
    assert [stock(harness, one.id) for one in (lamp, desk, plenty)] == [5, 1, 100]
    assert harness.events("order.created") == []


def test_products_of_two_currencies_are_ordered_apart(harness: Harness) -> None:
    lamp, desk = harness.product("Lamp"), harness.product("Desk", currency_code="EUR")
    with pytest.raises(AppError) as refused:
        place(harness, (lamp.id, 1), (desk.id, 1), (lamp.id, 1), (desk.id, 1))
    assert refused.value.code == "VALIDATION_FAILED"
    assert set(refused.value.field_errors) == {"items.1.product_id", "items.3.product_id"}
    assert place(harness, (desk.id, 1), (desk.id, 1)).order.currency_code == "EUR"


def test_what_is_wrong_with_an_order_is_told_by_line(harness: Harness) -> None:
    lamp = harness.product()
    for lines, expected in (
        ([], {"items"}),
        ([(lamp.id, 1)] * 101, {"items"}),
        (
            [(lamp.id, 0), ("", 1001)],
            {"items.0.quantity", "items.1.product_id", "items.1.quantity"},
        ),
        (
            [(lamp.id, 1), ("lamp", 1), (UNKNOWN, 1), ("desk", 1)],
            {"items.1.product_id", "items.3.product_id"},
        ),
    ):
        with pytest.raises(AppError) as refused:
            place(harness, *lines)
        assert refused.value.code == "VALIDATION_FAILED"
        assert set(refused.value.field_errors) == expected
    assert stock(harness, lamp.id) == 100


def test_the_same_key_places_one_order(harness: Harness) -> None:
    lamp = harness.product()
    first = place(harness, (lamp.id, 2), key="key-1")
    again = place(harness, (lamp.id, 2), key="key-1")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.order == first.order
    assert (len(harness.repository.state.orders), stock(harness, lamp.id)) == (1, 98)
    # Another's key is another key.
    assert not place(harness, (lamp.id, 2), key="key-1", actor=PREMIUM).replayed
    with pytest.raises(AppError, match="IDEMPOTENCY_KEY_REUSED"):
        place(harness, (lamp.id, 3), key="key-1")
    with pytest.raises(AppError) as refused:
        place(harness, (lamp.id, 2), key="k" * 256)
    assert set(refused.value.field_errors) == {"request_id"}


def test_an_order_is_replayed_whatever_has_become_of_its_products(harness: Harness) -> None:
    lamp, desk = harness.product("Lamp"), harness.product("Desk")
    lines = ((lamp.id, 2), (desk.id, 1))
    first = place(harness, *lines, key="key-1")
    kept = harness.kept_product(lamp.id)
    kept.price_minor, kept.stock = 1, 0
    kept.status = kept_product_pb2.PRODUCT_STATUS_ARCHIVED
    harness.kept_product(desk.id).currency_code = "EUR"
    again = place(harness, *lines, key="key-1")
    assert again.replayed
    assert again.order == first.order


def test_an_order_that_is_still_being_placed_is_told_so(harness: Harness) -> None:
    lamp = harness.product()

    def running(_: object) -> None:
        raise AppError(Kind.CONFLICT, "IDEMPOTENCY_IN_PROGRESS", "Wait.", retry_after=1.0)

    harness.channel.before["PlaceOrder"] = running
    with pytest.raises(AppError, match="IDEMPOTENCY_IN_PROGRESS"):
        place(harness, (lamp.id, 1), key="key-1")


@pytest.mark.parametrize("method", ["BatchGetProducts", "PlaceOrder"])
def test_when_the_repository_tier_is_away_the_client_is_told(harness: Harness, method: str) -> None:
    lamp = harness.product()

    def away(_: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    harness.channel.before[method] = away
    with pytest.raises(AppError, match="SERVICE_UNAVAILABLE"):
        place(harness, (lamp.id, 1))
