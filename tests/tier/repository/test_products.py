from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select, update

from arcana.repository.v1 import product_pb2
from arcana.repository.v1 import product_repository_pb2 as messages
from repository_tier.tables import (
    idempotency_keys,
    outbox_events,
    product_search,
    products,
    stock_movements,
)
from tests.fakes.clock import FakeClock
from tests.tier.repository.conftest import StartTier
from tests.tier.repository.requests import Requests, sha256
from tests.tier.repository.running_tier import (
    RunningTier,
    all_at_once,
    bad_fields,
    failure,
    outcomes,
)
from tier_runtime.errors import AppError, Kind
from tier_runtime.status import from_status
from tier_runtime.timestamps import timestamp_from

ACTIVE, DRAFT = product_pb2.PRODUCT_STATUS_ACTIVE, product_pb2.PRODUCT_STATUS_DRAFT
ARCHIVED = product_pb2.PRODUCT_STATUS_ARCHIVED


def get(tier: RunningTier, product_id: str) -> product_pb2.Product:
    return tier.products.GetProduct(messages.GetProductRequest(product_id=product_id)).product


def told(tier: RunningTier) -> list[str]:
    """Return the types of all events, in the order of the outbox."""
    kept = select(outbox_events.c.type).order_by(outbox_events.c.position)
    return [row["type"] for row in tier.rows(kept)]


def batch(
    tier: RunningTier, *product_ids: str, fresh: bool = False
) -> list[product_pb2.Product | str]:
    """Return what was found, or the code of what stood against it."""
    request = messages.BatchGetProductsRequest(product_ids=product_ids, fresh=fresh)
    return [
        result.product if result.HasField("product") else from_status(result.error).code
        for result in tier.products.BatchGetProducts(request).results
    ]


def test_a_product_is_kept_as_it_was_given(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    clock.advance(0.123457)
    request = make.product(
        name="  Cafe\u0301 Filter ",
        description=" Paper,\nunbleached ",
        price_minor=10**12,
        currency_code="EUR",
        stock=10**9,
        low_stock_threshold=10**9,
        category=" Kitchen ",
        status=DRAFT,
    )
    made = tier.products.CreateProduct(request)
    assert not made.replayed
    assert made.product == product_pb2.Product(
        id=request.product_id,
        name="Café Filter",
        description=" Paper,\nunbleached ",
        price_minor=10**12,
        currency_code="EUR",
        stock=10**9,
        low_stock_threshold=10**9,
        category="Kitchen",
        status=DRAFT,
        version=1,
        created_time=timestamp_from(clock.now()),
        updated_time=timestamp_from(clock.now()),
    )
    assert get(tier, request.product_id) == made.product
    assert batch(tier, request.product_id, fresh=True) == [made.product]


def test_texts_and_numbers_at_their_bounds_are_kept(tier: RunningTier, make: Requests) -> None:
    # Case folding makes each of these three letters.
    name, description = "\ufb03" * 255, "\U0001f600" * 5000
    request = make.product(name=name, description=description, category="ä" * 100, price_minor=0)
    product = tier.products.CreateProduct(request).product
    assert (product.name, product.description) == (name, description)
    assert (product.category, product.price_minor, product.stock) == ("ä" * 100, 0, 0)
    assert batch(tier, product.id, fresh=True) == [product]


def test_what_a_product_begins_with_is_the_first_movement_of_its_ledger(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    with_some = tier.products.CreateProduct(make.product(stock=7, low_stock_threshold=9)).product
    tier.products.CreateProduct(make.product(stock=0))
    (movement,) = tier.rows(select(stock_movements))
    assert movement == {
        "product_id": with_some.id,
        "id": movement["id"],
        "quantity_change": 7,
        "reason": "initial",
        "order_id": None,
        "created_time": clock.now(),
    }
    # A product that begins low did not get there.
    assert told(tier) == []


def test_events_come_with_the_product_and_stay_away_with_it(
    tier: RunningTier, make: Requests
) -> None:
    request = make.product(events=[make.event(type="product.created")])
    tier.products.CreateProduct(request)
    again = make.product(product_id=request.product_id, stock=5, events=[make.event()])
    assert failure(tier.products.CreateProduct, again) == (Kind.EXISTS, "ALREADY_EXISTS")
    assert told(tier) == ["product.created"]
    assert tier.rows(select(stock_movements)) == []
    assert len(tier.rows(select(product_search))) == 1


def test_a_creation_with_a_key_happens_once(tier: RunningTier, make: Requests) -> None:
    request = make.product(idempotency_key=make.key(), stock=3)
    first = tier.products.CreateProduct(request)
    tier.products.UpdateProduct(
        messages.UpdateProductRequest(product_id=first.product.id, name="Changed since")
    )
    # Another id, as the service tier makes one for each call.
    request.product_id = make.new_id()
    again = tier.products.CreateProduct(request)
    assert (again.replayed, again.product) == (True, first.product)
    # What is answered again is not what is read from now on.
    assert get(tier, first.product.id).name == "Changed since"
    assert len(tier.rows(select(products))) == len(tier.rows(select(stock_movements))) == 1
    other = make.product(idempotency_key=make.key(fingerprint=sha256("another")))
    assert failure(tier.products.CreateProduct, other) == (Kind.INVALID, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.usefixtures("warm_tier")
def test_of_many_creations_with_one_key_one_makes_the_product(
    tier: RunningTier, make: Requests
) -> None:
    requests = [make.product(idempotency_key=make.key(), stock=3) for _ in range(12)]
    answers = all_at_once(12, lambda number: tier.products.CreateProduct(requests[number]))
    made = [answer.product for answer in answers if not isinstance(answer, AppError)]
    assert all(product == made[0] for product in made)
    assert set(outcomes(answers)) <= {"OK", "IDEMPOTENCY_IN_PROGRESS"}
    assert len(tier.rows(select(products))) == len(tier.rows(select(idempotency_keys))) == 1


def test_an_unknown_product_is_missing(tier: RunningTier, make: Requests) -> None:
    missing = (Kind.MISSING, "PRODUCT_NOT_FOUND")
    product_id = make.new_id()
    for _ in range(2):
        wanted = messages.GetProductRequest(product_id=product_id)
        assert failure(tier.products.GetProduct, wanted) == missing
    change = messages.UpdateProductRequest(product_id=product_id, name="Nothing")
    assert failure(tier.products.UpdateProduct, change) == missing


def test_what_a_request_needs_is_asked_for(tier: RunningTier) -> None:
    create = messages.CreateProductRequest()
    needed = {"product_id", "name", "currency_code", "status"}
    assert bad_fields(tier.products.CreateProduct, create) == needed
    asked: list[tuple[Any, Any]] = [
        (tier.products.GetProduct, messages.GetProductRequest),
        (tier.products.UpdateProduct, messages.UpdateProductRequest),
    ]
    for call, request_type in asked:
        assert bad_fields(call, request_type()) == {"product_id"}
        assert bad_fields(call, request_type(product_id="nonsense")) == {"product_id"}
    for count in (0, 257):
        batch_of = messages.BatchGetProductsRequest(product_ids=["x"] * count)
        assert bad_fields(tier.products.BatchGetProducts, batch_of) == {"product_ids"}


def test_a_product_that_was_missing_is_found_once_it_is_made(
    tier: RunningTier, make: Requests
) -> None:
    request = make.product()
    wanted = messages.GetProductRequest(product_id=request.product_id)
    assert failure(tier.products.GetProduct, wanted) == (Kind.MISSING, "PRODUCT_NOT_FOUND")
    tier.products.CreateProduct(request)
    assert get(tier, request.product_id.upper()).id == request.product_id


def test_an_update_changes_what_is_given_and_counts(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    request = make.product(description="Old", category="Old", stock=4, low_stock_threshold=1)
    product = tier.products.CreateProduct(request).product
    clock.advance(60)
    changed = tier.products.UpdateProduct(
        messages.UpdateProductRequest(
            product_id=product.id, expected_version=1, name=" New ", price_minor=0
        )
    ).product
    expected = product_pb2.Product()
    expected.CopyFrom(product)
    expected.MergeFrom(
        product_pb2.Product(name="New", version=2, updated_time=timestamp_from(clock.now()))
    )
    expected.price_minor = 0
    assert changed == expected
    rest = messages.UpdateProductRequest(
        product_id=product.id,
        description="",
        currency_code="EUR",
        low_stock_threshold=0,
        category="",
        status=ARCHIVED,
        events=[make.event(type="product.deleted")],
    )
    changed = tier.products.UpdateProduct(rest).product
    assert (changed.description, changed.currency_code, changed.category) == ("", "EUR", "")
    assert (changed.low_stock_threshold, changed.status, changed.version) == (0, ARCHIVED, 3)
    assert (changed.name, changed.price_minor, changed.stock) == ("New", 0, 4)
    assert get(tier, product.id) == changed
    assert told(tier) == ["product.deleted"]


def test_an_update_from_another_version_is_refused(tier: RunningTier, make: Requests) -> None:
    product = tier.products.CreateProduct(make.product()).product
    request = messages.UpdateProductRequest(
        product_id=product.id, expected_version=1, name="New", events=[make.event()]
    )
    tier.products.UpdateProduct(request)
    request.events[0].id = make.new_id()
    assert failure(tier.products.UpdateProduct, request) == (Kind.STALE, "PRECONDITION_FAILED")
    assert len(told(tier)) == 1


@pytest.mark.usefixtures("warm_tier")
def test_of_racing_updates_from_one_version_one_wins(tier: RunningTier, make: Requests) -> None:
    product = tier.products.CreateProduct(make.product()).product

    def change(number: int) -> messages.UpdateProductResponse:
        return tier.products.UpdateProduct(
            messages.UpdateProductRequest(
                product_id=product.id, expected_version=1, name=f"Name {number}"
            )
        )

    answers = all_at_once(12, change)
    assert outcomes(answers) == {"OK": 1, "PRECONDITION_FAILED": 11}
    (winner,) = [answer for answer in answers if not isinstance(answer, AppError)]
    assert get(tier, product.id) == winner.product


@pytest.mark.usefixtures("warm_tier")
def test_updates_and_changes_of_stock_that_race_are_all_counted(
    tier: RunningTier, make: Requests
) -> None:
    product = tier.products.CreateProduct(make.product(stock=100)).product

    def change(number: int) -> object:
        if number % 2:
            return tier.products.UpdateStock(
                messages.UpdateStockRequest(product_id=product.id, quantity_change=-1)
            )
        return tier.products.UpdateProduct(
            messages.UpdateProductRequest(product_id=product.id, price_minor=number)
        )

    assert outcomes(all_at_once(12, change)) == {"OK": 12}
    now = get(tier, product.id)
    assert (now.version, now.stock) == (13, 94)
    assert batch(tier, product.id, fresh=True) == [now]
    (ledger,) = tier.rows(select(func.sum(stock_movements.c.quantity_change).label("units")))
    assert ledger["units"] == 94


@pytest.mark.parametrize(
    ("stock", "before", "after", "is_told"),
    [
        (5, 0, 5, True),
        (5, 4, 9, True),
        (5, 5, 9, False),
        (5, 0, 4, False),
        (5, 9, 4, False),
        (0, 0, 5, False),
    ],
)
def test_a_threshold_raised_above_the_stock_makes_it_low(
    tier: RunningTier, make: Requests, stock: int, before: int, after: int, is_told: bool
) -> None:
    product = tier.products.CreateProduct(
        make.product(stock=stock, low_stock_threshold=before)
    ).product
    tier.products.UpdateProduct(
        messages.UpdateProductRequest(product_id=product.id, low_stock_threshold=after)
    )
    assert told(tier) == (["product.low_stock"] if is_told else [])


def test_what_is_wrong_with_one_of_a_batch_leaves_the_others_alone(
    tier: RunningTier, make: Requests
) -> None:
    product = tier.products.CreateProduct(make.product()).product
    asked = ["nonsense", product.id.upper(), "", make.new_id(), product.id]
    expected = ["VALIDATION_FAILED", product, "VALIDATION_FAILED", "PRODUCT_NOT_FOUND", product]
    assert batch(tier, *asked) == expected
    assert batch(tier, *asked, fresh=True) == expected
    assert batch(tier, "nonsense", fresh=True) == ["VALIDATION_FAILED"]


def test_a_fresh_batch_is_what_the_database_has_now(tier: RunningTier, make: Requests) -> None:
    product = tier.products.CreateProduct(make.product()).product
    # Behind the cache's back, as a process that died after its commit leaves it.
    tier.change(update(products).values(price_minor=5, version=2))
    assert get(tier, product.id).price_minor == product.price_minor
    (fresh,) = batch(tier, product.id, fresh=True)
    assert isinstance(fresh, product_pb2.Product)
    assert (fresh.price_minor, fresh.version) == (5, 2)
    # And now the cache has it too.
    assert get(tier, product.id) == fresh


@pytest.mark.parametrize("call", ["UpdateStock", "BatchUpdateStock", "PlaceOrder"])
def test_who_asks_again_mends_what_a_process_that_died_has_not_told_the_cache(
    tier: RunningTier, make: Requests, call: str
) -> None:
    product = tier.products.CreateProduct(make.product(stock=5, price_minor=1999)).product

    def ask() -> object:
        if call == "PlaceOrder":
            line = make.line(product.id, unit_price_minor=product.price_minor)
            return tier.orders.PlaceOrder(make.order(line, idempotency_key=make.key()))
        change = messages.UpdateStockRequest(product_id=product.id, quantity_change=1)
        change.idempotency_key.CopyFrom(make.key())
        if call == "UpdateStock":
            return tier.products.UpdateStock(change)
        one = messages.StockChange(product_id=product.id, quantity_change=1)
        request = messages.BatchUpdateStockRequest(idempotency_key=make.key(), changes=[one])
        return tier.products.BatchUpdateStock(request)

    ask()
    version = get(tier, product.id).version + 1
    tier.change(update(products).values(name="New", version=version))
    assert get(tier, product.id).name != "New"
    ask()
    assert (get(tier, product.id).name, get(tier, product.id).version) == ("New", version)


def test_a_batch_holds_what_the_cache_knows_and_what_only_the_database_does(
    start_tier: StartTier, make: Requests
) -> None:
    writer = start_tier()
    made = [writer.products.CreateProduct(make.product()).product for _ in range(20)]
    # Another process, to which the embedded cache is not known.
    reader = start_tier()
    for product in made[::3]:
        get(reader, product.id)
    assert batch(reader, *(product.id for product in made)) == made


def test_a_user_and_a_product_of_one_id_are_two_things_to_the_cache(
    tier: RunningTier, make: Requests
) -> None:
    user = tier.users.CreateUser(make.user()).user
    wanted = messages.GetProductRequest(product_id=user.id)
    assert failure(tier.products.GetProduct, wanted) == (Kind.MISSING, "PRODUCT_NOT_FOUND")
    product = tier.products.CreateProduct(make.product(product_id=user.id)).product
    assert get(tier, user.id) == product
