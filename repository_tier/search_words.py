"""Words as they are indexed and looked for: the same ones on every database.

Each full-text index has rules of its own about what a word is, which words are too short or too
common, and what of an accent. So it is given words that no such rule touches: letters and digits
of ASCII, behind a prefix, none too long.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

# InnoDB indexes words of 3 to 84 characters (innodb_ft_min_token_size, innodb_ft_max_token_size)
# unless they are among its stop words, none of which begins so.
_PREFIX = "zz"
_MAX_WORD_CHARACTERS = 84
# Letters and digits, as `str.isalnum` knows them.
_WORD = re.compile(r"[^\W_]+")
# How often a word of the name counts for one of category or description.
_NAME_WEIGHT = 3


@dataclass(frozen=True, slots=True)
class SearchWords:
    """What is looked for: all of the words, the last one perhaps as the beginning of a word."""

    words: Sequence[str]
    last_is_beginning: bool


def indexed_words(name: str, category: str, description: str) -> str:
    """Return what a full-text index is given of a product."""
    weighted = [*_words(_plain(name)) * _NAME_WEIGHT]
    return " ".join([*weighted, *_words(_plain(category)), *_words(_plain(description))])


def search_words(query: str) -> SearchWords:
    """Return what a query looks for. Whatever is no letter or digit only separates words."""
    plain = _plain(query)
    return SearchWords(_words(plain), last_is_beginning=plain[-1:].isalnum())


def _plain(text: str) -> str:
    """Return a text without letter case and accents."""
    if text.isascii():
        return text.casefold()
    # Compatibility forms, such as full-width letters, are taken for what they stand for. Folding
    # the letter case may make an accent of its own.
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join([one for one in folded if unicodedata.category(one)[0] != "M"])


def _words(plain: str) -> list[str]:
    return [_indexed(word) for word in _WORD.findall(plain)]


def _indexed(word: str) -> str:
    if not word.isascii():
        word = "".join([one if one.isascii() else f"u{ord(one):04x}" for one in word])
    return (_PREFIX + word)[:_MAX_WORD_CHARACTERS]
