"""OrderRepository: orders, placed against the stock."""

from __future__ import annotations

from grpc import ServicerContext

from arcana.repository.v1 import order_repository_pb2 as messages
from arcana.repository.v1.order_repository_pb2_grpc import OrderRepositoryServicer
from repository_tier.order_lists import OrderLists, filter_from_proto, order_from_proto
from repository_tier.orders import Orders
from repository_tier.outbox import events_from_proto
from repository_tier.paging import page_from_proto
from repository_tier.servicers import order_requests as requests
from repository_tier.servicers.once_keys import once_key_of
from repository_tier.servicers.user_requests import known_id
from repository_tier.stock_events import cause_of
from tier_runtime.context import rpc_context
from tier_runtime.validation import require


class OrderServicer(OrderRepositoryServicer):
    """Each method checks presence, converts in, makes one call, and converts out."""

    def __init__(self, lists: OrderLists, orders: Orders) -> None:
        self._lists = lists
        self._orders = orders

    def PlaceOrder(
        self, request: messages.PlaceOrderRequest, context: ServicerContext
    ) -> messages.PlaceOrderResponse:
        require(request, "order_id", "user_id", "items", "currency_code", "pricing")
        key = once_key_of(request)
        order = requests.new_order_from_proto(request)
        events = events_from_proto(request.events)
        call = rpc_context(context).call
        return self._orders.place(order, key, cause_of(call), events, call.deadline)

    def GetOrder(
        self, request: messages.GetOrderRequest, context: ServicerContext
    ) -> messages.GetOrderResponse:
        require(request, "order_id")
        order_id = known_id("order_id", request.order_id)
        order = self._lists.get(order_id, rpc_context(context).deadline)
        return messages.GetOrderResponse(order=order)

    def ListOrders(
        self, request: messages.ListOrdersRequest, context: ServicerContext
    ) -> messages.ListOrdersResponse:
        wanted = filter_from_proto(request.filter)
        order = order_from_proto(request.sort, descending=request.page.descending)
        page = page_from_proto(request.page)
        found, place = self._lists.list(wanted, order, page, rpc_context(context).deadline)
        return messages.ListOrdersResponse(orders=found, page=place)

    def CancelOrder(
        self, request: messages.CancelOrderRequest, context: ServicerContext
    ) -> messages.CancelOrderResponse:
        require(request, "order_id", "allowed_statuses")
        order_id, allowed = requests.cancellation_from_proto(request)
        events = events_from_proto(request.events)
        call = rpc_context(context).call
        order = self._orders.cancel(order_id, allowed, cause_of(call), events, call.deadline)
        return messages.CancelOrderResponse(order=order)

    def UpdateOrderStatus(
        self, request: messages.UpdateOrderStatusRequest, context: ServicerContext
    ) -> messages.UpdateOrderStatusResponse:
        require(request, "order_id", "allowed_statuses", "status")
        change = requests.status_change_from_proto(request)
        events = events_from_proto(request.events)
        order = self._orders.update_status(change, events, rpc_context(context).deadline)
        return messages.UpdateOrderStatusResponse(order=order)
