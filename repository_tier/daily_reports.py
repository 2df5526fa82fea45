"""Reports of days: counted from what is there, and kept."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from datetime import date as calendar_date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, update

from arcana.repository.v1 import report_pb2
from repository_tier.conversion import ACTIVE
from repository_tier.database import Database
from repository_tier.field_checks import FieldChecks
from repository_tier.order_rows import CANCELLED
from repository_tier.tables import (
    daily_reports,
    order_items,
    orders,
    products,
    sessions,
    users,
)
from repository_tier.upserts import insert_new
from tier_runtime.clock import Clock
from tier_runtime.days import day_from
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import timestamp_from

MOST_TOP_PRODUCTS = 10
MOST_LOW_STOCK_PRODUCTS = 100


def day_from_text(text: str) -> calendar_date:
    """Check a day.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    checks = FieldChecks()
    try:
        day = day_from(text)
    except ValueError:
        day = calendar_date.max
    # The last day of all has no end.
    if day == calendar_date.max:
        checks.fault("date", "Not a date such as 2026-11-30.")
    checks.done()
    return day


class DailyReports:
    """Makes and reads reports."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def make(self, day: calendar_date, deadline: Deadline) -> report_pb2.DailyReport:
        """Count what happened on a day, and keep it in the place of an earlier report."""
        report = self._database.read(deadline, lambda connection: _counted(connection, day))
        now = self._clock.now()
        report.created_time.CopyFrom(timestamp_from(now))
        row = {
            "date": report.date,
            "body": report.SerializeToString(deterministic=True),
            "created_time": now,
        }

        def work(connection: Connection) -> None:
            insert_new(connection, daily_reports, row, key="date")
            connection.execute(
                update(daily_reports).where(daily_reports.c.date == report.date).values(row)
            )

        self._database.write(deadline, work)
        return report

    def get(self, day: calendar_date, deadline: Deadline) -> report_pb2.DailyReport:
        """Return the report of a day.

        Raises:
            AppError: MISSING/NOT_FOUND.
        """
        wanted = select(daily_reports.c.body).where(daily_reports.c.date == day.isoformat())
        body = self._database.read(deadline, lambda connection: connection.scalar(wanted))
        if body is None:
            raise AppError(Kind.MISSING, "NOT_FOUND", "There is no report of that day.")
        return report_pb2.DailyReport.FromString(body)


def _counted(connection: Connection, day: calendar_date) -> report_pb2.DailyReport:
    begins = datetime.combine(day, time(), UTC)
    ends = begins + timedelta(days=1)
    placed = (orders.c.created_time >= begins, orders.c.created_time < ends)
    sold = (*placed, orders.c.status != CANCELLED)
    return report_pb2.DailyReport(
        date=day.isoformat(),
        registrations=_count(
            connection,
            select(users.c.id).where(users.c.created_time >= begins, users.c.created_time < ends),
        ),
        logins=_count(
            connection,
            select(sessions.c.id).where(
                sessions.c.created_time >= begins, sessions.c.created_time < ends
            ),
        ),
        orders=_count(connection, select(orders.c.id).where(*placed)),
        revenues=[
            report_pb2.CurrencyRevenue(
                currency_code=row.currency_code, revenue_minor=int(row.revenue), orders=row.number
            )
            for row in connection.execute(
                select(
                    orders.c.currency_code,
                    func.sum(orders.c.total_minor).label("revenue"),
                    func.count().label("number"),
                )
                .where(*sold)
                .group_by(orders.c.currency_code)
                .order_by(orders.c.currency_code)
            )
        ],
        top_products=[
            report_pb2.TopProduct(
                product_id=row.product_id, name=row.name, quantity=int(row.quantity)
            )
            for row in connection.execute(_best_sold(*sold))
        ],
        low_stock_products=[
            report_pb2.LowStockProduct(
                product_id=row.id,
                name=row.name,
                stock=row.stock,
                low_stock_threshold=row.low_stock_threshold,
            )
            for row in connection.execute(
                select(products)
                .where(
                    products.c.status == ACTIVE,
                    products.c.stock <= products.c.low_stock_threshold,
                )
                .order_by(products.c.stock, products.c.id)
                .limit(MOST_LOW_STOCK_PRODUCTS)
            )
        ],
    )


def _best_sold(*sold: ColumnElement[bool]) -> Select[Any]:
    counted = (
        select(order_items.c.product_id, func.sum(order_items.c.quantity).label("quantity"))
        .join(orders, orders.c.id == order_items.c.order_id)
        .where(*sold)
        .group_by(order_items.c.product_id)
        .order_by(func.sum(order_items.c.quantity).desc(), order_items.c.product_id)
        .limit(MOST_TOP_PRODUCTS)
        .subquery()
    )
    # The name of now, by which the product is found.
    return (
        select(counted.c.product_id, products.c.name, counted.c.quantity)
        .join(products, products.c.id == counted.c.product_id)
        .order_by(counted.c.quantity.desc(), counted.c.product_id)
    )


def _count(connection: Connection, ids: Select[Any]) -> int:
    counted = connection.scalar(select(func.count()).select_from(ids.subquery()))
    # For a type checker: COUNT without GROUP BY always has one row.
    return counted or 0
