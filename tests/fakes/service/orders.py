"""OrderService in memory. It gives no discount: what one gets is not the edge's business."""

from __future__ import annotations

from arcana.service.v1 import order_service_pb2 as pb
from arcana.service.v1.order_pb2 import (
    ORDER_STATUS_CANCELLED,
    ORDER_STATUS_DELIVERED,
    ORDER_STATUS_PAID,
    ORDER_STATUS_PENDING,
    ORDER_STATUS_SHIPPED,
    PRICING_REGULAR,
    Order,
    OrderItem,
)
from arcana.service.v1.product_pb2 import PRODUCT_STATUS_ACTIVE
from tests.fakes.service.memory import FakeServiceTier, require_admin, require_signed_in
from tests.fakes.service.pages import page_of
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import timestamp_from

_NEXT = {
    ORDER_STATUS_PENDING: ORDER_STATUS_PAID,
    ORDER_STATUS_PAID: ORDER_STATUS_SHIPPED,
    ORDER_STATUS_SHIPPED: ORDER_STATUS_DELIVERED,
}


class FakeOrders:
    def __init__(self, tier: FakeServiceTier) -> None:
        self._tier = tier

    def PlaceOrder(self, request: pb.PlaceOrderRequest) -> pb.PlaceOrderResponse:
        user_id = require_signed_in(self._tier.enter("PlaceOrder", request))
        answer: pb.PlaceOrderResponse = self._tier.once(
            "PlaceOrder", request, lambda: self._placed(user_id, request)
        )
        return answer

    def _placed(self, user_id: str, request: pb.PlaceOrderRequest) -> pb.PlaceOrderResponse:
        with self._tier.lock:
            products = [self._tier.product(line.product_id) for line in request.items]
            if any(product.status != PRODUCT_STATUS_ACTIVE for product in products):
                raise AppError(Kind.MISSING, "PRODUCT_NOT_FOUND", "There is no such product.")
            self._require_stock(request)
            now = timestamp_from(self._tier.clock.now())
            order = Order(
                id=self._tier.new_id(),
                user_id=user_id,
                status=ORDER_STATUS_PENDING,
                currency_code=products[0].currency_code,
                pricing=PRICING_REGULAR,
                version=1,
                created_time=now,
                updated_time=now,
            )
            for line, product in zip(request.items, products, strict=True):
                self._tier.move(product, -line.quantity, "order_placed", order.id)
                order.items.append(
                    OrderItem(
                        product_id=product.id,
                        name=product.name,
                        quantity=line.quantity,
                        unit_price_minor=product.price_minor,
                        line_total_minor=line.quantity * product.price_minor,
                    )
                )
            order.subtotal_minor = sum(item.line_total_minor for item in order.items)
            order.total_minor = order.subtotal_minor
            self._tier.orders[order.id] = order
        return pb.PlaceOrderResponse(order=order)

    def _require_stock(self, request: pb.PlaceOrderRequest) -> None:
        asked: dict[str, int] = {}
        for line in request.items:
            asked[line.product_id] = asked.get(line.product_id, 0) + line.quantity
        stock = {product_id: self._tier.product(product_id).stock for product_id in asked}
        faults = {
            f"items.{number}.quantity": [
                f"Product {each}: {stock[each]} available, {asked[each]} asked for."
            ]
            for number, each in enumerate(line.product_id for line in request.items)
            if asked[each] > stock[each]
        }
        if faults:
            raise AppError(
                Kind.CONFLICT, "INSUFFICIENT_STOCK", "There are too few units.", field_errors=faults
            )

    def GetOrder(self, request: pb.GetOrderRequest) -> pb.GetOrderResponse:
        actor = self._tier.enter("GetOrder", request)
        return pb.GetOrderResponse(order=self._visible(actor, request.order_id))

    def ListOrders(self, request: pb.ListOrdersRequest) -> pb.ListOrdersResponse:
        actor = self._tier.enter("ListOrders", request)
        own, wanted = require_signed_in(actor), request.filter
        found = [
            order
            for order in self._tier.orders.values()
            if ("admin" in actor.roles or order.user_id == own)
            and wanted.status in {0, order.status}
            and wanted.user_id in {"", order.user_id}
        ]
        found.sort(key=lambda order: order.id, reverse=request.page.descending)
        items, result = page_of(found, request.page)
        return pb.ListOrdersResponse(orders=items, page=result)

    def CancelOrder(self, request: pb.CancelOrderRequest) -> pb.CancelOrderResponse:
        actor = self._tier.enter("CancelOrder", request)
        order = self._visible(actor, request.order_id)
        if order.status not in {ORDER_STATUS_PENDING, ORDER_STATUS_PAID}:
            raise AppError(Kind.CONFLICT, "INVALID_STATE", "It is too late to cancel the order.")
        for item in order.items:
            product = self._tier.product(item.product_id)
            self._tier.move(product, item.quantity, "order_cancelled", order.id)
        order.status = ORDER_STATUS_CANCELLED
        self._tier.touch(order)
        return pb.CancelOrderResponse(order=order)

    def UpdateOrderStatus(
        self, request: pb.UpdateOrderStatusRequest
    ) -> pb.UpdateOrderStatusResponse:
        actor = self._tier.enter("UpdateOrderStatus", request)
        require_admin(actor)
        order = self._visible(actor, request.order_id)
        if request.expected_version not in {0, order.version}:
            raise AppError(Kind.STALE, "PRECONDITION_FAILED", "The order has changed since.")
        if _NEXT.get(order.status) != request.status:
            raise AppError(Kind.CONFLICT, "INVALID_STATE", "This is not the next status.")
        order.status = request.status
        self._tier.touch(order)
        return pb.UpdateOrderStatusResponse(order=order)

    def _visible(self, actor: Actor, order_id: str) -> Order:
        own = require_signed_in(actor)
        order = self._tier.orders.get(order_id)
        if order is None or ("admin" not in actor.roles and order.user_id != own):
            raise AppError(Kind.MISSING, "ORDER_NOT_FOUND", "There is no such order.")
        return order
