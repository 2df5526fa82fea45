from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_tier.domain.accounts import email_faults, normalize_email
from service_tier.domain.names import name_faults, normalize_name


@pytest.mark.parametrize(
    "email",
    [
        "ada@example.org",
        "Ada.Lovelace+tag@sub.example.org",
        "o'neill!#$%&*/=?^_`{|}~-@example.org",
        "jürgen@münchen.de",
        "用户@例子.公司",
        "a@b.co",
        "x" * 64 + "@example.org",
        "admin@arcana.local",
        "a@" + "b" * 63 + ".org",
    ],
)
def test_usual_addresses_of_any_script_are_accepted(email: str) -> None:
    assert email_faults(email) == []


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@example",
        "ada@.org",
        "ada@example.",
        "ada@ex..org",
        ".ada@example.org",
        "ada.@example.org",
        "a..b@example.org",
        "a b@example.org",
        'a"b@example.org',
        "a@b@example.org",
        "ada@exa_mple.org",
        "ada@-example.org",
        "ada@example-.org",
        "ada@" + "b" * 64 + ".org",
        "ada@10.0.0.1",
        "ada\n@example.org",
        "ada\x00@example.org",
        "x" * 65 + "@example.org",
        "x@" + "a." * 130 + "org",
        "ß" * 64 + "@" + "ß." * 80 + "org",
    ],
)
def test_what_no_account_can_have_is_refused(email: str) -> None:
    assert len(email_faults(email)) == 1


@given(st.emails())
def test_addresses_by_the_standards_grammar_with_a_dot_atom_are_accepted(email: str) -> None:
    domain = email.rpartition("@")[2]
    if not domain.rpartition(".")[2].isdecimal():
        assert email_faults(normalize_email(email)) == []


@given(st.text())
def test_normalizing_an_address_or_a_name_twice_changes_nothing(text: str) -> None:
    for normalize in (normalize_email, normalize_name):
        once = normalize(text)
        assert normalize(once) == once
        assert unicodedata.is_normalized("NFC", once)
        assert once == once.strip()


@pytest.mark.parametrize("name", ["A", "x" * 255, "Ada Lovelace", "李小龙", "👩‍💻 dev"])
def test_names_of_one_to_255_characters_are_accepted(name: str) -> None:
    assert name_faults(name) == []


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", "a\x00b", "a\u2028b", "a\x7fb"])
def test_empty_long_and_unprintable_names_are_refused(name: str) -> None:
    assert len(name_faults(name)) == 1


def test_a_name_of_spaces_is_empty() -> None:
    assert normalize_name(" \t ") == ""
