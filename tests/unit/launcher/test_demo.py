from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest

from arcana.repository.v1 import order_pb2, product_pb2
from launcher.demo.draws import MAX_NUMBER, STEP, YEAR_OF_GOODS, YEAR_OF_ORDERS
from launcher.demo.goods import Stocked, make_product
from launcher.demo.people import make_user
from launcher.demo.sales import Charge, Sales, Sold
from launcher.demo.words import brand
from launcher.tiers import price_list

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
PRODUCTS, USERS, ORDERS = 40, 9, 400


def _no_discounts(lines: Sequence[tuple[int, int]], roles: frozenset[str]) -> Charge:
    return Charge(order_pb2.PRICING_REGULAR, [0] * len(lines))


@pytest.fixture(scope="module")
def stocked() -> list[Stocked]:
    return [make_product(number) for number in range(PRODUCTS)]


@pytest.fixture(scope="module")
def sold() -> list[Sold]:
    return list(Sales(PRODUCTS, USERS, price_list()).orders(ORDERS))


def _milliseconds(id_: str) -> int:
    return int(id_.replace("-", "")[:12], 16)


def test_the_same_number_gives_the_same_thing_whatever_was_made_before(sold: list[Sold]) -> None:
    again = [make_product(number) for number in reversed(range(PRODUCTS))]

    assert list(reversed(again)) == [make_product(number) for number in range(PRODUCTS)]
    assert make_user(7) == make_user(7)
    assert list(Sales(PRODUCTS, USERS, price_list()).orders(ORDERS)) == sold


def test_these_are_the_first_things_for_good() -> None:
    # Tutorials and benchmarks name them: another release must not make others.
    product, user = make_product(0).product, make_user(0)
    assert (product.id, product.name) == (
        "018cc252-03af-7f0a-9c6a-0a0dfc614dfb",
        "Alabay Deep Cherry Cabinet",
    )
    assert (product.price_minor, product.stock, product.category) == (16550, 129, "Furniture")
    assert (user.id, user.email) == (
        "018cc252-0715-7b9b-9e76-8a08df45fa6f",
        "user0000001@demo.example",
    )


def test_all_ids_are_uuids_of_version_7_and_their_time_is_that_of_the_thing(
    stocked: list[Stocked], sold: list[Sold]
) -> None:
    dated = [(each.product.id, each.product.created_time) for each in stocked]
    dated += [(move.id, move.created_time) for each in stocked for move in each.movements]
    dated += [(each.order.id, each.order.created_time) for each in sold]
    dated += [(move.id, move.created_time) for each in sold for _, move in each.movements]
    users = [make_user(number) for number in range(USERS)]
    dated += [(user.id, user.created_time) for user in users]

    assert len({id_ for id_, _ in dated}) == len(dated)
    for id_, created in dated:
        assert UUID7.fullmatch(id_)
        assert _milliseconds(id_) == created.ToMilliseconds()


def test_later_numbers_are_later_and_a_million_fit_before_the_first_order() -> None:
    ids = [make_product(number).product.id for number in (0, 1, 2, 999, MAX_NUMBER - 1)]

    assert ids == sorted(ids)
    assert YEAR_OF_GOODS + MAX_NUMBER * STEP < YEAR_OF_ORDERS
    last = make_product(MAX_NUMBER - 1)
    assert last.product.updated_time.ToMilliseconds() < YEAR_OF_ORDERS


def test_the_stock_of_every_product_is_the_sum_of_its_movements(stocked: list[Stocked]) -> None:
    for each in stocked:
        assert each.product.stock == sum(move.quantity_change for move in each.movements)
        assert each.product.version == max(len(each.movements), 1)
        assert 0 < each.product.price_minor < 10**12
    assert any(len(each.movements) > 1 for each in stocked)


def test_most_products_are_for_sale_and_some_are_not() -> None:
    statuses = Counter(make_product(number).product.status for number in range(500))

    assert set(statuses) == set(product_pb2.ProductStatus.values()) - {0}
    assert 0.85 < statuses[product_pb2.PRODUCT_STATUS_ACTIVE] / 500 < 0.98


def test_orders_cost_what_the_service_tier_says_by_the_roles_of_who_placed_them(
    sold: list[Sold],
) -> None:
    buyers = {make_user(number).id: make_user(number) for number in range(USERS)}
    price = price_list()
    for each in sold:
        order = each.order
        lines = [(item.quantity, item.unit_price_minor) for item in order.items]
        charge = price(lines, frozenset(buyers[order.user_id].roles))
        assert order.pricing == charge.pricing
        assert [item.discount_minor for item in order.items] == list(charge.discounts)
        for item in order.items:
            gross = item.quantity * item.unit_price_minor
            assert item.line_total_minor == gross - item.discount_minor
        assert order.subtotal_minor == sum(quantity * price for quantity, price in lines)
        assert order.discount_minor == sum(item.discount_minor for item in order.items)
        assert order.total_minor == order.subtotal_minor - order.discount_minor
    assert {each.order.pricing for each in sold} == set(order_pb2.Pricing.values()) - {0}


def test_items_have_the_name_and_price_of_a_product_that_was_for_sale(
    stocked: list[Stocked], sold: list[Sold]
) -> None:
    products = {each.product.id: each.product for each in stocked}
    for each in sold:
        assert 1 <= len(each.order.items) <= 8
        for item in each.order.items:
            product = products[item.product_id]
            assert (item.name, item.unit_price_minor) == (product.name, product.price_minor)
            assert product.status == product_pb2.PRODUCT_STATUS_ACTIVE
            assert product.created_time.ToMilliseconds() < each.order.created_time.ToMilliseconds()


def test_the_ledger_never_goes_below_zero_and_counts_what_live_orders_hold(
    stocked: list[Stocked], sold: list[Sold]
) -> None:
    ledgers: defaultdict[str, list[product_pb2.StockMovement]] = defaultdict(list)
    for each in stocked:
        ledgers[each.product.id] += each.movements
    held: Counter[str] = Counter()
    supplied: Counter[str] = Counter()
    for one in sold:
        for product_id, movement in one.movements:
            ledgers[product_id].append(movement)
            if not movement.order_id:
                supplied[product_id] += movement.quantity_change
        if one.order.status != order_pb2.ORDER_STATUS_CANCELLED:
            for item in one.order.items:
                held[item.product_id] += item.quantity
    for each in stocked:
        level = 0
        for movement in sorted(ledgers[each.product.id], key=lambda move: move.id):
            level += movement.quantity_change
            assert level >= 0
        product_id = each.product.id
        assert level == each.product.stock + supplied[product_id] - held[product_id]
    assert sum(supplied.values()) > 0, "no product sold out: too few orders for this test"


def test_a_shop_of_one_product_and_one_user_sells_too() -> None:
    for each in Sales(1, 1, _no_discounts).orders(20):
        assert [item.product_id for item in each.order.items] == [make_product(0).product.id]


def test_every_brand_is_another_one() -> None:
    assert len({brand(number) for number in range(20_000)}) > 19_000
