"""No question about products and orders makes a database read a table from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from launcher.demo.goods import make_product
from launcher.demo.people import make_user
from launcher.demo.sales import Sales
from launcher.tiers import price_list
from repository_tier.bulk_load import open_bulk_load
from repository_tier.tables import order_items, orders, product_search, products, stock_movements
from tests.stores import Store
from tests.tier.repository.plans import QUESTIONS, Statement, explained, shown, statements_of
from tests.tier.repository.running_tier import RunningTier

PAGE = Path(__file__).resolve().parents[3] / "docs" / "queries.md"
# With fewer rows reading all of them can be the best plan.
ROWS = 1_500
USERS = 40


@pytest.fixture
def shop(empty_store: Store, store_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Fill the store with a demo shop, and have the database look at what is in it."""
    for name, value in empty_store.environ().items():
        monkeypatch.setenv(name, value)
    with open_bulk_load() as bulk:
        bulk.users([make_user(number) for number in range(USERS)], "a hash")
        made = [make_product(number) for number in range(ROWS)]
        bulk.products([(each.product, each.movements) for each in made])
        sold = Sales(ROWS, USERS, price_list()).orders(ROWS)
        bulk.orders([(each.order, each.movements) for each in sold])
    if store_engine.dialect.name != "sqlite":
        with store_engine.begin() as connection:
            for table in (products, product_search, stock_movements, orders, order_items):
                connection.execute(text(f"ANALYZE TABLE {table.name}")).all()
    return empty_store


def test_no_question_is_answered_by_reading_a_whole_table(
    shop: Store, tier: RunningTier, store_engine: Engine
) -> None:
    found = statements_of(tier, list(QUESTIONS))

    assert all(found.values()), "a question that took no statement"
    scans = [
        f"{question}: {step.text}\n{statement.text}"
        for question, statements in found.items()
        for statement in statements
        for step in explained(store_engine, statement)
        if step.is_full_scan
    ]
    assert scans == []
    page = PAGE.read_text()
    missing = {shown(statement) for statements in found.values() for statement in statements} - set(
        page.splitlines()
    )
    assert missing == set(), "run `make docs-queries` and commit what it writes"


def test_a_whole_table_that_is_read_would_be_noticed(shop: Store, store_engine: Engine) -> None:
    statement = Statement("SELECT id FROM products WHERE low_stock_threshold > 3", ())

    assert any(step.is_full_scan for step in explained(store_engine, statement))
