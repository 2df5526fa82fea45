"""Orders to documents, and loaded fields to requests about them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from arcana.service.v1 import order_service_pb2 as pb
from arcana.service.v1.order_pb2 import (
    ORDER_STATUS_CANCELLED,
    ORDER_STATUS_DELIVERED,
    ORDER_STATUS_PAID,
    ORDER_STATUS_PENDING,
    ORDER_STATUS_SHIPPED,
    ORDER_STATUS_UNSPECIFIED,
    PRICING_BULK,
    PRICING_PREMIUM,
    PRICING_REGULAR,
    Order,
    OrderItem,
    OrderStatus,
)
from controller_tier.conversion.money import amount_text
from controller_tier.conversion.paging import page_request
from controller_tier.conversion.times import rfc3339
from controller_tier.operations import Fields
from tier_runtime.timestamps import timestamp_from

STATUSES: Mapping[str, OrderStatus.ValueType] = MappingProxyType(
    {
        "pending": ORDER_STATUS_PENDING,
        "paid": ORDER_STATUS_PAID,
        "shipped": ORDER_STATUS_SHIPPED,
        "delivered": ORDER_STATUS_DELIVERED,
        "cancelled": ORDER_STATUS_CANCELLED,
    }
)
SORT_FIELDS: Mapping[str, pb.OrderSortField.ValueType] = MappingProxyType(
    {
        "created_at": pb.ORDER_SORT_FIELD_CREATED_TIME,
        "updated_at": pb.ORDER_SORT_FIELD_UPDATED_TIME,
    }
)
_STATUS_NAMES = {number: name for name, number in STATUSES.items()}
_PRICING_NAMES = {PRICING_REGULAR: "regular", PRICING_BULK: "bulk", PRICING_PREMIUM: "premium"}


def order_document(order: Order) -> dict[str, Any]:
    """Return an order as consumers see it."""
    return {
        "id": order.id,
        "user_id": order.user_id,
        "status": _STATUS_NAMES[order.status],
        "items": [_item_document(item) for item in order.items],
        "subtotal": amount_text(order.subtotal_minor),
        "discount": amount_text(order.discount_minor),
        "total": amount_text(order.total_minor),
        "currency": order.currency_code,
        "pricing": _PRICING_NAMES[order.pricing],
        "created_at": rfc3339(order.created_time),
        "updated_at": rfc3339(order.updated_time),
    }


def _item_document(item: OrderItem) -> dict[str, Any]:
    return {
        "product_id": item.product_id,
        "name": item.name,
        "quantity": item.quantity,
        "unit_price": amount_text(item.unit_price_minor),
        "discount": amount_text(item.discount_minor),
        "line_total": amount_text(item.line_total_minor),
    }


def list_orders_request(query: Fields) -> pb.ListOrdersRequest:
    """Return the request for one page of orders."""
    after, before = query.get("created_after"), query.get("created_before")
    status = query.get("status")
    return pb.ListOrdersRequest(
        filter=pb.OrderFilter(
            status=STATUSES[status] if status else ORDER_STATUS_UNSPECIFIED,
            user_id=query.get("user_id", ""),
            created_after_time=timestamp_from(after) if after else None,
            created_before_time=timestamp_from(before) if before else None,
        ),
        page=page_request(query),
        sort=SORT_FIELDS[query["sort"]],
    )


def place_order_request(body: Fields, idempotency_key: str) -> pb.PlaceOrderRequest:
    """Return the request for a new order."""
    return pb.PlaceOrderRequest(
        request_id=idempotency_key,
        items=[
            pb.OrderLine(product_id=line["product_id"], quantity=line["quantity"])
            for line in body["items"]
        ],
    )
