from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repository_tier.search_words import SearchWords, indexed_words, search_words

WORD = re.compile(r"zz[a-z0-9]{1,82}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Filter Coffee", ["zzfilter", "zzcoffee"]),
        ("Café CRÈME", ["zzcafe", "zzcreme"]),
        ("Straße İzmir", ["zzstrasse", "zzizmir"]),
        ("\uff37\uff29\uff24\uff25 \ufb01ne \u00bd", ["zzwide", "zzfine", "zz1", "zz2"]),
        ("a_b-c'd", ["zza", "zzb", "zzc", "zzd"]),
        ("漢字2 ص", ["zzu6f22u5b572", "zzu0635"]),
        ("smørrebrød", ["zzsmu00f8rrebru00f8d"]),
        ("x" * 200, ["zz" + "x" * 82]),
        (' \t*+~"()<>@%\\ ', []),
    ],
)
def test_words_are_letters_and_digits_without_case_and_accents(text: str, words: list[str]) -> None:
    assert search_words(text + " ") == SearchWords(words, last_is_beginning=False)
    assert indexed_words("", "", text).split() == words


def test_a_word_of_the_name_counts_for_three() -> None:
    assert indexed_words("Lamp", "Home", "A lamp").split() == [
        *["zzlamp"] * 3,
        "zzhome",
        "zza",
        "zzlamp",
    ]


@pytest.mark.parametrize(
    ("query", "is_beginning"),
    [
        ("lam", True),
        ("lam ", False),
        ("lam*", False),
        ("lame\u0301", True),
        ("", False),
        ("漢", True),
    ],
)
def test_the_last_word_is_a_beginning_unless_something_follows_it(
    query: str, is_beginning: bool
) -> None:
    assert search_words(query).last_is_beginning is is_beginning


@given(text=st.text())
def test_every_word_is_one_that_any_index_takes_as_it_is(text: str) -> None:
    words = indexed_words(text, text, text).split(" ")
    assert words == [""] or all(WORD.fullmatch(word) for word in words)


@given(text=st.text())
def test_a_text_is_found_by_itself_however_it_is_composed(text: str) -> None:
    indexed = set(indexed_words("", "", unicodedata.normalize("NFC", text)).split())
    assert set(search_words(unicodedata.normalize("NFD", text)).words) == indexed


@given(
    word=st.text(st.characters(categories=["L"]), min_size=1, max_size=10),
    length=st.integers(1, 10),
)
def test_a_word_is_found_by_how_it_begins(word: str, length: int) -> None:
    # What is left out with the accents may be all there is.
    for beginning in search_words(word[:length]).words[-1:]:
        assert any(indexed.startswith(beginning) for indexed in indexed_words("", "", word).split())
