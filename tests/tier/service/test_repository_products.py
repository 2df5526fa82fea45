"""What the service tier relies on about products: the fake repository tier and the real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import product_repository_pb2 as pb
from tests.tier.service.contract_requests import UNKNOWN, code_of
from tests.tier.service.shop_requests import ACTIVE, DRAFT, Shop
from tier_runtime.errors import AppError, Kind
from tier_runtime.status import from_status

MAX_STOCK = 1_000_000_000


def codes(results: list[pb.BatchGetProductsResult]) -> list[str]:
    return [
        one.product.name if one.HasField("product") else from_status(one.error).code
        for one in results
    ]


def test_a_made_product_is_read_back_as_it_was_answered(shop: Shop) -> None:
    product = shop.product(
        "Lamp é", description="Two\nlines", category="light", low_stock_threshold=3
    )
    assert (product.name, product.description, product.category) == (
        "Lamp é",
        "Two\nlines",
        "light",
    )
    assert (product.price_minor, product.currency_code, product.stock) == (1999, "USD", 10)
    assert (product.low_stock_threshold, product.status, product.version) == (3, ACTIVE, 1)
    assert product.created_time == product.updated_time
    assert shop.read(product.id) == product
    assert shop.ledger(product.id) == [(10, "initial", "")]
    empty = shop.product(stock=0, status=DRAFT)
    assert (empty.status, empty.stock, shop.ledger(empty.id)) == (DRAFT, 0, [])


def test_an_id_is_taken_once(shop: Shop) -> None:
    request = shop.creation()
    shop.products.CreateProduct(request)
    assert code_of(lambda: shop.products.CreateProduct(request)) == "ALREADY_EXISTS"


def test_several_products_are_read_at_once_each_with_its_own_result(shop: Shop) -> None:
    lamp, desk = shop.product("Lamp"), shop.product("Desk", status=DRAFT)
    shop.read(lamp.id)
    asked = [desk.id, UNKNOWN, lamp.id, "lamp", desk.id]
    for fresh in (False, True):
        results = shop.batch(*asked, fresh=fresh)
        expected = ["Desk", "PRODUCT_NOT_FOUND", "Lamp", "VALIDATION_FAILED", "Desk"]
        assert codes(results) == expected
        assert (results[0].product, results[2].product) == (desk, lamp)
        assert from_status(results[1].error).metadata == {"product_id": UNKNOWN}


def test_a_batch_reads_what_was_written_last(shop: Shop) -> None:
    lamp, desk = shop.product("Lamp"), shop.product("Desk")
    later = shop.creation("Later")
    assert codes(shop.batch(lamp.id, later.product_id)) == ["Lamp", "PRODUCT_NOT_FOUND"]
    changed = shop.update(lamp.id, name="Light")
    moved = shop.move(desk.id, -1).product
    shop.products.CreateProduct(later)
    for fresh in (False, True):
        results = shop.batch(lamp.id, desk.id, later.product_id, fresh=fresh)
        assert [one.product for one in results[:2]] == [changed, moved]
        assert codes(results)[2] == "Later"


@pytest.mark.parametrize("count", [0, 257])
def test_a_batch_has_from_1_to_256_items(shop: Shop, count: int) -> None:
    with pytest.raises(AppError) as refused:
        shop.batch(*[UNKNOWN] * count)
    assert set(refused.value.field_errors) == {"product_ids"}


def test_only_what_is_given_changes_and_the_version_with_it(shop: Shop) -> None:
    product = shop.product(description="Old", category="light", low_stock_threshold=3)
    shop.clock.advance(1)
    changed = shop.update(product.id, 1, description="", low_stock_threshold=0)
    assert (changed.description, changed.low_stock_threshold, changed.version) == ("", 0, 2)
    assert (changed.name, changed.category, changed.stock) == ("Lamp", "light", 10)
    assert changed.created_time == product.created_time != changed.updated_time
    again = shop.update(
        product.id,
        name="Light",
        price_minor=0,
        currency_code="EUR",
        category="",
        status=DRAFT,
    )
    assert (again.name, again.price_minor, again.currency_code) == ("Light", 0, "EUR")
    assert (again.category, again.status, again.version) == ("", DRAFT, 3)
    assert shop.read(product.id) == again
    assert code_of(lambda: shop.update(product.id, 2, name="Older")) == "PRECONDITION_FAILED"


def test_what_is_asked_of_an_unknown_product_is_not_found(shop: Shop) -> None:
    calls: list[Callable[[], object]] = [
        lambda: shop.read(UNKNOWN),
        lambda: shop.update(UNKNOWN, name="x"),
        lambda: shop.move(UNKNOWN, 1),
        lambda: shop.ledger(UNKNOWN),
    ]
    assert {code_of(call) for call in calls} == {"PRODUCT_NOT_FOUND"}
    words: list[Callable[[], object]] = [
        lambda: shop.read("lamp"),
        lambda: shop.update("lamp", name="x"),
        lambda: shop.move("lamp", 1),
        lambda: shop.ledger("lamp"),
    ]
    assert {code_of(call) for call in words} == {"VALIDATION_FAILED"}


def test_units_come_and_go_with_a_movement_that_says_so(shop: Shop) -> None:
    product = shop.product()
    moved = shop.move(product.id, -3, reason="broken", expected_version=1).product
    assert (moved.stock, moved.version) == (7, 2)
    assert shop.move(product.id, 5).product.stock == 12
    assert shop.read(product.id).stock == 12
    assert shop.ledger(product.id) == [(10, "initial", ""), (-3, "broken", ""), (5, "", "")]
    assert shop.ledger(product.id, descending=True)[0] == (5, "", "")
    refused = code_of(lambda: shop.move(product.id, 1, expected_version=1))
    assert refused == "PRECONDITION_FAILED"


def test_a_stock_is_never_below_zero_nor_above_its_bound(shop: Shop) -> None:
    product = shop.product()
    with pytest.raises(AppError) as refused:
        shop.move(product.id, -11)
    assert (refused.value.kind, refused.value.code) == (Kind.CONFLICT, "INSUFFICIENT_STOCK")
    assert refused.value.metadata == {"product_id": product.id, "available": "10"}
    assert set(refused.value.field_errors) == {"quantity_change"}
    with pytest.raises(AppError) as refused:
        shop.move(product.id, MAX_STOCK)
    assert refused.value.code == "VALIDATION_FAILED"
    assert set(refused.value.field_errors) == {"quantity_change"}
    assert shop.ledger(product.id) == [(10, "initial", "")]
    assert shop.read(product.id) == product


def test_each_change_of_a_batch_is_made_or_refused_by_itself(shop: Shop) -> None:
    lamp, desk = shop.product("Lamp"), shop.product("Desk", stock=0)
    answer = shop.move_many(
        (lamp.id, -8), (desk.id, 1), (lamp.id, -3), (UNKNOWN, 1), ("lamp", 1), (lamp.id, -2)
    )
    told = [
        from_status(one.error).code if one.HasField("error") else "made" for one in answer.results
    ]
    assert told == [
        "made",
        "made",
        "INSUFFICIENT_STOCK",
        "PRODUCT_NOT_FOUND",
        "VALIDATION_FAILED",
        "made",
    ]
    error = from_status(answer.results[2].error)
    assert error.metadata == {"product_id": lamp.id, "available": "2"}
    assert not answer.replayed
    assert (shop.read(lamp.id).stock, shop.read(desk.id).stock) == (0, 1)
    assert [units for units, _, _ in shop.ledger(lamp.id)] == [10, -8, -2]


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_has_from_1_to_100_changes(shop: Shop, count: int) -> None:
    with pytest.raises(AppError) as refused:
        shop.move_many(*[(UNKNOWN, 1)] * count)
    assert set(refused.value.field_errors) == {"changes"}


def test_a_batch_of_nothing_is_recorded_with_its_key(shop: Shop) -> None:
    first, again = (shop.move_many(key=shop.key("nothing")) for _ in range(2))
    assert (len(first.results), first.replayed, again.replayed) == (0, False, True)
    with pytest.raises(AppError, match="IDEMPOTENCY_KEY_REUSED"):
        shop.move_many((UNKNOWN, 1), key=shop.key("nothing", "other"))


def test_the_same_key_does_the_same_once(shop: Shop) -> None:
    made = shop.products.CreateProduct(shop.creation(idempotency_key=shop.key("c")))
    again = shop.products.CreateProduct(shop.creation(idempotency_key=shop.key("c")))
    assert (made.replayed, again.replayed, again.product) == (False, True, made.product)
    product = made.product
    calls: list[Callable[[str], Any]] = [
        lambda content: shop.move(product.id, -1, idempotency_key=shop.key("u", content)),
        lambda content: shop.move_many((product.id, -1), (UNKNOWN, 1), key=shop.key("b", content)),
    ]
    for call in calls:
        first, second = call("one"), call("one")
        assert (first.replayed, second.replayed) == (False, True)
        second.replayed = False
        assert second == first
        assert code_of(lambda: call("other")) == "IDEMPOTENCY_KEY_REUSED"  # noqa: B023
    other = shop.creation(idempotency_key=shop.key("c", "other"))
    assert code_of(lambda: shop.products.CreateProduct(other)) == "IDEMPOTENCY_KEY_REUSED"
    assert [units for units, _, _ in shop.ledger(product.id)] == [10, -1, -1]


def test_what_failed_leaves_its_key_free(shop: Shop) -> None:
    product = shop.product()
    key = shop.key("u")
    refused = code_of(lambda: shop.move(product.id, -11, idempotency_key=key))
    assert refused == "INSUFFICIENT_STOCK"
    shop.move(product.id, 1)
    assert not shop.move(product.id, -11, idempotency_key=key).replayed


def listed(shop: Shop, request: pb.ListProductsRequest) -> tuple[list[str], paging_pb2.PageResult]:
    answer = shop.products.ListProducts(request)
    return [product.name for product in answer.products], answer.page


@pytest.mark.parametrize("descending", [False, True])
def test_lists_walk_by_page_and_by_cursor_in_one_order(shop: Shop, *, descending: bool) -> None:
    for number in range(5):
        shop.clock.advance(1)
        shop.product(f"N{number}")
    expected = [f"N{number}" for number in range(5)]
    if descending:
        expected.reverse()
    by_page, by_cursor = [], []
    for number in range(3):
        page = paging_pb2.PageRequest(page_size=2, page=number, descending=descending)
        found, result = listed(shop, pb.ListProductsRequest(page=page))
        by_page += found
        assert result.total == 5
        assert bool(result.next_cursor) == (number < 2)
    page = paging_pb2.PageRequest(page_size=2, descending=descending)
    while True:
        found, result = listed(shop, pb.ListProductsRequest(page=page))
        by_cursor += found
        if not result.next_cursor:
            break
        page.cursor = result.next_cursor
    assert not result.HasField("total")
    assert by_page == by_cursor == expected


def test_lists_sort_and_filter(shop: Shop) -> None:
    shop.product("chair", price_minor=300, category="seat", stock=0)
    shop.clock.advance(10)
    lamp = shop.product("Armchair", price_minor=100, category="Seat")
    shop.clock.advance(10)
    shop.product("bench", price_minor=200, category="seat", status=DRAFT)
    shop.clock.advance(10)
    shop.update(lamp.id, description="New")
    request, wanted = pb.ListProductsRequest, pb.ProductFilter
    made = ["chair", "Armchair", "bench"]
    cases = [
        (request(), made),
        (request(sort=pb.PRODUCT_SORT_FIELD_CREATED_TIME), made),
        (request(sort=pb.PRODUCT_SORT_FIELD_UPDATED_TIME), ["chair", "bench", "Armchair"]),
        (request(sort=pb.PRODUCT_SORT_FIELD_NAME), ["Armchair", "bench", "chair"]),
        (request(sort=pb.PRODUCT_SORT_FIELD_PRICE), ["Armchair", "bench", "chair"]),
        (request(filter=wanted(status=ACTIVE)), ["chair", "Armchair"]),
        (request(filter=wanted(category="seat")), ["chair", "bench"]),
        (request(filter=wanted(min_price_minor=200)), ["chair", "bench"]),
        (request(filter=wanted(max_price_minor=200)), ["Armchair", "bench"]),
        (request(filter=wanted(max_price_minor=0)), []),
        (request(filter=wanted(in_stock=True)), ["Armchair", "bench"]),
        (request(filter=wanted(in_stock=False)), ["chair"]),
        (request(filter=wanted(status=DRAFT, category="Seat")), []),
    ]
    for asked, expected in cases:
        found, page = listed(shop, asked)
        assert (found, page.total) == (expected, len(expected))


def test_a_cursor_of_another_list_is_a_field_error(shop: Shop) -> None:
    for _ in range(3):
        shop.product()
    page = paging_pb2.PageRequest(page_size=1)
    _, result = listed(shop, pb.ListProductsRequest(page=page))
    for cursor in (result.next_cursor, "nonsense"):
        other = pb.ListProductsRequest(
            filter=pb.ProductFilter(status=ACTIVE),
            page=paging_pb2.PageRequest(page_size=1, cursor=cursor),
        )
        with pytest.raises(AppError) as refused:
            shop.products.ListProducts(other)
        assert set(refused.value.field_errors) == {"cursor"}


def test_a_ledger_is_walked_in_its_order(shop: Shop) -> None:
    product, other = shop.product(stock=1), shop.product()
    for units in (2, 3, 4):
        shop.move(product.id, units)
        shop.move(other.id, units)
    request = pb.ListStockMovementsRequest(
        product_id=product.id, page=paging_pb2.PageRequest(page_size=3)
    )
    first = shop.products.ListStockMovements(request)
    request.page.cursor = first.page.next_cursor
    second = shop.products.ListStockMovements(request)
    found = [one.quantity_change for one in [*first.movements, *second.movements]]
    assert (found, first.page.total) == ([1, 2, 3, 4], 4)
    assert second.page.next_cursor == ""
    assert not second.page.HasField("total")
    assert first.movements[0].created_time == product.created_time


def test_words_are_found_in_name_category_and_description(shop: Shop) -> None:
    shop.product("Red lamp", description="for the kitchen table", category="light")
    shop.product("Lámpara azul", description="lamp", category="light", status=DRAFT)
    shop.product("Kitchen chair", price_minor=50, category="seat")
    both = {"Red lamp", "Lámpara azul"}
    cases: list[tuple[str, dict[str, Any], set[str]]] = [
        ("LAMP", {}, both),
        ("kitchen", {}, {"Red lamp", "Kitchen chair"}),
        ("lamp light", {}, both),
        ("lamp kitchen", {}, {"Red lamp"}),
        ("lampara", {}, {"Lámpara azul"}),
        # The last word may be the beginning of one, unless something follows it.
        ("light lam", {}, both),
        ("light lamp ", {}, both),
        ("lampar ", {}, set()),
        ("amp", {}, set()),
        ("nothing", {}, set()),
        ("  ", {}, set()),
        ("%", {}, set()),
        ("lamp*", {}, both),
        ("-lamp", {}, both),
        ("lamp", {"status": ACTIVE}, {"Red lamp"}),
        ("kitchen", {"category": "seat"}, {"Kitchen chair"}),
        ("kitchen", {"max_price_minor": 49}, set()),
    ]
    for query, wanted, expected in cases:
        request = pb.SearchProductsRequest(query=query, filter=pb.ProductFilter(**wanted))
        found = {one.name for one in shop.products.SearchProducts(request).products}
        assert found == expected, query
    limited = pb.SearchProductsRequest(query="lamp", limit=1)
    assert len(shop.products.SearchProducts(limited).products) == 1
