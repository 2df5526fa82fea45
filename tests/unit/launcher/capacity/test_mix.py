from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.capacity.costs import measured_costs
from launcher.capacity.mix import USUAL_MIX, parse_mix
from tier_runtime.startup import StartupError

KNOWN = ("read-user", "read-product", "order")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(KNOWN), st.floats(0.001, 1e6), min_size=1))
def test_shares_add_up_to_one_and_keep_their_proportions(amounts: dict[str, float]) -> None:
    mix = parse_mix(",".join(f"{name}={amount!r}" for name, amount in amounts.items()), KNOWN)

    assert sum(mix.values()) == pytest.approx(1.0)
    total = sum(amounts.values())
    assert mix == {name: pytest.approx(amount / total) for name, amount in amounts.items()}


def test_reads_are_of_users_and_products_in_equal_parts() -> None:
    assert parse_mix(" read = 3, order=1 ", KNOWN) == {
        "read-user": 0.375,
        "read-product": 0.375,
        "order": 0.25,
    }


def test_a_part_that_is_named_twice_counts_twice_and_nothing_of_a_part_is_left_out() -> None:
    assert parse_mix("order=1,read-user=1,order=2,read-product=0", KNOWN) == {
        "order": 0.75,
        "read-user": 0.25,
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("reed=70", "no costs of 'reed'; known are read, read-user, read-product, order."),
        ("order", "'order' must be order=NUMBER"),
        ("order=many", "'order=many' must be"),
        ("order=-1", "'order=-1' must be"),
        ("order=nan", "'order=nan' must be"),
        ("order=inf", "'order=inf' must be"),
        ("", "names nothing"),
        ("order=0", "names nothing"),
        ("order=1e308,read=1e308", "names nothing"),
    ],
)
def test_what_cannot_be_meant_is_told(text: str, told: str) -> None:
    with pytest.raises(StartupError, match=told.replace("(", r"\(")):
        parse_mix(text, KNOWN)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(StartupError) as raised:
        parse_mix("reed=1,order=x,read=1", KNOWN)
    assert len(str(raised.value).splitlines()) == 2


def test_the_usual_mix_can_be_planned() -> None:
    assert sum(parse_mix(USUAL_MIX, measured_costs().operations).values()) == pytest.approx(1.0)
