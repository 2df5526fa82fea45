"""The table of the routes below /orders."""

from __future__ import annotations

from controller_tier.access_table import AccessTable
from controller_tier.operations import Answer, Operation, Resource
from controller_tier.resources.examples import ORDER, ORDER_PAGE, PRODUCT_ID
from controller_tier.resources.orders import OrderViews
from controller_tier.schemas import orders

_ORDER = Answer(200, "The order.", orders.Order, ORDER, ("ETag",))


def orders_resource(views: OrderViews, rpcs: AccessTable) -> Resource:
    """Return the rows below /orders."""
    return Resource(
        "orders",
        "Orders: one's own, and for admins those of everybody.",
        (*_collection_rows(views, rpcs), *_single_rows(views, rpcs)),
    )


def _collection_rows(views: OrderViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        Operation(
            "POST",
            "/orders",
            "placeOrder",
            views.place_order,
            "Order active products at the prices of this moment: all lines or none.",
            (
                Answer(
                    201,
                    "The order.",
                    orders.Order,
                    ORDER,
                    ("ETag", "Location", "Idempotent-Replay"),
                ),
            ),
            description="All products of an order have the same currency. The discount is 15 % "
            "for users with the role `premium`, else 10 % off each line of 10 units or more. "
            "INSUFFICIENT_STOCK names each line of a product that has too few units, with what is "
            "available; of very many lines, the first 30 or so.",
            body=orders.PlaceOrderBody,
            body_example={"items": [{"product_id": PRODUCT_ID, "quantity": 12}]},
            problems=("PRODUCT_NOT_FOUND", "INSUFFICIENT_STOCK"),
            idempotent=True,
            rpc=rpcs.of("OrderService/PlaceOrder"),
        ),
        Operation(
            "GET",
            "/orders",
            "listOrders",
            views.list_orders,
            "List one's own orders, or for admins those of everybody.",
            (Answer(200, "One page of orders.", orders.OrderPage, ORDER_PAGE),),
            query=orders.OrdersQuery,
            rpc=rpcs.of("OrderService/ListOrders"),
        ),
    )


def _single_rows(views: OrderViews, rpcs: AccessTable) -> tuple[Operation, ...]:
    return (
        Operation(
            "GET",
            "/orders/<id:id>",
            "getOrder",
            views.get_order,
            "Show an order.",
            (_ORDER,),
            problems=("ORDER_NOT_FOUND",),
            conditional_read=True,
            rpc=rpcs.of("OrderService/GetOrder"),
        ),
        Operation(
            "POST",
            "/orders/<id:id>/cancel",
            "cancelOrder",
            views.cancel_order,
            "Call an order off that is pending or paid.",
            (_ORDER,),
            description="Its units return to the stock, once.",
            problems=("ORDER_NOT_FOUND", "INVALID_STATE"),
            rpc=rpcs.of("OrderService/CancelOrder"),
        ),
        Operation(
            "PATCH",
            "/orders/<id:id>/status",
            "updateOrderStatus",
            views.update_status,
            "Move an order one step along pending, paid, shipped, delivered.",
            (_ORDER,),
            body=orders.OrderStatusBody,
            body_example={"status": "paid"},
            problems=("ORDER_NOT_FOUND", "INVALID_STATE"),
            conditional_write=True,
            rpc=rpcs.of("OrderService/UpdateOrderStatus"),
        ),
    )
