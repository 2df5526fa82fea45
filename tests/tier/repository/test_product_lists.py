from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import update

from arcana.common.v1.paging_pb2 import PageRequest
from arcana.repository.v1 import product_pb2
from arcana.repository.v1 import product_repository_pb2 as messages
from arcana.repository.v1.user_repository_pb2 import ListUsersRequest
from repository_tier.tables import products
from tests.fakes.clock import FakeClock
from tests.tier.repository.conftest import StartTier
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, bad_fields
from tests.tier.repository.test_user_batches import again_and_again

ACTIVE, DRAFT = product_pb2.PRODUCT_STATUS_ACTIVE, product_pb2.PRODUCT_STATUS_DRAFT
ROUNDS = 30
SORTS: dict[messages.ProductSortField.ValueType, Callable[[product_pb2.Product], object]] = {
    messages.PRODUCT_SORT_FIELD_CREATED_TIME: lambda one: one.created_time.ToNanoseconds(),
    messages.PRODUCT_SORT_FIELD_UPDATED_TIME: lambda one: one.updated_time.ToNanoseconds(),
    messages.PRODUCT_SORT_FIELD_NAME: lambda one: one.name.casefold(),
    messages.PRODUCT_SORT_FIELD_PRICE: lambda one: one.price_minor,
}


@pytest.fixture
def many(tier: RunningTier, make: Requests, clock: FakeClock) -> list[product_pb2.Product]:
    """Products with ties in each thing they can be sorted by."""
    made = []
    for number, name in enumerate(["lamp", "Chair", "chair", "Öl", "Zinc", "LAMP", "öl"]):
        if number % 3 == 0:
            clock.advance(1.5)
        request = make.product(name=name, price_minor=number // 2)
        made.append(tier.products.CreateProduct(request).product)
    clock.advance(1)
    change = messages.UpdateProductRequest(product_id=made[2].id, description="Oak")
    made[2] = tier.products.UpdateProduct(change).product
    return made


def ids(found: Sequence[product_pb2.Product]) -> list[str]:
    return [product.id for product in found]


def listed(tier: RunningTier, **wanted: object) -> list[product_pb2.Product]:
    request = messages.ListProductsRequest(
        filter=messages.ProductFilter(**wanted),  # type: ignore[arg-type]  # the test's own fields
        page=PageRequest(page_size=50),
    )
    answer = tier.products.ListProducts(request)
    assert answer.page.total == len(answer.products)
    return list(answer.products)


@pytest.mark.parametrize(
    ("status", "descending"), [(ACTIVE, True), (product_pb2.PRODUCT_STATUS_UNSPECIFIED, False)]
)
@pytest.mark.parametrize("sort", SORTS, ids=messages.ProductSortField.Name)
def test_pages_and_cursors_walk_the_whole_list_in_the_same_order(
    tier: RunningTier,
    many: list[product_pb2.Product],
    sort: messages.ProductSortField.ValueType,
    status: product_pb2.ProductStatus.ValueType,
    descending: bool,
) -> None:
    key = SORTS[sort]
    expected = ids(sorted(many, key=lambda one: (key(one), one.id), reverse=descending))
    request = messages.ListProductsRequest(sort=sort, filter=messages.ProductFilter(status=status))

    by_number: list[str] = []
    for number in itertools.count():
        request.page.CopyFrom(PageRequest(page_size=3, page=number, descending=descending))
        answer = tier.products.ListProducts(request)
        by_number += ids(answer.products)
        assert answer.page.total == len(many)
        if not answer.page.next_cursor:
            break
    assert by_number == expected

    by_cursor: list[str] = []
    cursor = ""
    while cursor or not by_cursor:
        request.page.CopyFrom(PageRequest(page_size=2, cursor=cursor, descending=descending))
        answer = tier.products.ListProducts(request)
        by_cursor += ids(answer.products)
        assert answer.page.HasField("total") is not bool(cursor)
        cursor = answer.page.next_cursor
    assert by_cursor == expected


def test_ten_products_by_creation_are_a_page_when_nothing_is_said(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    made = []
    for _ in range(11):
        clock.advance(1)
        made.append(tier.products.CreateProduct(make.product()).product)
    answer = tier.products.ListProducts(messages.ListProductsRequest())
    assert list(answer.products) == made[:10]
    assert answer.page.total == 11


def test_filters_hold_together(tier: RunningTier, make: Requests) -> None:
    requests = [
        make.product(name="one", price_minor=100, stock=1, category="Home"),
        make.product(name="two", price_minor=200, category=" Home "),
        make.product(name="three", price_minor=300, stock=1, category="home"),
        make.product(name="four", price_minor=400, status=DRAFT, category="Höme"),
    ]
    for request in requests:
        tier.products.CreateProduct(request)

    def found(**wanted: object) -> list[str]:
        return [product.name for product in listed(tier, **wanted)]

    assert found() == ["one", "two", "three", "four"]
    assert found(status=DRAFT) == ["four"]
    assert found(category="Home") == found(category=" Home") == ["one", "two"]
    assert found(category="Hom") == found(category="%") == []
    assert found(min_price_minor=200) == ["two", "three", "four"]
    assert found(max_price_minor=200) == ["one", "two"]
    assert found(min_price_minor=200, max_price_minor=300, status=ACTIVE) == ["two", "three"]
    assert found(min_price_minor=300, max_price_minor=200) == []
    assert found(min_price_minor=-(2**63), max_price_minor=2**63 - 1) == found()
    assert found(min_price_minor=0, max_price_minor=0) == []
    assert found(in_stock=True) == ["one", "three"]
    assert found(in_stock=False) == ["two", "four"]
    assert found(in_stock=False, category="Home", status=ACTIVE, max_price_minor=200) == ["two"]


def test_a_cursor_fits_its_own_list_only(
    tier: RunningTier, many: list[product_pb2.Product]
) -> None:
    first = tier.products.ListProducts(messages.ListProductsRequest(page=PageRequest(page_size=2)))
    others = [
        messages.ListProductsRequest(sort=messages.PRODUCT_SORT_FIELD_NAME),
        messages.ListProductsRequest(sort=messages.PRODUCT_SORT_FIELD_PRICE),
        messages.ListProductsRequest(page=PageRequest(descending=True)),
        messages.ListProductsRequest(filter=messages.ProductFilter(min_price_minor=0)),
        messages.ListProductsRequest(filter=messages.ProductFilter(status=ACTIVE)),
    ]
    for request in others:
        request.page.cursor = first.page.next_cursor
        assert bad_fields(tier.products.ListProducts, request) == {"cursor"}
    user_list = ListUsersRequest(page=PageRequest(cursor=first.page.next_cursor))
    assert bad_fields(tier.users.ListUsers, user_list) == {"cursor"}


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"page": PageRequest(page_size=101, page=-1)}, {"page_size", "page"}),
        ({"page": PageRequest(cursor="???")}, {"cursor"}),
        ({"sort": 77}, {"sort"}),
        ({"filter": messages.ProductFilter(status=9)}, {"filter.status"}),  # type: ignore[arg-type]  # a wrong one
        ({"filter": messages.ProductFilter(category="x" * 101)}, {"filter.category"}),
    ],
)
def test_what_makes_no_sense_in_a_list_is_a_field_error(
    tier: RunningTier, fields: dict[str, object], bad: set[str]
) -> None:
    request = messages.ListProductsRequest(**fields)  # type: ignore[arg-type]  # wrong on purpose
    assert bad_fields(tier.products.ListProducts, request) == bad


def test_a_list_shows_what_was_changed_behind_the_cache(tier: RunningTier, make: Requests) -> None:
    made = [tier.products.CreateProduct(make.product(name=name)).product for name in "abc"]
    assert listed(tier) == made
    tier.change(
        update(products)
        .where(products.c.id == made[0].id)
        .values(price_minor=5, version=products.c.version + 1)
    )
    found = [(product.price_minor, product.version) for product in listed(tier)]
    assert found == [(5, 2), (1999, 1), (1999, 1)]


def test_a_list_of_what_the_cache_does_not_know_is_whole(
    start_tier: StartTier, make: Requests
) -> None:
    writer = start_tier()
    made = [writer.products.CreateProduct(make.product()).product for _ in range(4)]
    reader = start_tier()
    reader.products.GetProduct(messages.GetProductRequest(product_id=made[2].id))
    assert listed(reader) == made
    # And from now on from the cache.
    assert listed(reader) == made


@pytest.mark.usefixtures("warm_tier")
def test_nothing_read_is_older_than_a_change_that_was_answered(
    tier: RunningTier, make: Requests
) -> None:
    made = [tier.products.CreateProduct(make.product(name="Lamp")).product for _ in range(4)]
    answered = {product.id: product.version for product in made}

    def change(number: int) -> None:
        product_id = made[number % 4].id
        if number % 2:
            answer = tier.products.UpdateStock(
                messages.UpdateStockRequest(product_id=product_id, quantity_change=1)
            ).product
        else:
            answer = tier.products.UpdateProduct(
                messages.UpdateProductRequest(product_id=product_id, price_minor=number)
            ).product
        answered[product_id] = answer.version

    def read(number: int) -> Sequence[product_pb2.Product]:
        if number % 3 == 0:
            return listed(tier)
        if number % 3 == 1:
            search = messages.SearchProductsRequest(query="lamp")
            return tier.products.SearchProducts(search).products
        batch = messages.BatchGetProductsRequest(product_ids=answered, fresh=bool(number % 2))
        return [one.product for one in tier.products.BatchGetProducts(batch).results]

    with again_and_again(change):
        for number in range(ROUNDS):
            least = dict(answered)
            found = {product.id: product.version for product in read(number)}
            assert found.keys() == least.keys()
            assert all(found[product_id] >= least[product_id] for product_id in least)


def test_a_list_holds_only_what_matches_however_fast_it_changes(
    tier: RunningTier, make: Requests
) -> None:
    made = [tier.products.CreateProduct(make.product(name="Lamp")).product for _ in range(3)]

    def toggle(number: int) -> None:
        status = DRAFT if number % 2 else ACTIVE
        tier.products.UpdateProduct(
            messages.UpdateProductRequest(product_id=made[number % 3].id, status=status)
        )

    wanted = messages.ProductFilter(status=ACTIVE)
    search = messages.SearchProductsRequest(query="lamp", filter=wanted)
    page = messages.ListProductsRequest(filter=wanted)
    with again_and_again(toggle):
        for _ in range(ROUNDS):
            found = [
                *tier.products.ListProducts(page).products,
                *tier.products.SearchProducts(search).products,
            ]
            assert {product.status for product in found} <= {ACTIVE}
