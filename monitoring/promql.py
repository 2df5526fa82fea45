"""What a PromQL expression names: series with the labels they are chosen by, and labels of groups.

It reads the language's words as Prometheus does (prometheus.io/docs/prometheus/latest/querying),
and understands no more of an expression than that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_WORDS = re.compile(
    r"""(?P<space>\s+)
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
    |(?P<range>\[[^\]]*\])
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?:ms|[smhdwy])?)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){},=<>@])
    """,
    re.VERBOSE | re.IGNORECASE,
)
# Each is followed by labels in parentheses.
_GROUPING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS_OF_THE_LANGUAGE = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})


@dataclass(frozen=True, slots=True)
class Selector:
    """A series by its name, and the labels that choose among those of that name."""

    name: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """All that an expression names."""

    selectors: tuple[Selector, ...]
    group_labels: tuple[str, ...]


def named_in(expression: str) -> Named:
    """Return what it names, in its order.

    Raises:
        ValueError: it has a sign that is none of the language, or its braces do not match.
    """
    words = list(_words(expression))
    selectors: list[Selector] = []
    labels: list[str] = []
    place = 0
    while place < len(words):
        kind, word = words[place]
        after = words[place + 1][1] if place + 1 < len(words) else ""
        place += 1
        if kind != "name" or word.lower() in _WORDS_OF_THE_LANGUAGE:
            if word == "{":
                raise ValueError(f"A selector without a name: {expression!r}")
            continue
        if word.lower() in _GROUPING:
            if after == "(":
                found, place = _until(words, place + 1, ")", expression)
                labels += found
        elif after == "{":
            found, place = _until(words, place + 1, "}", expression)
            selectors.append(Selector(word, tuple(found)))
        elif after != "(" and not _is_aggregation(words, place):
            selectors.append(Selector(word))
    return Named(tuple(selectors), tuple(labels))


def _is_aggregation(words: list[tuple[str, str]], place: int) -> bool:
    """Tell whether the word before is one such as `sum`, with its labels before its argument."""
    return place < len(words) and words[place][1].lower() in {"by", "without"}


def _until(
    words: list[tuple[str, str]], place: int, end: str, expression: str
) -> tuple[list[str], int]:
    """Return the names up to a closing sign, and the place after it."""
    found: list[str] = []
    while place < len(words):
        kind, word = words[place]
        place += 1
        if word == end:
            return found, place
        if kind == "name":
            found.append(word)
    raise ValueError(f"No {end} at the end of {expression!r}")


def _words(expression: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(expression):
        match = _WORDS.match(expression, place)
        if match is None or match.lastgroup is None:
            raise ValueError(f"{expression[place:]!r} is no PromQL")
        place = match.end()
        if match.lastgroup != "space":
            yield match.lastgroup, match.group()
