"""Orders: the rows below /orders."""

from __future__ import annotations

from flask import Response

from arcana.service.v1 import order_service_pb2 as pb
from controller_tier.conditional import expected_version
from controller_tier.conversion.orders import (
    STATUSES,
    list_orders_request,
    order_document,
    place_order_request,
)
from controller_tier.conversion.paging import page_document
from controller_tier.documents import (
    conditional_answer,
    created_answer,
    json_answer,
    versioned_answer,
)
from controller_tier.idempotency import idempotency_key
from controller_tier.operations import Fields
from controller_tier.stubs import OrderStub


class OrderViews:
    """The views of orders."""

    def __init__(self, orders: OrderStub, *, require_if_match: bool) -> None:
        self._orders = orders
        self._require_if_match = require_if_match

    def place_order(self, body: Fields) -> Response:
        """Order something."""
        made = self._orders.PlaceOrder(place_order_request(body, idempotency_key()))
        return created_answer(
            order_document(made.order),
            made.order.version,
            f"/api/v1/orders/{made.order.id}",
            replayed=made.replayed,
        )

    def list_orders(self, query: Fields) -> Response:
        """Show one page of orders."""
        found = self._orders.ListOrders(list_orders_request(query))
        items = [order_document(order) for order in found.orders]
        return json_answer(page_document(items, found.page, query))

    def get_order(self, order_id: str) -> Response:
        """Show an order."""
        found = self._orders.GetOrder(pb.GetOrderRequest(order_id=order_id))
        return conditional_answer(order_document(found.order), found.order.version)

    def cancel_order(self, order_id: str) -> Response:
        """Call an order off."""
        changed = self._orders.CancelOrder(pb.CancelOrderRequest(order_id=order_id))
        return versioned_answer(order_document(changed.order), changed.order.version)

    def update_status(self, order_id: str, body: Fields) -> Response:
        """Move an order one step on."""
        read = pb.GetOrderRequest(order_id=order_id)
        version = expected_version(
            lambda: self._orders.GetOrder(read).order.version, required=self._require_if_match
        )
        changed = self._orders.UpdateOrderStatus(
            pb.UpdateOrderStatusRequest(
                order_id=order_id, expected_version=version or 0, status=STATUSES[body["status"]]
            )
        )
        return versioned_answer(order_document(changed.order), changed.order.version)
