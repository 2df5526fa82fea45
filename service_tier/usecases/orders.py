"""Orders: read, cancelled, and moved along to their end. How one is placed is in `placing`.

An order that is not the actor's own does not exist to it, unless it is an admin.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import order_pb2, order_repository_pb2
from service_tier.domain.orders import CANCELLABLE, OrderStatus, status_before
from service_tier.domain.permissions import is_admin, require_admin, require_signed_in
from service_tier.events import Events
from service_tier.repository import Repository
from service_tier.usecases.pages import empty_page
from service_tier.usecases.versions import require_version
from tier_runtime.call import Call
from tier_runtime.errors import AppError, Kind

_STATUSES: Mapping[OrderStatus, order_pb2.OrderStatus.ValueType] = MappingProxyType(
    {
        OrderStatus.PENDING: order_pb2.ORDER_STATUS_PENDING,
        OrderStatus.PAID: order_pb2.ORDER_STATUS_PAID,
        OrderStatus.SHIPPED: order_pb2.ORDER_STATUS_SHIPPED,
        OrderStatus.DELIVERED: order_pb2.ORDER_STATUS_DELIVERED,
        OrderStatus.CANCELLED: order_pb2.ORDER_STATUS_CANCELLED,
    }
)


class Orders:
    """Reads and changes orders."""

    def __init__(self, repository: Repository, events: Events) -> None:
        self._repository = repository
        self._events = events

    def get(self, call: Call, order_id: str) -> bytes:
        """Return one order, as the serialized answer of GetOrder.

        Raises:
            AppError: as the contract names them.
        """
        require_signed_in(call.actor)
        answer = self._repository.order_reads.get(order_id)
        if not is_admin(call.actor):
            order = order_repository_pb2.GetOrderResponse.FromString(answer).order
            _require_own(call, order)
        return answer

    def list(
        self,
        call: Call,
        order_filter: order_repository_pb2.OrderFilter,
        page: paging_pb2.PageRequest,
        sort: order_repository_pb2.OrderSortField.ValueType,
    ) -> bytes:
        """Return one page of the actor's orders, or of everybody's to an admin.

        It is the serialized answer of ListOrders.

        Raises:
            AppError: as the contract names them.
        """
        subject = require_signed_in(call.actor)
        request = order_repository_pb2.ListOrdersRequest(filter=order_filter, page=page, sort=sort)
        if not is_admin(call.actor):
            # Ids may be written in either letter case.
            if order_filter.user_id.lower() not in {"", subject}:
                nothing = order_repository_pb2.ListOrdersResponse(page=empty_page(page))
                return nothing.SerializeToString()
            request.filter.user_id = subject
        return self._repository.order_reads.list(request)

    def cancel(self, call: Call, order_id: str) -> order_pb2.Order:
        """Cancel an order that may still be; its units return to the stock.

        Raises:
            AppError: as the contract names them.
        """
        order = self._visible(call, order_id)
        return self._repository.orders.CancelOrder(
            order_repository_pb2.CancelOrderRequest(
                order_id=order.id,
                allowed_statuses=[_STATUSES[status] for status in CANCELLABLE],
                events=[
                    self._events.order_moved(
                        call, order_id=order.id, user_id=order.user_id, to=OrderStatus.CANCELLED
                    )
                ],
            )
        ).order

    def update_status(
        self, call: Call, order_id: str, expected_version: int, status: OrderStatus
    ) -> order_pb2.Order:
        """Move an order to the next status, for admins.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        order = self._visible(call, order_id)
        require_version(order, expected_version)
        before = status_before(status)
        if before is None:
            raise _invalid_state(order)
        return self._repository.orders.UpdateOrderStatus(
            order_repository_pb2.UpdateOrderStatusRequest(
                order_id=order.id,
                expected_version=expected_version,
                allowed_statuses=[_STATUSES[before]],
                status=_STATUSES[status],
                events=[
                    self._events.order_moved(
                        call, order_id=order.id, user_id=order.user_id, to=status
                    )
                ],
            )
        ).order

    def _visible(self, call: Call, order_id: str) -> order_pb2.Order:
        answer = self.get(call, order_id)
        return order_repository_pb2.GetOrderResponse.FromString(answer).order


def _require_own(call: Call, order: order_pb2.Order) -> None:
    if order.user_id != call.actor.subject:
        raise AppError(Kind.MISSING, "ORDER_NOT_FOUND", "There is no such order.")


def _invalid_state(order: order_pb2.Order) -> AppError:
    status = order_pb2.OrderStatus.Name(order.status).removeprefix("ORDER_STATUS_").lower()
    return AppError(Kind.CONFLICT, "INVALID_STATE", f"The order is {status}.", status=status)
