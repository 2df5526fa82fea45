"""Streams of changes of stock, on real stores: bound to their key, and the same over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from arcana.service.v1 import product_service_pb2 as pb
from arcana.service.v1.product_service_pb2_grpc import ProductServiceStub
from controller_tier.grpc_edge.listening import reserved
from controller_tier.main import make_worker_app
from controller_tier.service_channels import connect_services
from controller_tier.settings import ControllerSettings
from service_tier.usecases.stock import GROUP_SIZE
from tests.tier.controller.grpc_edge.edges import ANYWHERE, Metadata, bearer
from tests.tier.service.running import SYSTEM, RunningService
from tier_runtime.errors import AppError

UNKNOWN = "019aa000-0000-7000-8000-000000000001"
MAX_UNITS = 10**9
WAIT_SECONDS = 20.0

Json = dict[str, Any]


def product(service: RunningService, stock: int = 0) -> str:
    request = pb.CreateProductRequest(name="Lamp", price_minor=1999, stock=stock)
    with service.acting(SYSTEM):
        return service.products.CreateProduct(request).product.id


def stock(service: RunningService, product_id: str) -> int:
    with service.acting(SYSTEM):
        request = pb.GetProductRequest(product_id=product_id)
        return service.products.GetProduct(request).product.stock


def keyed(product_id: str, count: int, **told: Any) -> list[pb.BatchUpdateStockRequest]:
    """Return so many changes under one key; the first one tells what is told of all."""
    change = pb.BatchUpdateStockRequest(product_id=product_id, quantity_change=1)
    first = pb.BatchUpdateStockRequest(
        request_id="key-1", product_id=product_id, quantity_change=1, **told
    )
    return [first, *[change] * (count - 1)]


def send(
    service: RunningService, changes: list[pb.BatchUpdateStockRequest]
) -> pb.BatchUpdateStockResponse:
    with service.acting(SYSTEM):
        return service.products.BatchUpdateStock(iter(changes))


@dataclass(frozen=True, slots=True)
class Faces:
    """Both faces of an edge, and an admin's token."""

    http: Any
    products: ProductServiceStub
    admin: Metadata

    def post(self, changes: list[Json], key: str = "") -> Any:
        headers = {"Authorization": str(self.admin[0][1])}
        if key:
            headers["Idempotency-Key"] = key
        return self.http.test_client().post(
            "/api/v1/products/stock/batch", json={"changes": changes}, headers=headers
        )

    def stream(self, changes: list[Json]) -> pb.BatchUpdateStockResponse:
        sent = (pb.BatchUpdateStockRequest(**change) for change in changes)
        return self.products.BatchUpdateStock(sent, metadata=self.admin)


@contextmanager
def edge_before(service: RunningService) -> Iterator[Faces]:
    """Run an edge in front of the service tier."""
    service.create("admin@example.org", "admin")
    token = service.login("admin@example.org").access_token
    known = ControllerSettings(service_url=f"grpc://{service.server.address}")
    with ExitStack() as stack:
        address = stack.enter_context(reserved(ANYWHERE))
        worker = make_worker_app(known, lambda _tracing: connect_services(known), address)
        stack.callback(worker.close)
        channel = stack.enter_context(grpc.insecure_channel(str(address)))
        yield Faces(worker.app, ProductServiceStub(channel), bearer(token))


def test_a_batch_has_the_same_outcome_over_http_and_as_a_stream(service: RunningService) -> None:
    streamed, posted = product(service, stock=5), product(service, stock=5)

    def changes(product_id: str) -> list[Json]:
        return [
            {"product_id": one, "quantity_change": units, "reason": reason}
            for one, units, reason in (
                (product_id.upper(), -3, " sold "),
                (product_id, 0, ""),
                (product_id, -3, ""),
                (UNKNOWN, 1, ""),
                ("lamp", 1, ""),
                ("", 1, ""),
                ("x" * 300, 0, "\x00"),
                (product_id, MAX_UNITS, ""),
                (product_id, MAX_UNITS + 1, ""),
                (product_id, -(2**63), ""),
                (product_id, 1, "x" * 256),
                (product_id, 1, "two\nlines"),
                *[(product_id, 1, "")] * GROUP_SIZE,
                (product_id, 0, ""),
            )
        ]

    with edge_before(service) as edge:
        over_grpc = edge.stream(changes(streamed))
        over_http = edge.post(changes(posted))
    assert over_http.status_code == 200

    def told(text: str) -> str:
        return text.replace(streamed, "product").replace(posted, "product")

    assert (over_http.json["success_count"], over_http.json["failure_count"]) == (
        over_grpc.success_count,
        over_grpc.failure_count,
    )
    assert [
        (each["index"], told(each["product_id"]), each["code"], told(each["message"]))
        for each in over_http.json["errors"]
    ] == [
        (each.index, told(each.product_id), each.code, told(each.message))
        for each in over_grpc.errors
    ]
    assert {each.code for each in over_grpc.errors} == {
        "INSUFFICIENT_STOCK",
        "PRODUCT_NOT_FOUND",
        "VALIDATION_FAILED",
    }
    assert over_grpc.success_count == GROUP_SIZE + 1
    assert stock(service, streamed) == stock(service, posted) == 2 + GROUP_SIZE


def test_over_http_a_key_is_bound_to_the_whole_body(service: RunningService) -> None:
    lamp = product(service)
    one: Json = {"product_id": lamp, "quantity_change": 1}
    body = [one] * GROUP_SIZE + [one | {"quantity_change": 0}] * 50
    with edge_before(service) as edge:
        first = edge.post(body, "key-1")
        assert first.json["success_count"] == GROUP_SIZE
        for other in (body[:GROUP_SIZE], body + [one] * 50, [*body[:-1], one], [one] * 150, [one]):
            refused = edge.post(other, "key-1")
            assert (refused.status_code, refused.json["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
        again = edge.post(body, "key-1")
    assert (again.data, again.headers["Idempotent-Replay"]) == (first.data, "true")
    assert "Idempotent-Replay" not in first.headers
    assert stock(service, lamp) == GROUP_SIZE


@pytest.mark.parametrize(
    ("count", "other"), [(GROUP_SIZE, GROUP_SIZE + 50), (2 * GROUP_SIZE + 50, GROUP_SIZE)]
)
def test_a_longer_and_a_shorter_stream_with_the_same_key_change_no_stock(
    service: RunningService, count: int, other: int
) -> None:
    lamp = product(service)
    assert send(service, keyed(lamp, count)).success_count == count
    with pytest.raises(AppError, match="IDEMPOTENCY_KEY_REUSED"):
        send(service, keyed(lamp, other))
    assert send(service, keyed(lamp, count)).replayed
    assert stock(service, lamp) == count


def test_a_group_of_which_nothing_can_be_made_binds_the_key_too(service: RunningService) -> None:
    lamp = product(service)
    nothing = pb.BatchUpdateStockRequest(request_id="key-1", product_id=lamp)
    assert send(service, [nothing] * GROUP_SIZE + keyed(lamp, 1)).success_count == 1
    with pytest.raises(AppError, match="IDEMPOTENCY_KEY_REUSED"):
        send(service, keyed(lamp, GROUP_SIZE + 2))
    assert send(service, [nothing] * GROUP_SIZE + keyed(lamp, 1)).replayed
    assert stock(service, lamp) == 1


def test_a_cancelled_stream_that_told_its_count_can_be_sent_again(service: RunningService) -> None:
    lamp = product(service)
    count = GROUP_SIZE + 50
    changes = keyed(lamp, count, change_count=count)
    sent, over = threading.Event(), threading.Event()

    def broken_off() -> Iterator[pb.BatchUpdateStockRequest]:
        yield from changes[: GROUP_SIZE + 20]
        sent.set()
        over.wait(WAIT_SECONDS)

    with service.acting(SYSTEM):
        call = service.products.BatchUpdateStock.future(broken_off())
        assert sent.wait(WAIT_SECONDS)
        call.cancel()
        over.set()
    assert send(service, changes).success_count == count
    assert stock(service, lamp) == count
