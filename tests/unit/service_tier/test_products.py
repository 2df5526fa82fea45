from __future__ import annotations

import pytest

from arcana.common.v1 import paging_pb2
from arcana.service.v1 import product_pb2
from arcana.service.v1 import product_service_pb2 as pb
from tests.unit.service_tier.harness import ADMIN, Harness
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind
from tier_runtime.status import from_status

DRAFT = product_pb2.PRODUCT_STATUS_DRAFT
ACTIVE = product_pb2.PRODUCT_STATUS_ACTIVE
INACTIVE = product_pb2.PRODUCT_STATUS_INACTIVE
ARCHIVED = product_pb2.PRODUCT_STATUS_ARCHIVED
HIDDEN = [DRAFT, INACTIVE, ARCHIVED]

UNKNOWN = "019aa000-0000-7000-8000-000000000001"
ANYBODY = Actor()
USER = Actor("019aa000-0000-7000-8000-00000000000b", frozenset({"user", "premium"}))
# Nobody who has not signed in is an admin, whatever roles come along.
NAMELESS = Actor("", frozenset({"admin"}))
OTHERS = [ANYBODY, USER, NAMELESS]


def get(harness: Harness, product_id: str, actor: Actor = ADMIN) -> product_pb2.Product:
    with harness.acting(actor):
        return harness.products.GetProduct(pb.GetProductRequest(product_id=product_id)).product


def batch(harness: Harness, actor: Actor, *product_ids: str) -> list[str]:
    """Return the name of who was found, or the code of what stood against it, for each id."""
    with harness.acting(actor):
        answer = harness.products.BatchGetProducts(
            pb.BatchGetProductsRequest(product_ids=product_ids)
        )
    return [
        result.product.name if result.HasField("product") else from_status(result.error).code
        for result in answer.results
    ]


def listed(harness: Harness, actor: Actor, **fields: object) -> pb.ListProductsResponse:
    with harness.acting(actor):
        return harness.products.ListProducts(pb.ListProductsRequest(**fields))  # type: ignore[arg-type]


def found(harness: Harness, actor: Actor, query: str, **fields: object) -> list[str]:
    request = pb.SearchProductsRequest(query=query, **fields)  # type: ignore[arg-type]
    with harness.acting(actor):
        return [one.product.name for one in harness.products.SearchProducts(request)]


def names(answer: pb.ListProductsResponse) -> list[str]:
    return [product.name for product in answer.products]


@pytest.fixture
def one_of_each(harness: Harness) -> Harness:
    """A product of each status, called after it."""
    for name, status in [("d", DRAFT), ("a", ACTIVE), ("i", INACTIVE), ("x", ARCHIVED)]:
        harness.product(f"lamp {name}", status=status)
        harness.clock.advance(1)
    return harness


@pytest.mark.parametrize("actor", [*OTHERS, ADMIN])
def test_everybody_reads_what_is_for_sale(harness: Harness, actor: Actor) -> None:
    product = harness.product()
    assert get(harness, product.id, actor) == product


@pytest.mark.parametrize("status", HIDDEN)
def test_what_is_not_for_sale_is_there_for_admins_only(
    harness: Harness, status: product_pb2.ProductStatus.ValueType
) -> None:
    product = harness.product(status=status)
    assert get(harness, product.id).status == status
    for actor in OTHERS:
        with pytest.raises(AppError) as hidden:
            get(harness, product.id, actor)
        with pytest.raises(AppError) as missing:
            get(harness, UNKNOWN, actor)
        assert (hidden.value.kind, hidden.value.code) == (Kind.MISSING, "PRODUCT_NOT_FOUND")
        # Nothing tells that there is such a product.
        assert str(hidden.value) == str(missing.value)
        assert hidden.value.metadata == {"product_id": product.id}
        assert missing.value.metadata == {"product_id": UNKNOWN}


def test_a_product_that_is_none_is_not_found_and_a_word_no_id(harness: Harness) -> None:
    with pytest.raises(AppError, match="PRODUCT_NOT_FOUND"):
        get(harness, UNKNOWN)
    for actor in (ANYBODY, ADMIN):
        with pytest.raises(AppError, match="VALIDATION_FAILED"):
            get(harness, "lamp", actor)
    with pytest.raises(AppError) as refused:
        get(harness, "")
    assert set(refused.value.field_errors) == {"product_id"}


def test_a_batch_shows_each_what_it_would_be_shown_alone(one_of_each: Harness) -> None:
    ids = list(one_of_each.repository.state.products)
    asked = [*ids, UNKNOWN, "lamp", ids[1]]
    tail = ["PRODUCT_NOT_FOUND", "VALIDATION_FAILED", "lamp a"]
    hidden = "PRODUCT_NOT_FOUND"
    assert batch(one_of_each, ADMIN, *asked) == ["lamp d", "lamp a", "lamp i", "lamp x", *tail]
    one_of_each.channel.calls.clear()
    for actor in OTHERS:
        assert batch(one_of_each, actor, *asked) == [hidden, "lamp a", hidden, hidden, *tail]
    assert one_of_each.channel.calls == ["BatchGetProducts"] * len(OTHERS)


@pytest.mark.parametrize("count", [0, 257])
def test_a_batch_has_from_1_to_256_items(harness: Harness, count: int) -> None:
    with pytest.raises(AppError) as refused:
        batch(harness, ADMIN, *[UNKNOWN] * count)
    assert set(refused.value.field_errors) == {"product_ids"}


def test_when_the_repository_tier_is_away_nobody_is_told_that_nothing_is_there(
    harness: Harness,
) -> None:
    def away(_: object) -> None:
        raise AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Down.")

    for method in ("GetProduct", "BatchGetProducts", "ListProducts", "SearchProducts"):
        harness.channel.before[method] = away
    for actor in (ANYBODY, ADMIN):
        with pytest.raises(AppError, match="SERVICE_UNAVAILABLE"):
            get(harness, UNKNOWN, actor)
        with pytest.raises(AppError, match="SERVICE_UNAVAILABLE"):
            batch(harness, actor, UNKNOWN)
        with pytest.raises(AppError, match="SERVICE_UNAVAILABLE"):
            listed(harness, actor)
        with pytest.raises(AppError, match="SERVICE_UNAVAILABLE"):
            found(harness, actor, "lamp")


def test_lists_show_all_to_admins_and_to_others_what_is_for_sale(one_of_each: Harness) -> None:
    everything = listed(one_of_each, ADMIN)
    assert names(everything) == ["lamp d", "lamp a", "lamp i", "lamp x"]
    assert everything.page.total == 4
    for actor in OTHERS:
        for wanted in (pb.ProductFilter(), pb.ProductFilter(status=ACTIVE)):
            seen = listed(one_of_each, actor, filter=wanted)
            assert (names(seen), seen.page.total) == (["lamp a"], 1)
    assert found(one_of_each, ADMIN, "lamp") == names(everything)
    for actor in OTHERS:
        assert found(one_of_each, actor, "lamp") == ["lamp a"]


@pytest.mark.parametrize("status", HIDDEN)
def test_who_is_no_admin_finds_nothing_by_another_status_and_nobody_is_asked(
    one_of_each: Harness, status: product_pb2.ProductStatus.ValueType
) -> None:
    wanted = pb.ProductFilter(status=status)
    assert len(names(listed(one_of_each, ADMIN, filter=wanted))) == 1
    assert len(found(one_of_each, ADMIN, "lamp", filter=wanted)) == 1
    one_of_each.channel.calls.clear()
    for actor in OTHERS:
        seen = listed(one_of_each, actor, filter=wanted)
        assert (names(seen), seen.page.total, seen.page.next_cursor) == ([], 0, "")
        # As on any page by cursor, there is no total.
        page = paging_pb2.PageRequest(cursor="x")
        assert not listed(one_of_each, actor, filter=wanted, page=page).page.HasField("total")
        assert found(one_of_each, actor, "lamp", filter=wanted) == []
    assert one_of_each.channel.calls == []


def test_lists_are_filtered_sorted_and_walked(harness: Harness) -> None:
    for number in range(5):
        harness.product(f"n{number}", price_minor=500 - number, category="é", stock=number)
    harness.product("other", category="e")
    wanted = pb.ProductFilter(
        category="e\u0301", min_price_minor=497, max_price_minor=500, in_stock=True
    )
    sort = pb.PRODUCT_SORT_FIELD_PRICE
    walked, page = [], paging_pb2.PageRequest(page_size=2)
    while True:
        part = listed(harness, ANYBODY, filter=wanted, sort=sort, page=page)
        walked += names(part)
        if not part.page.next_cursor:
            break
        page.cursor = part.page.next_cursor
    assert walked == ["n3", "n2", "n1"]


def test_search_finds_words_and_no_more_than_asked_for(harness: Harness) -> None:
    for number in range(3):
        harness.product(f"Red lamp {number}", description="for a desk", category="light")
    harness.product("Chair")
    assert len(found(harness, ANYBODY, "LAMP re")) == 3
    assert len(found(harness, ANYBODY, "lamp", limit=2)) == 2
    assert found(harness, ANYBODY, "nothing") == []
    assert found(harness, ANYBODY, "%") == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"sort": 99}, {"sort"}),
        ({"filter": pb.ProductFilter(status=99)}, {"status"}),  # type: ignore[arg-type]
        ({"filter": pb.ProductFilter(category="x" * 101)}, {"category"}),
        (
            {"filter": pb.ProductFilter(min_price_minor=-1, max_price_minor=-1)},
            {"min_price_minor", "max_price_minor"},
        ),
        ({"page": paging_pb2.PageRequest(page_size=101, page=-1)}, {"page_size", "page"}),
    ],
)
def test_what_is_wrong_with_a_list_is_told_by_field(
    harness: Harness, fields: dict[str, object], expected: set[str]
) -> None:
    with pytest.raises(AppError) as refused:
        listed(harness, ANYBODY, **fields)
    assert refused.value.code == "VALIDATION_FAILED"
    assert set(refused.value.field_errors) == expected
    assert harness.channel.calls == []


@pytest.mark.parametrize(
    ("query", "fields", "expected"),
    [
        ("", {}, {"query"}),
        ("x" * 256, {"limit": 101}, {"query", "limit"}),
        ("x", {"limit": -1}, {"limit"}),
        ("x", {"filter": pb.ProductFilter(status=99)}, {"status"}),  # type: ignore[arg-type]
        ("x", {"filter": pb.ProductFilter(category="x" * 101)}, {"category"}),
    ],
)
def test_what_is_wrong_with_a_search_is_told_by_field(
    harness: Harness, query: str, fields: dict[str, object], expected: set[str]
) -> None:
    with pytest.raises(AppError) as refused:
        found(harness, ANYBODY, query, **fields)
    assert set(refused.value.field_errors) == expected
    assert harness.channel.calls == []
