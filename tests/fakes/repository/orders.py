"""The order repository, but for the events of low stock, which only the real one appends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import grpc

from arcana.repository.v1 import order_pb2, order_repository_pb2_grpc, product_pb2
from arcana.repository.v1 import order_repository_pb2 as pb
from tests.fakes.repository.listing import SortKey, digest_of, page_of, time_key
from tests.fakes.repository.state import State, known_id, product_not_found, stale
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import datetime_from
from tier_runtime.validation import invalid

_KEYS: dict[int, Callable[[order_pb2.Order], SortKey]] = {
    pb.ORDER_SORT_FIELD_UNSPECIFIED: lambda order: time_key(order.created_time),
    pb.ORDER_SORT_FIELD_CREATED_TIME: lambda order: time_key(order.created_time),
    pb.ORDER_SORT_FIELD_UPDATED_TIME: lambda order: time_key(order.updated_time),
}


class FakeOrders(order_repository_pb2_grpc.OrderRepositoryServicer):
    def __init__(self, state: State) -> None:
        self._state = state

    def PlaceOrder(
        self, request: pb.PlaceOrderRequest, context: grpc.ServicerContext
    ) -> pb.PlaceOrderResponse:
        known_id("user_id", request.user_id)
        items = request.items
        if request.total_minor != sum(
            one.quantity * one.unit_price_minor - one.discount_minor for one in items
        ):
            raise invalid({"total_minor": ["Not the sum of the lines."]})
        with self._state.lock:
            return self._state.once(request, lambda: self._placed(request))

    def GetOrder(
        self, request: pb.GetOrderRequest, context: grpc.ServicerContext
    ) -> pb.GetOrderResponse:
        with self._state.lock:
            return pb.GetOrderResponse(order=self._order(request.order_id))

    def ListOrders(
        self, request: pb.ListOrdersRequest, context: grpc.ServicerContext
    ) -> pb.ListOrdersResponse:
        if request.sort not in _KEYS:
            raise invalid({"sort": ["Unknown."]})
        with self._state.lock:
            found, place = page_of(
                (one for one in self._state.orders.values() if _passes(one, request.filter)),
                lambda order: (*_KEYS[request.sort](order), order.id),
                request.page,
                digest_of(request.filter, request.sort, request.page),
            )
            return pb.ListOrdersResponse(orders=found, page=place)

    def CancelOrder(
        self, request: pb.CancelOrderRequest, context: grpc.ServicerContext
    ) -> pb.CancelOrderResponse:
        with self._state.lock:
            order = self._order(request.order_id)
            if order.status not in request.allowed_statuses:
                raise _invalid_state(order)
            for product_id, quantity in _units(order.items).items():
                product = self._state.products[product_id]
                self._state.move_stock(product, quantity, "order_cancelled", order.id)
            self._move(order, order_pb2.ORDER_STATUS_CANCELLED)
            self._state.events.extend(request.events)
            return pb.CancelOrderResponse(order=order)

    def UpdateOrderStatus(
        self, request: pb.UpdateOrderStatusRequest, context: grpc.ServicerContext
    ) -> pb.UpdateOrderStatusResponse:
        with self._state.lock:
            order = self._order(request.order_id)
            if request.expected_version and order.version != request.expected_version:
                raise stale()
            if order.status not in request.allowed_statuses:
                raise _invalid_state(order)
            self._move(order, request.status)
            self._state.events.extend(request.events)
            return pb.UpdateOrderStatusResponse(order=order)

    def _placed(self, request: pb.PlaceOrderRequest) -> pb.PlaceOrderResponse:
        if request.order_id in self._state.orders:
            raise AppError(Kind.EXISTS, "ALREADY_EXISTS", "Taken.")
        products = [self._sold(line, request.currency_code) for line in request.items]
        self._require_enough(request)
        for product_id, quantity in _units(request.items).items():
            product = self._state.product(product_id)
            self._state.move_stock(product, -quantity, "order_placed", request.order_id)
        order = self._kept(request, products)
        self._state.events.extend(request.events)
        return pb.PlaceOrderResponse(order=order)

    def _sold(self, line: pb.PricedLine, currency_code: str) -> product_pb2.Product:
        product = self._state.product(line.product_id)
        if product.status != product_pb2.PRODUCT_STATUS_ACTIVE:
            raise product_not_found(line.product_id)
        if (product.price_minor, product.currency_code) != (line.unit_price_minor, currency_code):
            raise AppError(
                Kind.STALE, "PRECONDITION_FAILED", "Another price.", product_id=product.id
            )
        return product

    def _require_enough(self, request: pb.PlaceOrderRequest) -> None:
        wanted = _units(request.items)
        lacking = {
            product_id: self._state.product(product_id).stock
            for product_id, quantity in wanted.items()
            if self._state.product(product_id).stock < quantity
        }
        if not lacking:
            return
        told = {
            product_id: f"Product {product_id}: {stock} available, {wanted[product_id]} asked for."
            for product_id, stock in lacking.items()
        }
        first = next(iter(lacking))
        raise AppError(
            Kind.CONFLICT,
            "INSUFFICIENT_STOCK",
            told[first],
            field_errors={
                f"items.{number}.quantity": [told[line.product_id]]
                for number, line in enumerate(request.items)
                if line.product_id in told
            },
            product_id=first,
            available=lacking[first],
        )

    def _kept(
        self, request: pb.PlaceOrderRequest, products: list[product_pb2.Product]
    ) -> order_pb2.Order:
        items = [
            order_pb2.OrderItem(
                product_id=product.id,
                name=product.name,
                quantity=line.quantity,
                unit_price_minor=line.unit_price_minor,
                discount_minor=line.discount_minor,
                line_total_minor=line.quantity * line.unit_price_minor - line.discount_minor,
            )
            for line, product in zip(request.items, products, strict=True)
        ]
        now = self._state.now()
        order = order_pb2.Order(
            id=request.order_id,
            user_id=request.user_id,
            status=order_pb2.ORDER_STATUS_PENDING,
            items=items,
            subtotal_minor=sum(item.quantity * item.unit_price_minor for item in items),
            discount_minor=sum(item.discount_minor for item in items),
            total_minor=request.total_minor,
            currency_code=request.currency_code,
            pricing=request.pricing,
            version=1,
            created_time=now,
            updated_time=now,
        )
        self._state.orders[order.id] = order
        return order

    def _order(self, order_id: str) -> order_pb2.Order:
        order = self._state.orders.get(known_id("order_id", order_id))
        if order is None:
            raise AppError(Kind.MISSING, "ORDER_NOT_FOUND", "No such order.")
        return order

    def _move(self, order: order_pb2.Order, status: order_pb2.OrderStatus.ValueType) -> None:
        order.status = status
        order.version += 1
        order.updated_time.CopyFrom(self._state.now())


def _units(lines: Iterable[pb.PricedLine] | Iterable[order_pb2.OrderItem]) -> Counter[str]:
    units: Counter[str] = Counter()
    for line in lines:
        units[line.product_id] += line.quantity
    return units


def _invalid_state(order: order_pb2.Order) -> AppError:
    status = order_pb2.OrderStatus.Name(order.status).removeprefix("ORDER_STATUS_").lower()
    return AppError(Kind.CONFLICT, "INVALID_STATE", f"It is {status}.", status=status)


def _passes(order: order_pb2.Order, wanted: pb.OrderFilter) -> bool:
    created = datetime_from(order.created_time)
    after, before = (
        datetime_from(wanted.created_after_time),
        datetime_from(wanted.created_before_time),
    )
    assert created is not None
    return (
        (not wanted.status or order.status == wanted.status)
        and (not wanted.user_id or order.user_id == wanted.user_id.lower())
        and (after is None or created >= after)
        and (before is None or created < before)
    )
