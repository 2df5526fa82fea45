"""OrderService over its use cases."""

from __future__ import annotations

import grpc

from arcana.service.v1 import order_service_pb2 as pb
from arcana.service.v1 import order_service_pb2_grpc
from service_tier.conversion.orders import (
    filter_from_proto,
    lines_from_proto,
    order_to_proto,
    sort_from_proto,
    status_from_proto,
)
from service_tier.conversion.paging import page_from_request
from service_tier.idempotency import IdempotencyKeys
from service_tier.usecases.orders import Orders
from service_tier.usecases.placing import OrderPlacing
from tier_runtime.context import rpc_context
from tier_runtime.validation import require
from tier_runtime.wire import serialized_as


class OrderServicer(order_service_pb2_grpc.OrderServiceServicer):
    """Orders."""

    def __init__(self, orders: Orders, placing: OrderPlacing, idempotency: IdempotencyKeys) -> None:
        self._orders = orders
        self._placing = placing
        self._idempotency = idempotency

    def PlaceOrder(
        self, request: pb.PlaceOrderRequest, context: grpc.ServicerContext
    ) -> pb.PlaceOrderResponse:
        """Place an order."""
        require(request, "items")
        call = rpc_context(context).call
        key = self._idempotency.key_for(call.actor, "PlaceOrder", request.request_id, request)
        placed = self._placing.place(call, lines_from_proto(request), key)
        return pb.PlaceOrderResponse(order=order_to_proto(placed.order), replayed=placed.replayed)

    def GetOrder(
        self, request: pb.GetOrderRequest, context: grpc.ServicerContext
    ) -> pb.GetOrderResponse:
        """Read one order."""
        require(request, "order_id")
        answer = self._orders.get(rpc_context(context).call, request.order_id)
        return serialized_as(pb.GetOrderResponse, answer)

    def ListOrders(
        self, request: pb.ListOrdersRequest, context: grpc.ServicerContext
    ) -> pb.ListOrdersResponse:
        """List orders page by page."""
        order_filter = filter_from_proto(request.filter)
        page, sort = page_from_request(request.page), sort_from_proto(request.sort)
        listed = self._orders.list(rpc_context(context).call, order_filter, page, sort)
        return serialized_as(pb.ListOrdersResponse, listed)

    def CancelOrder(
        self, request: pb.CancelOrderRequest, context: grpc.ServicerContext
    ) -> pb.CancelOrderResponse:
        """Cancel an order."""
        require(request, "order_id")
        order = self._orders.cancel(rpc_context(context).call, request.order_id)
        return pb.CancelOrderResponse(order=order_to_proto(order))

    def UpdateOrderStatus(
        self, request: pb.UpdateOrderStatusRequest, context: grpc.ServicerContext
    ) -> pb.UpdateOrderStatusResponse:
        """Move an order to the next status."""
        require(request, "order_id", "status")
        status = status_from_proto(request.status)
        order = self._orders.update_status(
            rpc_context(context).call, request.order_id, request.expected_version, status
        )
        return pb.UpdateOrderStatusResponse(order=order_to_proto(order))
