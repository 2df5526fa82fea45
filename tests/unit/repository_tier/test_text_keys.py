from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repository_tier.column_types import MAX_SORT_KEY_CHARACTERS
from repository_tier.text_keys import email_key, folded, name_key, nfc, trimmed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada@Example.org", "ada@example.ORG"),
        (" ada@example.org\n", "ada@example.org"),
        ("Strauß@example.org", "STRAUSS@example.org"),
        ("o\u0308ne@example.org", "Öne@example.org"),
    ],
)
def test_addresses_that_are_one(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("one@example.org", "öne@example.org"), ("a.b@example.org", "ab@example.org")],
)
def test_addresses_that_are_two(one: str, other: str) -> None:
    assert email_key(one) != email_key(other)


@given(text=st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert unicodedata.is_normalized("NFC", folded(text))


@given(text=st.text())
def test_a_stored_text_is_normal_and_has_no_space_around_it(text: str) -> None:
    assert trimmed(trimmed(text)) == trimmed(text)
    assert nfc(trimmed(text)) == trimmed(text)


def test_a_sort_key_is_never_longer_than_an_index_can_hold() -> None:
    assert len(name_key("\ufb03" * 255)) == MAX_SORT_KEY_CHARACTERS
    assert name_key("\ufb03" * 255, 10) == "ffiffiffif"
