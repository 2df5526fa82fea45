from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from arcana.repository.v1 import order_pb2, product_pb2, user_pb2
from launcher.console import Console
from launcher.demo.draws import MAX_NUMBER
from launcher.demo.sales import Charge
from launcher.seeding import Amounts, seed
from tier_runtime.errors import AppError, Kind
from tier_runtime.startup import StartupError


class FakeBulkLoad:
    """Remembers by id what it was given; what is in `sold_out` it leaves out."""

    batch = 4

    def __init__(self, *, leaves_cache_behind: bool = False) -> None:
        self.leaves_cache_behind = leaves_cache_behind
        self.failure: AppError | None = None
        self.sold_out: set[str] = set()
        self.loaded: dict[str, set[str]] = {"users": set(), "products": set(), "orders": set()}
        self.hashes: set[str] = set()
        self.sizes: list[int] = []

    def users(self, batch: Sequence[user_pb2.User], password_hash: str) -> int:
        self.hashes.add(password_hash)
        return self._load("users", [user.id for user in batch])

    def products(
        self,
        batch: Sequence[tuple[product_pb2.Product, Sequence[product_pb2.StockMovement]]],
    ) -> int:
        return self._load("products", [product.id for product, _ in batch])

    def orders(
        self,
        batch: Sequence[tuple[order_pb2.Order, Sequence[tuple[str, product_pb2.StockMovement]]]],
    ) -> tuple[int, int]:
        ids = [order.id for order, _ in batch]
        kept = [id_ for id_ in ids if id_ not in self.sold_out]
        return self._load("orders", kept), len(ids) - len(kept)

    def _load(self, kind: str, ids: list[str]) -> int:
        if self.failure is not None:
            raise self.failure
        self.sizes.append(len(ids))
        new = set(ids) - self.loaded[kind]
        self.loaded[kind] |= new
        return len(new)


def _seed(
    bulk: FakeBulkLoad,
    amounts: Amounts,
    stream: io.StringIO | None = None,
    told: io.StringIO | None = None,
) -> str:
    told = told or io.StringIO()

    @contextmanager
    def open_bulk_load() -> Iterator[FakeBulkLoad]:
        yield bulk

    seed(
        amounts,
        open_bulk_load,
        lambda: "a hash",
        lambda lines, roles: Charge(order_pb2.PRICING_REGULAR, [0] * len(lines)),
        console=Console(told),
        stream=stream or io.StringIO(),
    )
    return told.getvalue()


def test_all_kinds_are_loaded_in_batches_and_a_second_run_finds_them() -> None:
    bulk = FakeBulkLoad()

    first = _seed(bulk, Amounts(products=10, users=3, orders=9))
    second = _seed(bulk, Amounts(products=12, users=3, orders=9))

    assert first.splitlines() == [
        "Users: 3 made, 0 there already.",
        "Products: 10 made, 0 there already.",
        "Orders: 9 made, 0 there already.",
    ]
    assert second.splitlines()[:2] == [
        "Users: 0 made, 3 there already.",
        "Products: 2 made, 10 there already.",
    ]
    assert bulk.sizes[:7] == [3, 4, 4, 2, 4, 4, 1]
    assert bulk.hashes == {"a hash"}


def test_what_was_not_asked_for_is_not_made_and_not_told_of() -> None:
    bulk = FakeBulkLoad()

    assert _seed(bulk, Amounts(products=1)) == "Products: 1 made, 0 there already.\n"
    assert not bulk.loaded["users"] | bulk.loaded["orders"]
    assert not bulk.hashes


def test_orders_without_stock_are_told_of() -> None:
    bulk = FakeBulkLoad()
    _seed(bulk, Amounts(1, 1, 2))
    bulk.sold_out = {min(bulk.loaded["orders"])}
    bulk.loaded["orders"].clear()

    assert "Orders: 1 made, 0 there already, 1 left out for want of stock." in _seed(
        bulk, Amounts(1, 1, 2)
    )


def test_a_cache_out_of_reach_is_told_of_when_stock_was_sold() -> None:
    bulk = FakeBulkLoad(leaves_cache_behind=True)

    assert "CACHE_TTL_SECONDS" in _seed(bulk, Amounts(1, 1, 1))
    assert "CACHE_TTL_SECONDS" not in _seed(bulk, Amounts(2, 2, 0))


@pytest.mark.parametrize(
    "amounts",
    [Amounts(orders=1), Amounts(products=1, orders=1), Amounts(users=MAX_NUMBER + 1)],
    ids=["no goods and no buyers", "no buyers", "too many"],
)
def test_amounts_that_make_no_sense_are_refused_before_anything_is_loaded(
    amounts: Amounts,
) -> None:
    bulk = FakeBulkLoad()
    with pytest.raises(StartupError):
        _seed(bulk, amounts)
    assert not bulk.sizes


def test_a_database_that_is_busy_is_one_clear_line() -> None:
    bulk = FakeBulkLoad()
    bulk.failure = AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "The database is down.")

    with pytest.raises(StartupError, match="run it again"):
        _seed(bulk, Amounts(users=1))


def test_any_other_failure_of_the_database_is_not_hidden() -> None:
    bulk = FakeBulkLoad()
    bulk.failure = AppError(Kind.INVALID, "VALIDATION_FAILED", "Not a user.")

    with pytest.raises(AppError):
        _seed(bulk, Amounts(users=1))


class Terminal(io.StringIO):
    """A stream on which somebody watches."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_bar_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    watched, told = Terminal(), io.StringIO()

    _seed(FakeBulkLoad(), Amounts(products=5), stream=watched, told=told)

    assert "products" in watched.getvalue()
    assert "5/5" in watched.getvalue()
    assert told.getvalue() == "Products: 5 made, 0 there already.\n"
