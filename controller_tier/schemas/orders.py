"""Orders as JSON."""

from __future__ import annotations

from marshmallow import fields, validate

from controller_tier.fields import Choice, Identity, QueryTime
from controller_tier.schemas.body import Body, Document
from controller_tier.schemas.money import Amount
from controller_tier.schemas.paging import Page, SortedPageQuery

STATUSES = ("pending", "paid", "shipped", "delivered", "cancelled")
PRICINGS = ("regular", "bulk", "premium")
SORTS = ("created_at", "updated_at")
MAX_LINES = 100
MAX_QUANTITY = 1000


class OrderItem(Document):
    """One line of an order: a product as it was when it was sold."""

    product_id = fields.UUID(required=True)
    name = fields.String(required=True)
    quantity = fields.Integer(required=True)
    unit_price = Amount()
    discount = Amount("What is taken off this line.")
    line_total = Amount("Quantity times unit price, less the discount.")


class Order(Document):
    """An order. Its total is its subtotal less its discount."""

    id = fields.UUID(required=True, metadata={"description": "UUIDv7."})
    user_id = fields.UUID(required=True)
    status = fields.String(required=True, metadata={"enum": list(STATUSES)})
    items = fields.List(fields.Nested(OrderItem), required=True)
    subtotal = Amount()
    discount = Amount()
    total = Amount()
    currency = fields.String(required=True, metadata={"description": "ISO 4217 code."})
    pricing = fields.String(
        required=True,
        metadata={"enum": list(PRICINGS), "description": "Which rule gave the discount."},
    )
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class OrderPage(Page):
    """One page of orders."""

    data = fields.List(fields.Nested(Order), required=True)


class OrdersQuery(SortedPageQuery):
    """Which orders are wanted; all given conditions must hold."""

    sort = Choice(*SORTS, load_default="created_at", metadata={"description": "Sort field."})
    status = Choice(*STATUSES)
    user_id = Identity(
        metadata={
            "description": "Only orders of this user. All but admins find nothing by any other "
            "than their own id."
        }
    )
    created_after = QueryTime(
        metadata={"description": "Only orders placed at or after this time (RFC 3339)."}
    )
    created_before = QueryTime(
        metadata={"description": "Only orders placed before this time (RFC 3339)."}
    )


class OrderLineBody(Body):
    """How many units of which product."""

    product_id = Identity(required=True)
    quantity = fields.Integer(
        strict=True, required=True, validate=validate.Range(min=1, max=MAX_QUANTITY)
    )


class PlaceOrderBody(Body):
    """What is ordered. What it costs is not the client's to say."""

    items = fields.List(
        fields.Nested(OrderLineBody),
        required=True,
        validate=validate.Length(min=1, max=MAX_LINES),
        metadata={"description": "Several lines may name the same product."},
    )


class OrderStatusBody(Body):
    """The next status."""

    status = Choice(
        *STATUSES,
        required=True,
        metadata={
            "description": "The next one of `pending`, `paid`, `shipped`, `delivered`; nothing "
            "else is allowed."
        },
    )
