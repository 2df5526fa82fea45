from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import pytest
from sqlalchemy import select, update

from arcana.repository.v1 import product_pb2
from arcana.repository.v1 import product_repository_pb2 as messages
from repository_tier.tables import product_search, products
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, bad_fields

DRAFT = product_pb2.PRODUCT_STATUS_DRAFT

SHELF = {
    "Espresso Machine": "Brews coffee under pressure.",
    "Filter Machine": "For mornings. 100% steel, no plastics.",
    "Café Crème": "Instant coffee, in a jar.",
    "The Who: My Generation": "A record by The Who.",
    "漢字 Poster": "日本語",
    "Straße Wi-Fi Router": "It's an AC/DC_2 model: O'Reilly, C++.",
    "Ἀθήνα Mug": "हिन्दी, عربي",
}


@pytest.fixture
def shelf(tier: RunningTier, make: Requests) -> None:
    for name, description in SHELF.items():
        tier.products.CreateProduct(make.product(name=name, description=description))


def found(tier: RunningTier, query: str, limit: int = 0, **wanted: object) -> list[str]:
    request = messages.SearchProductsRequest(
        query=query,
        filter=messages.ProductFilter(**wanted),  # type: ignore[arg-type]  # the test's own fields
        limit=limit,
    )
    return [product.name for product in tier.products.SearchProducts(request).products]


def made(tier: RunningTier, requests: Iterable[messages.CreateProductRequest]) -> list[str]:
    return [tier.products.CreateProduct(request).product.id for request in requests]


@pytest.mark.usefixtures("shelf")
def test_words_find_the_same_products_on_every_store(tier: RunningTier) -> None:
    expected: dict[str, set[str]] = {
        "machine": {"Espresso Machine", "Filter Machine"},
        "MACHINE espresso": {"Espresso Machine"},
        "machine coffee": {"Espresso Machine"},
        "coffee tea": set(),
        # The beginning of the last word, and of no other.
        "mach": {"Espresso Machine", "Filter Machine"},
        "filter ma": {"Filter Machine"},
        "filt machine": set(),
        # Something after it says that it is whole.
        "mach ": set(),
        "machine ": {"Espresso Machine", "Filter Machine"},
        "mach*": set(),
        "machine*": {"Espresso Machine", "Filter Machine"},
        # Letter case and accents.
        "cafe creme": {"Café Crème"},
        "CAFÉ CRÈME": {"Café Crème"},
        unicodedata.normalize("NFD", "café"): {"Café Crème"},
        "strasse": {"Straße Wi-Fi Router"},
        "STRASS": {"Straße Wi-Fi Router"},
        "ΑΘΗΝΑ": {"Ἀθήνα Mug"},
        # Short words, and those that full-text indexes leave out.
        "a ": {"The Who: My Generation", "Café Crème"},
        "the who": {"The Who: My Generation"},
        "c ": {"Straße Wi-Fi Router"},
        "2": {"Straße Wi-Fi Router"},
        "100 steel": {"Filter Machine"},
        "in a jar": {"Café Crème"},
        # Other scripts.
        "漢": {"漢字 Poster"},
        "漢字": {"漢字 Poster"},
        "字": set(),
        "日本語 ": {"漢字 Poster"},
        "हिन्दी": {"Ἀθήνα Mug"},
        "عربي": {"Ἀθήνα Mug"},
        # What an operator would mean is not meant.
        "+espresso -machine": {"Espresso Machine"},
        "espresso OR filter": set(),
        "machine NOT espresso": set(),
        "~machine >espresso <pressure": {"Espresso Machine"},
        '"machine espresso"': {"Espresso Machine"},
        "(espresso": {"Espresso Machine"},
        "machine @2": set(),
        "espresso NEAR(machine)": set(),
        "words:espresso": set(),
        "es*so": set(),
        "m_chine": set(),
        "wi-fi": {"Straße Wi-Fi Router"},
        "o'reilly c++": {"Straße Wi-Fi Router"},
        "ac/dc_2": {"Straße Wi-Fi Router"},
        "it's ac\\dc": {"Straße Wi-Fi Router"},
        # No word at all.
        "": set(),
        "%": set(),
        "*": set(),
        "\"'()@~<>+-_\\ ": set(),
        "zz": set(),
    }
    assert {query: set(found(tier, query)) for query in expected} == expected


def test_the_best_match_comes_first_and_equal_ones_by_their_ids(
    tier: RunningTier, make: Requests
) -> None:
    in_text = make.product(name="Coffee table", description="A lamp could stand on it.")
    twice = make.product(name="Lamp for a lamp", description="A lamp.")
    same = [make.product(name="Lamp", description="Bright.") for _ in range(3)]
    others = [make.product(name=f"Chair {number}", description="Wood.") for number in range(4)]
    made(tier, [in_text, *reversed(same), *others])
    request = messages.SearchProductsRequest(query="lamp")
    answer = tier.products.SearchProducts(request).products
    # Ids are in the order in which they were made up here.
    assert [one.id for one in answer] == [one.product_id for one in [*same, in_text]]
    made(tier, [twice])
    answer = tier.products.SearchProducts(request).products
    assert answer[-1].id == in_text.product_id
    request.limit = 2
    assert len(tier.products.SearchProducts(request).products) == 2


def test_filters_leave_out_what_matches_by_its_words(tier: RunningTier, make: Requests) -> None:
    made(
        tier,
        [
            make.product(name="Lamp one", price_minor=100, stock=1, category="Home"),
            make.product(name="Lamp two", price_minor=200, category="Home"),
            make.product(name="Lamp three", price_minor=300, stock=1, category="home"),
            make.product(name="Lamp four", price_minor=400, status=DRAFT, category="Garden"),
        ],
    )
    assert set(found(tier, "lamp")) == {"Lamp one", "Lamp two", "Lamp three", "Lamp four"}
    assert found(tier, "lamp", status=DRAFT) == ["Lamp four"]
    assert set(found(tier, "lamp", category="Home")) == {"Lamp one", "Lamp two"}
    assert set(found(tier, "lamp", min_price_minor=200, max_price_minor=300)) == {
        "Lamp two",
        "Lamp three",
    }
    assert set(found(tier, "lamp", in_stock=True)) == {"Lamp one", "Lamp three"}
    assert set(found(tier, "lamp", in_stock=False, category="Home")) == {"Lamp two"}
    # The category is one of the things that are searched.
    assert found(tier, "lamp garden") == ["Lamp four"]


def test_twenty_are_found_when_nothing_is_said(tier: RunningTier, make: Requests) -> None:
    made(tier, [make.product(name=f"Lamp {number}") for number in range(25)])
    assert len(found(tier, "lamp")) == 20
    assert len(found(tier, "lamp", limit=100)) == 25


def test_what_a_product_is_found_by_changes_with_it(tier: RunningTier, make: Requests) -> None:
    (product_id,) = made(tier, [make.product(name="Lamp", category="Home", description="Bright")])
    tier.products.UpdateProduct(
        messages.UpdateProductRequest(product_id=product_id, name="Torch", price_minor=7)
    )
    assert (found(tier, "lamp"), found(tier, "torch bright home")) == ([], ["Torch"])
    tier.products.UpdateProduct(
        messages.UpdateProductRequest(product_id=product_id, description="", category="Garden")
    )
    assert (found(tier, "torch bright"), found(tier, "torch garden")) == ([], ["Torch"])
    (before,) = tier.rows(select(product_search))
    # A change of something else leaves the full-text index alone.
    tier.products.UpdateProduct(
        messages.UpdateProductRequest(product_id=product_id, status=DRAFT, price_minor=8)
    )
    tier.products.UpdateStock(messages.UpdateStockRequest(product_id=product_id, quantity_change=5))
    assert tier.rows(select(product_search)) == [before]
    request = messages.SearchProductsRequest(query="torch")
    (now,) = tier.products.SearchProducts(request).products
    assert (now.status, now.price_minor, now.stock, now.version) == (DRAFT, 8, 5, 5)


def test_a_search_shows_what_was_changed_behind_the_cache(
    tier: RunningTier, make: Requests
) -> None:
    made(tier, [make.product(name=f"Lamp {number}") for number in range(3)])
    assert len(found(tier, "lamp")) == 3
    tier.change(update(products).values(name="Torch", version=products.c.version + 1))
    assert found(tier, "lamp") == ["Torch"] * 3


def test_a_long_word_is_found_by_its_beginning(tier: RunningTier, make: Requests) -> None:
    word = "Donaudampfschifffahrt" * 12
    made(tier, [make.product(name=word)])
    assert found(tier, word) == found(tier, word + "!") == found(tier, word[:50]) == [word]
    assert found(tier, word[:50] + " ") == []


def test_as_many_words_as_may_be_are_looked_for(tier: RunningTier, make: Requests) -> None:
    words = " ".join(f"w{number}" for number in range(32))
    made(tier, [make.product(name="Lamp", description=words)])
    assert found(tier, words) == ["Lamp"]
    assert found(tier, words + "9") == []


@pytest.mark.parametrize(
    ("fields", "bad"),
    [
        ({"query": "x" * 256}, {"query"}),
        ({"query": "a\x00b"}, {"query"}),
        ({"query": "w " * 33}, {"query"}),
        ({"query": "w", "limit": 101}, {"limit"}),
        ({"query": "w", "limit": -1}, {"limit"}),
        ({"filter": messages.ProductFilter(status=9)}, {"filter.status"}),  # type: ignore[arg-type]  # a wrong one
        ({"filter": messages.ProductFilter(category="x" * 101)}, {"filter.category"}),
    ],
)
def test_what_makes_no_sense_in_a_search_is_a_field_error(
    tier: RunningTier, fields: dict[str, object], bad: set[str]
) -> None:
    request = messages.SearchProductsRequest(**fields)  # type: ignore[arg-type]  # wrong on purpose
    assert bad_fields(tier.products.SearchProducts, request) == bad
