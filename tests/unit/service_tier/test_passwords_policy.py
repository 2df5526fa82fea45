from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service_tier.common_passwords import read_common_passwords
from service_tier.domain.passwords import (
    PasswordPolicy,
    compared_password_faults,
    normalize_password,
)

COMMON = read_common_passwords()
POLICY = PasswordPolicy(COMMON)


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("Abcde1x", "characters"),
        ("Ab1" + "x" * 126, "characters"),
        ("quiet-river-42", "upper case"),
        ("QUIET-RIVER-42", "lower case"),
        ("Quiet-River-XX", "digit"),
    ],
)
def test_each_rule_of_the_policy_names_its_fault_alone(password: str, fault: str) -> None:
    faults = POLICY.faults(password)
    assert len(faults) == 1
    assert fault in faults[0]


@pytest.mark.parametrize("length", [8, 128])
def test_the_shortest_and_the_longest_password_are_accepted(length: int) -> None:
    assert POLICY.faults("Xy7" + "q" * (length - 3)) == []


def test_every_fault_is_told_at_once() -> None:
    assert len(POLICY.faults("")) == 4


@pytest.mark.parametrize(
    "password",
    [
        "Password1",
        "PASSWORD1!",
        "P@ssw0rd1",
        "Passw0rd2024",
        "Trustno1",
        "1qaz2WSX",
        "Qwerty123",
        "Welcome123!",
    ],
)
def test_common_passwords_are_refused_in_any_case(password: str) -> None:
    assert POLICY.is_common(password)


@pytest.mark.parametrize(
    "password", ["Correct1Horse", "Quiet-River-42", "SecurePass123", "xPassword1x"]
)
def test_what_is_not_on_the_list_is_accepted(password: str) -> None:
    assert POLICY.faults(password) == []


@given(st.sampled_from(sorted(COMMON)))
def test_every_listed_word_is_refused_in_any_case(word: str) -> None:
    for variant in (word, word.upper(), word.capitalize()):
        assert POLICY.is_common(variant)


@given(st.text(max_size=140))
@example("000000A\N{MATHEMATICAL DOUBLE-STRUCK SMALL A}")
def test_an_accepted_password_holds_to_every_rule(password: str) -> None:
    if not PasswordPolicy(()).faults(password):
        assert 8 <= len(password) <= 128
        assert any(unicodedata.category(one) == "Nd" for one in password)
        # Letters, not what becomes of them: some of either case have none of the other.
        assert any(one.isupper() for one in password)
        assert any(one.islower() for one in password)


@given(st.text())
def test_one_password_typed_in_two_unicode_forms_is_one_password(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    decomposed = unicodedata.normalize("NFD", text)
    assert normalize_password(composed) == normalize_password(decomposed)


def test_the_list_is_lower_case_and_well_over_a_thousand_words_long() -> None:
    assert len(COMMON) > 1000
    assert {word.casefold() for word in COMMON} == COMMON


def test_a_password_that_is_only_compared_may_be_older_than_the_policy() -> None:
    assert compared_password_faults("x" * 1024) == []
    assert compared_password_faults("x" * 1025)
