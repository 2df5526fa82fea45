"""Orders, and what is asked about them; see `conversion.products` on how messages cross."""

from __future__ import annotations

from types import MappingProxyType

from arcana.repository.v1 import order_pb2 as kept_order_pb2
from arcana.repository.v1 import order_repository_pb2
from arcana.service.v1 import order_pb2, order_service_pb2
from service_tier.conversion.moments import moment_from_proto
from service_tier.domain.orders import OrderStatus, WantedLine
from tier_runtime.validation import invalid

_STATUSES = MappingProxyType(
    {
        order_pb2.ORDER_STATUS_PENDING: OrderStatus.PENDING,
        order_pb2.ORDER_STATUS_PAID: OrderStatus.PAID,
        order_pb2.ORDER_STATUS_SHIPPED: OrderStatus.SHIPPED,
        order_pb2.ORDER_STATUS_DELIVERED: OrderStatus.DELIVERED,
        order_pb2.ORDER_STATUS_CANCELLED: OrderStatus.CANCELLED,
    }
)
_SORT_FIELDS = MappingProxyType(
    {
        order_service_pb2.ORDER_SORT_FIELD_UNSPECIFIED: (
            order_repository_pb2.ORDER_SORT_FIELD_CREATED_TIME
        ),
        order_service_pb2.ORDER_SORT_FIELD_CREATED_TIME: (
            order_repository_pb2.ORDER_SORT_FIELD_CREATED_TIME
        ),
        order_service_pb2.ORDER_SORT_FIELD_UPDATED_TIME: (
            order_repository_pb2.ORDER_SORT_FIELD_UPDATED_TIME
        ),
    }
)


def order_to_proto(order: kept_order_pb2.Order) -> order_pb2.Order:
    """Return an order as this tier's contract has it."""
    return order_pb2.Order.FromString(order.SerializeToString())


def lines_from_proto(request: order_service_pb2.PlaceOrderRequest) -> list[WantedLine]:
    """Return the lines of an order to place."""
    return [WantedLine(line.product_id, line.quantity) for line in request.items]


def status_from_proto(status: order_pb2.OrderStatus.ValueType) -> OrderStatus:
    """Return a status as the rules know it.

    Raises:
        AppError: INVALID/VALIDATION_FAILED for a number that is no status.
    """
    if status not in _STATUSES:
        raise invalid({"status": ["Not a status."]})
    return _STATUSES[status]


def filter_from_proto(
    order_filter: order_service_pb2.OrderFilter,
) -> order_repository_pb2.OrderFilter:
    """Return a filter as the repository tier has it.

    Raises:
        AppError: INVALID/VALIDATION_FAILED, when its status is a number that is none, or a time
            is outside the years 1 to 9999.
    """
    if order_filter.status:
        status_from_proto(order_filter.status)
    moment_from_proto("created_after_time", order_filter.created_after_time)
    moment_from_proto("created_before_time", order_filter.created_before_time)
    return order_repository_pb2.OrderFilter.FromString(order_filter.SerializeToString())


def sort_from_proto(
    sort: order_service_pb2.OrderSortField.ValueType,
) -> order_repository_pb2.OrderSortField.ValueType:
    """Return a sort field as the repository tier has it.

    Raises:
        AppError: INVALID/VALIDATION_FAILED for a number that is no sort field.
    """
    if sort not in _SORT_FIELDS:
        raise invalid({"sort": ["Not a field to sort by."]})
    return _SORT_FIELDS[sort]
