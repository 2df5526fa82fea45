"""Write docs/queries.md: every query of products and orders, and how each database goes about it.

Run by ``make docs-queries``. It fills an empty MariaDB or MySQL and an empty SQLite file with a
shop of 100,000 products and orders, which takes some minutes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool

from benchmarks.processes import environment
from benchmarks.stores import BenchmarkStore, real_stores
from repository_tier.tables import metadata
from tests.stores import Store
from tests.tier.repository.plans import QUESTIONS, Statement, Step, explained, shown, statements_of
from tests.tier.repository.running_tier import running_tier
from tier_runtime.clock import SystemClock
from tier_runtime.logs import configure_logging

HERE = Path(__file__).resolve().parent
PAGE = HERE / "queries.md"
ROWS = 100_000
USERS = 1_000
HEAD = """<!-- Made by `make docs-queries` from the statements that are sent. Do not edit. -->
# Queries

What the repository tier asks its database about products, stock and orders, and how the database
goes about it with {rows:,} products, as many orders and {users:,} users. The tier was asked by its
contract, and its statements were overheard; long lists of columns are left out here. A test asks
the same questions on every kind of database, and fails where a plan reads a whole table or a
statement is not on this page.

Plans are those of {databases}.

What to look for: `ALL` (MariaDB, MySQL) and `SCAN` without an index (SQLite) read a table from end
to end. `index` reads an index in its order and stops at the page's end; `Using filesort` and
`USE TEMP B-TREE` sort what was found before. A search does, by how well each product matches.
"""

# What is found by one statement on one database.
Plans = Mapping[str, Sequence[tuple[Statement, Sequence[Step]]]]


def plans_of(store: BenchmarkStore, rows: int, users: int, folder: Path) -> Plans:
    """Fill an empty store with a shop, ask for everything, and explain what that took."""
    told = environment({"ARCANA_HOME": str(folder), **store.environ()})
    amounts = ("--products", str(rows), "--users", str(users), "--orders", str(rows))
    for words in (("migrate",), ("seed", *amounts)):
        command = [sys.executable, "-m", "launcher.cli", *words]
        subprocess.run(command, env=told, cwd=folder, check=True)
    with _engine(store) as engine:
        if engine.dialect.name != "sqlite":
            with engine.begin() as connection:
                for table in metadata.sorted_tables:
                    connection.execute(text(f"ANALYZE TABLE {table.name}")).all()
        tier_store = Store(store.kind, store.database_url, store.redis_url)
        with running_tier(tier_store, engine, SystemClock()) as tier:
            found = statements_of(tier, list(QUESTIONS))
        return {
            question: [(statement, explained(engine, statement)) for statement in statements]
            for question, statements in found.items()
        }


def page(plans: Mapping[str, Plans], rows: int, users: int) -> str:
    """Return the page: each question, its statements, and each database's plan of them."""
    names = list(plans)
    lines = [HEAD.format(rows=rows, users=users, databases=" and ".join(names))]
    for question in QUESTIONS:
        lines += [f"## {question}", ""]
        for name in names:
            lines += [f"{name}:", "", "```"]
            for statement, steps in plans[name][question]:
                lines.append(shown(statement))
                lines += [f"    {step.text}" for step in steps]
            lines += ["```", ""]
    return "\n".join(lines)


@contextmanager
def _engine(store: BenchmarkStore) -> Iterator[Engine]:
    engine = create_engine(store.database_url, poolclass=NullPool)
    yield engine
    engine.dispose()


def _name(store: BenchmarkStore) -> str:
    with _engine(store) as engine, engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            return f"SQLite {connection.scalar(text('SELECT sqlite_version()'))}"
        version = str(connection.scalar(text("SELECT version()")))
    return f"MariaDB {version.partition('-')[0]}" if "Maria" in version else f"MySQL {version}"


def main() -> int:
    """Write the page; fail when a plan reads a whole table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="products, and orders")
    parser.add_argument("--to", type=Path, default=PAGE, help="where the page goes")
    options = parser.parse_args()
    configure_logging("docs", "warning", json=False)
    users = min(USERS, options.rows)
    with tempfile.TemporaryDirectory() as temporary, real_stores(1) as ((real,), _, _):
        folder = Path(temporary)
        stores = [real, BenchmarkStore("embedded", f"sqlite:///{folder / 'arcana.db'}", "")]
        plans = {_name(each): plans_of(each, options.rows, users, folder) for each in stores}
    options.to.write_text(page(plans, options.rows, users))
    print(f"written: {options.to}")
    scans = {
        f"{name}: {question}: {step.text}"
        for name, found in plans.items()
        for question, explanations in found.items()
        for _, steps in explanations
        for step in steps
        if step.is_full_scan
    }
    for scan in sorted(scans):
        print(f"reads a whole table: {scan}")
    return 1 if scans else 0


if __name__ == "__main__":
    sys.exit(main())
