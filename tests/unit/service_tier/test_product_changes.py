from __future__ import annotations

from collections.abc import Callable

import pytest

from arcana.repository.v1 import product_pb2 as kept_product_pb2
from arcana.service.v1 import product_pb2
from arcana.service.v1 import product_service_pb2 as pb
from service_tier.usecases.versions import MAX_ATTEMPTS
from tests.unit.service_tier.harness import ADMIN, Harness
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind

DRAFT = product_pb2.PRODUCT_STATUS_DRAFT
ACTIVE = product_pb2.PRODUCT_STATUS_ACTIVE

UNKNOWN = "019aa000-0000-7000-8000-000000000001"
USER = Actor("019aa000-0000-7000-8000-00000000000b", frozenset({"user"}))


def create(harness: Harness, **fields: object) -> pb.CreateProductResponse:
    with harness.acting(ADMIN):
        return harness.products.CreateProduct(pb.CreateProductRequest(**fields))  # type: ignore[arg-type]


def update(harness: Harness, product_id: str, **fields: object) -> product_pb2.Product:
    request = pb.UpdateProductRequest(product_id=product_id, **fields)  # type: ignore[arg-type]
    with harness.acting(ADMIN):
        return harness.products.UpdateProduct(request).product


def delete(harness: Harness, product_id: str, version: int = 0) -> None:
    with harness.acting(ADMIN):
        harness.products.DeleteProduct(
            pb.DeleteProductRequest(product_id=product_id, expected_version=version)
        )


def bump(harness: Harness, product_id: str) -> None:
    harness.kept_product(product_id).version += 1


def test_a_new_product_has_all_that_was_told_and_is_told_of(harness: Harness) -> None:
    product = create(
        harness,
        name=" Lamp\u0301 ",
        description=" For a desk. ",
        price_minor=1999,
        currency_code="EUR",
        stock=7,
        low_stock_threshold=2,
        category=" light ",
        status=ACTIVE,
    ).product
    assert (product.name, product.description, product.category) == (
        "Lamṕ",
        "For a desk.",
        "light",
    )
    assert (product.price_minor, product.currency_code) == (1999, "EUR")
    assert (product.stock, product.low_stock_threshold) == (7, 2)
    assert (product.status, product.version) == (ACTIVE, 1)
    (event,) = harness.events("product.created")
    assert (event.aggregate_type, event.aggregate_id) == ("product", product.id)
    assert dict(event.payload) == {"product_id": product.id, "status": "active"}
    assert event.actor_subject == ADMIN.subject


def test_a_product_is_a_draft_in_dollars_unless_told_otherwise(harness: Harness) -> None:
    product = create(harness, name="Lamp").product
    assert (product.status, product.currency_code) == (DRAFT, "USD")
    assert (product.price_minor, product.stock, product.description) == (0, 0, "")


def test_the_same_key_makes_one_product(harness: Harness) -> None:
    first = create(harness, request_id="key-1", name="Lamp")
    again = create(harness, request_id="key-1", name="Lamp")
    assert (first.replayed, again.replayed) == (False, True)
    assert again.product == first.product
    assert len(harness.repository.state.products) == 1
    with pytest.raises(AppError, match="IDEMPOTENCY_KEY_REUSED"):
        create(harness, request_id="key-1", name="Chair")
    with pytest.raises(AppError) as refused:
        create(harness, request_id="k" * 256, name="Lamp")
    assert set(refused.value.field_errors) == {"request_id"}


def test_a_creation_that_is_still_running_is_told_so(harness: Harness) -> None:
    def running(_: object) -> None:
        raise AppError(Kind.CONFLICT, "IDEMPOTENCY_IN_PROGRESS", "Wait.", retry_after=1.0)

    harness.channel.before["CreateProduct"] = running
    with pytest.raises(AppError, match="IDEMPOTENCY_IN_PROGRESS"):
        create(harness, request_id="key-1", name="Lamp")


def test_every_field_of_a_new_product_that_has_a_fault_is_named(harness: Harness) -> None:
    with pytest.raises(AppError) as refused:
        create(
            harness,
            name="x" * 256,
            description="x" * 5001,
            price_minor=-1,
            currency_code="JPY",
            stock=-1,
            low_stock_threshold=-1,
            category="x" * 101,
        )
    assert set(refused.value.field_errors) == {
        "name",
        "description",
        "price_minor",
        "currency_code",
        "stock",
        "low_stock_threshold",
        "category",
    }
    for fields, field in (({}, "name"), ({"name": "Lamp", "status": 99}, "status")):
        with pytest.raises(AppError) as refused:
            create(harness, **fields)
        assert set(refused.value.field_errors) == {field}
    assert harness.repository.state.products == {}


def test_only_what_is_given_changes(harness: Harness) -> None:
    product = harness.product(description="Old", category="light", low_stock_threshold=3)
    harness.clock.advance(1)
    changed = update(harness, product.id, name=" New ", description="", low_stock_threshold=0)
    assert (changed.name, changed.description, changed.low_stock_threshold) == ("New", "", 0)
    assert (changed.category, changed.price_minor, changed.stock) == ("light", 1999, 100)
    assert changed.version == product.version + 1
    (event,) = harness.events("product.updated")
    assert dict(event.payload) == {
        "product_id": product.id,
        "changed": "description,low_stock_threshold,name",
    }
    again = update(
        harness, product.id, price_minor=5, currency_code="EUR", category="", status=DRAFT
    )
    assert (again.price_minor, again.currency_code, again.category) == (5, "EUR", "")
    assert again.status == DRAFT
    assert harness.events("product.updated")[1].payload["changed"] == (
        "category,currency_code,price_minor,status"
    )


def test_a_call_that_changes_nothing_writes_nothing(harness: Harness) -> None:
    product = harness.product()
    harness.channel.calls.clear()
    assert update(harness, product.id) == product
    assert update(harness, product.id, name="Lamp", price_minor=1999, status=ACTIVE) == product
    assert harness.channel.calls == ["BatchGetProducts"] * 2
    assert harness.events("product.updated") == []


def test_what_is_there_is_read_past_the_cache(harness: Harness) -> None:
    product = harness.product()
    asked: list[bool] = []
    harness.channel.before["BatchGetProducts"] = lambda request: asked.append(request.fresh)
    update(harness, product.id, name="New")
    delete(harness, product.id)
    assert asked == [True, True]


def test_an_archived_product_is_kept_and_stays_as_it_is(harness: Harness) -> None:
    product = harness.product()
    delete(harness, product.id)
    kept = harness.kept_product(product.id)
    assert (kept.status, kept.version) == (kept_product_pb2.PRODUCT_STATUS_ARCHIVED, 2)
    (event,) = harness.events("product.deleted")
    assert dict(event.payload) == {"product_id": product.id}
    delete(harness, product.id)
    delete(harness, product.id, version=2)
    assert kept.version == 2
    assert len(harness.events("product.deleted")) == 1
    assert harness.events("product.updated") == []


CHANGES: list[Callable[[Harness, str, int], object]] = [
    lambda harness, product_id, version: update(
        harness, product_id, name="New", expected_version=version
    ),
    delete,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_product_that_is_none_is_not_found(
    harness: Harness, change: Callable[[Harness, str, int], object]
) -> None:
    with pytest.raises(AppError) as refused:
        change(harness, UNKNOWN, 0)
    assert (refused.value.kind, refused.value.code) == (Kind.MISSING, "PRODUCT_NOT_FOUND")


@pytest.mark.parametrize("change", CHANGES)
def test_another_version_than_the_expected_one_is_refused(
    harness: Harness, change: Callable[[Harness, str, int], object]
) -> None:
    product = harness.product()
    with pytest.raises(AppError) as refused:
        change(harness, product.id, 9)
    assert (refused.value.kind, refused.value.code) == (Kind.STALE, "PRECONDITION_FAILED")
    # A write between the read and the write.
    harness.channel.before["UpdateProduct"] = lambda _: bump(harness, product.id)
    with pytest.raises(AppError, match="PRECONDITION_FAILED"):
        change(harness, product.id, product.version)
    assert harness.kept_product(product.id).status == kept_product_pb2.PRODUCT_STATUS_ACTIVE


@pytest.mark.parametrize("change", CHANGES)
def test_a_write_in_between_is_built_upon_when_no_version_was_named(
    harness: Harness, change: Callable[[Harness, str, int], object]
) -> None:
    product = harness.product()

    def bump_once(_: object) -> None:
        harness.channel.before.clear()
        bump(harness, product.id)

    harness.channel.before["UpdateProduct"] = bump_once
    change(harness, product.id, 0)
    assert harness.kept_product(product.id).version == 3


def test_a_product_that_another_archives_meanwhile_is_told_of_by_the_other_alone(
    harness: Harness,
) -> None:
    product = harness.product()

    def archive(_: object) -> None:
        harness.channel.before.clear()
        delete(harness, product.id)

    harness.channel.before["UpdateProduct"] = archive
    update(harness, product.id, status=product_pb2.PRODUCT_STATUS_ARCHIVED)
    assert len(harness.events("product.deleted")) == 1


def test_who_is_always_outrun_is_told_to_come_back(harness: Harness) -> None:
    product = harness.product()
    harness.channel.before["UpdateProduct"] = lambda _: bump(harness, product.id)
    harness.channel.calls.clear()
    with pytest.raises(AppError) as refused:
        delete(harness, product.id)
    assert (refused.value.kind, refused.value.retry_after) == (Kind.UNAVAILABLE, 1.0)
    assert harness.channel.calls.count("UpdateProduct") == MAX_ATTEMPTS
    assert harness.events("product.deleted") == []


def test_a_product_that_sells_all_the_time_can_be_changed_all_the_same(harness: Harness) -> None:
    product = harness.product()
    harness.channel.before["UpdateProduct"] = lambda _: bump(harness, product.id)
    harness.channel.calls.clear()
    assert update(harness, product.id, name="New", price_minor=1999).name == "New"
    assert harness.channel.calls == ["BatchGetProducts", "UpdateProduct"]


def test_what_was_asked_for_is_what_is_kept_whatever_came_in_between(harness: Harness) -> None:
    product = harness.product()

    def rename(_: object) -> None:
        harness.kept_product(product.id).name = "Other"

    harness.channel.before["UpdateProduct"] = rename
    # The name was as asked for when it was looked at, and is not when it is written.
    assert update(harness, product.id, name="Lamp", price_minor=1).name == "Lamp"


def test_every_field_of_a_change_that_has_a_fault_is_named(harness: Harness) -> None:
    product = harness.product()
    with pytest.raises(AppError) as refused:
        update(harness, product.id, name="", price_minor=-1, currency_code="usd")
    assert set(refused.value.field_errors) == {"name", "price_minor", "currency_code"}
    for product_id, fields, field in (
        (product.id, {"status": 99}, "status"),
        ("", {"name": "New"}, "product_id"),
    ):
        with pytest.raises(AppError) as refused:
            update(harness, product_id, **fields)
        assert set(refused.value.field_errors) == {field}
    with pytest.raises(AppError) as refused:
        delete(harness, "")
    assert set(refused.value.field_errors) == {"product_id"}


@pytest.mark.parametrize(
    ("actor", "code"), [(Actor(), "UNAUTHENTICATED"), (USER, "FORBIDDEN")], ids=["anybody", "user"]
)
def test_all_but_reads_are_for_admins(harness: Harness, actor: Actor, code: str) -> None:
    product = harness.product()
    products = harness.products
    harness.channel.calls.clear()
    calls: list[Callable[[], object]] = [
        lambda: products.CreateProduct(pb.CreateProductRequest(name="Lamp")),
        lambda: products.UpdateProduct(pb.UpdateProductRequest(product_id=product.id, name="x")),
        lambda: products.DeleteProduct(pb.DeleteProductRequest(product_id=product.id)),
        lambda: products.UpdateStock(
            pb.UpdateStockRequest(product_id=product.id, quantity_change=1)
        ),
        lambda: products.BatchUpdateStock(
            iter([pb.BatchUpdateStockRequest(product_id=product.id, quantity_change=1)])
        ),
        lambda: products.ListStockMovements(pb.ListStockMovementsRequest(product_id=product.id)),
    ]
    for call in calls:
        with harness.acting(actor), pytest.raises(AppError) as refused:
            call()
        assert refused.value.code == code
    assert harness.channel.calls == []


def test_to_archive_by_a_change_is_told_as_to_delete(harness: Harness) -> None:
    product = harness.product()
    update(harness, product.id, status=product_pb2.PRODUCT_STATUS_ARCHIVED)
    assert len(harness.events("product.deleted")) == 1
    assert harness.events("product.updated") == []
    update(harness, product.id, status=ACTIVE)
    update(harness, product.id, status=product_pb2.PRODUCT_STATUS_ARCHIVED, name="Old lamp")
    assert len(harness.events("product.deleted")) == 2
    assert [event.payload["changed"] for event in harness.events("product.updated")] == [
        "status",
        "name",
    ]
