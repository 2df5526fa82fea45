"""Reports as JSON."""

from __future__ import annotations

from marshmallow import fields

from controller_tier.schemas.body import Document
from controller_tier.schemas.money import Amount


class CurrencyRevenue(Document):
    """What was sold in one currency."""

    currency = fields.String(required=True, metadata={"description": "ISO 4217 code."})
    revenue = Amount()
    orders = fields.Integer(required=True, metadata={"description": "How many orders that was."})


class TopProduct(Document):
    """A product that sold well."""

    product_id = fields.UUID(required=True)
    name = fields.String(required=True)
    quantity = fields.Integer(required=True, metadata={"description": "Units sold."})


class LowStockProduct(Document):
    """An active product of which little was left."""

    product_id = fields.UUID(required=True)
    name = fields.String(required=True)
    stock = fields.Integer(required=True)
    low_stock_threshold = fields.Integer(required=True)


class DailyReport(Document):
    """What happened on a day, as far as it was known when the report was made."""

    date = fields.Date(required=True)
    registrations = fields.Integer(required=True)
    logins = fields.Integer(required=True)
    orders = fields.Integer(
        required=True, metadata={"description": "Those cancelled since included."}
    )
    revenues = fields.List(
        fields.Nested(CurrencyRevenue),
        required=True,
        metadata={"description": "Without what was cancelled since."},
    )
    top_products = fields.List(
        fields.Nested(TopProduct), required=True, metadata={"description": "The best 10."}
    )
    low_stock_products = fields.List(
        fields.Nested(LowStockProduct),
        required=True,
        metadata={"description": "When the report was made: the 100 with the fewest left."},
    )
    created_at = fields.DateTime(required=True)
