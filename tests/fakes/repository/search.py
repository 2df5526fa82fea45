"""Finds products by words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from arcana.repository.v1 import product_pb2

_WORD = re.compile(r"[^\W_]+")


def matching(products: Iterable[product_pb2.Product], query: str) -> list[product_pb2.Product]:
    """Return the products that have every word, those first that have most of them in the name."""
    words = _words(query)
    if not words:
        return []
    may_go_on = _WORD.fullmatch(query[-1]) is not None
    ranked = []
    for product in products:
        text = _words(f"{product.name} {product.category} {product.description}")
        if all(
            any(
                one.startswith(word) if may_go_on and word is words[-1] else one == word
                for one in text
            )
            for word in words
        ):
            in_name = sum(one.startswith(tuple(words)) for one in _words(product.name))
            ranked.append((-in_name, product.id, product))
    return [product for _, _, product in sorted(ranked, key=lambda one: one[:2])]


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFD", text.casefold())
    return _WORD.findall("".join(one for one in plain if not unicodedata.combining(one)))
