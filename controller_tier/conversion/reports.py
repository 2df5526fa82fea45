"""Reports to documents."""

from __future__ import annotations

from typing import Any

from arcana.service.v1.report_pb2 import DailyReport
from controller_tier.conversion.money import amount_text
from controller_tier.conversion.times import rfc3339


def report_document(report: DailyReport) -> dict[str, Any]:
    """Return a day's report as consumers see it."""
    return {
        "date": report.date,
        "registrations": report.registrations,
        "logins": report.logins,
        "orders": report.orders,
        "revenues": [
            {
                "currency": revenue.currency_code,
                "revenue": amount_text(revenue.revenue_minor),
                "orders": revenue.orders,
            }
            for revenue in report.revenues
        ],
        "top_products": [
            {"product_id": top.product_id, "name": top.name, "quantity": top.quantity}
            for top in report.top_products
        ],
        "low_stock_products": [
            {
                "product_id": low.product_id,
                "name": low.name,
                "stock": low.stock,
                "low_stock_threshold": low.low_stock_threshold,
            }
            for low in report.low_stock_products
        ],
        "created_at": rfc3339(report.created_time),
    }
