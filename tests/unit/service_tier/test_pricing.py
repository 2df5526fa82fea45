from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_tier.domain.money import MAX_PRICE_MINOR, currency_faults, price_faults
from service_tier.domain.orders import MAX_LINES, MAX_QUANTITY
from service_tier.domain.pricing import Line, PricedOrder, Pricing, priced
from service_tier.domain.roles import KNOWN_ROLES

PERCENT = {Pricing.REGULAR: 0, Pricing.BULK: 10, Pricing.PREMIUM: 15}
MAX_INT64 = 2**63 - 1

lines = st.builds(
    Line,
    product_id=st.sampled_from(["p-1", "p-2", "p-3"]),
    quantity=st.integers(1, MAX_QUANTITY) | st.integers(8, 12),
    unit_price_minor=st.integers(0, MAX_PRICE_MINOR) | st.integers(0, 200),
)
orders = st.lists(lines, min_size=1, max_size=MAX_LINES)
role_sets = st.frozensets(st.sampled_from(sorted(KNOWN_ROLES)))


def amounts(order: PricedOrder) -> tuple[int, int, int]:
    return order.subtotal_minor, order.discount_minor, order.total_minor


@given(orders, role_sets)
def test_totals_add_up_to_the_cent_for_any_order(
    wanted: Sequence[Line], roles: frozenset[str]
) -> None:
    order = priced(wanted, roles)
    assert tuple(one.line for one in order.lines) == tuple(wanted)
    assert order.total_minor == order.subtotal_minor - order.discount_minor
    assert order.subtotal_minor == sum(one.quantity * one.unit_price_minor for one in wanted)
    assert order.total_minor == sum(one.total_minor for one in order.lines)
    assert 0 <= order.total_minor <= order.subtotal_minor <= MAX_INT64


@given(orders, role_sets)
def test_no_line_is_given_more_than_it_costs(wanted: Sequence[Line], roles: frozenset[str]) -> None:
    for one in priced(wanted, roles).lines:
        assert 0 <= one.discount_minor <= one.line.gross_minor


@given(orders, role_sets)
def test_each_discount_is_its_share_of_the_line_rounded_half_up(
    wanted: Sequence[Line], roles: frozenset[str]
) -> None:
    order = priced(wanted, roles)
    for one in order.lines:
        counts = order.pricing is not Pricing.BULK or one.line.quantity >= 10
        share = Decimal(one.line.gross_minor * (PERCENT[order.pricing] if counts else 0)) / 100
        assert one.discount_minor == share.quantize(Decimal(1), ROUND_HALF_UP)


@given(orders, role_sets, st.randoms())
def test_the_order_of_the_lines_does_not_matter(
    wanted: Sequence[Line], roles: frozenset[str], random: Random
) -> None:
    shuffled = list(wanted)
    random.shuffle(shuffled)
    one, other = priced(wanted, roles), priced(shuffled, roles)
    assert (one.pricing, amounts(one)) == (other.pricing, amounts(other))


@given(orders, role_sets)
def test_the_strategy_follows_from_role_and_quantities_alone(
    wanted: Sequence[Line], roles: frozenset[str]
) -> None:
    free = [Line(one.product_id, one.quantity, 0) for one in wanted]
    expected = Pricing.REGULAR
    if any(one.quantity >= 10 for one in wanted):
        expected = Pricing.BULK
    if "premium" in roles:
        expected = Pricing.PREMIUM
    assert priced(wanted, roles).pricing is priced(free, roles).pricing is expected


@given(orders, role_sets)
def test_premium_never_pays_more_than_others(wanted: Sequence[Line], roles: frozenset[str]) -> None:
    cheapest = priced(wanted, roles | {"premium"}).total_minor
    assert cheapest <= priced(wanted, roles - {"premium"}).total_minor


@pytest.mark.parametrize(
    ("roles", "wanted", "pricing", "discounts"),
    [
        ({"user"}, [(9, 100), (1, 5)], Pricing.REGULAR, [0, 0]),
        # Only the lines that are long enough.
        ({"user", "admin"}, [(10, 1999), (9, 1999)], Pricing.BULK, [1999, 0]),
        ({"user"}, [(11, 5)], Pricing.BULK, [6]),
        ({"premium"}, [(10, 1999), (1, 10)], Pricing.PREMIUM, [2999, 2]),
        ({"premium"}, [(1, 3), (1, 4), (1, 0)], Pricing.PREMIUM, [0, 1, 0]),
        (set(), [(1, 1)], Pricing.REGULAR, [0]),
    ],
)
def test_some_orders_are_priced_by_hand(
    roles: set[str], wanted: list[tuple[int, int]], pricing: Pricing, discounts: list[int]
) -> None:
    order = priced([Line("p", quantity, price) for quantity, price in wanted], roles)
    assert order.pricing is pricing
    assert [one.discount_minor for one in order.lines] == discounts


@pytest.mark.parametrize("code", ["USD", "EUR", "CHF", "BRL"])
def test_currencies_with_hundredths_are_taken(code: str) -> None:
    assert currency_faults(code) == []


@pytest.mark.parametrize("code", ["JPY", "KWD", "CLF", "XAU", "XXX", "usd", "ABC", "", "USD "])
def test_other_currencies_and_words_that_are_none_are_refused(code: str) -> None:
    assert len(currency_faults(code)) == 1


@pytest.mark.parametrize(
    ("minor", "count"), [(0, 0), (MAX_PRICE_MINOR, 0), (-1, 1), (MAX_PRICE_MINOR + 1, 1)]
)
def test_a_price_is_from_nothing_to_ten_thousand_million(minor: int, count: int) -> None:
    assert len(price_faults(minor)) == count
