"""Conditional requests (RFC 9110, section 13) on resources that have a version."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from flask import request

from tier_runtime.errors import AppError, Kind
from tier_runtime.validation import invalid

MAX_VERSION = 2**63 - 1

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_TAG_LIST = re.compile(rf"{_TAG.pattern}(?:[ \t]*,[ \t]*{_TAG.pattern})*")
_VERSION = re.compile(r"v(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class _Tags:
    """The entity tags of one header; `any` is the asterisk."""

    any: bool = False
    strong: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()


def entity_tag(version: int) -> str:
    """Return the strong ETag of a version."""
    return f'"v{version}"'


def is_known_to_client(version: int) -> bool:
    """True when If-None-Match of the current request names this version, so that 304 answers it.

    Raises:
        AppError: VALIDATION_FAILED, when the header is not of its form.
    """
    tags = _tags_of("If-None-Match")
    if tags is None:
        return False
    # Compared weakly: section 13.1.2.
    return tags.any or f"v{version}" in tags.strong + tags.weak


def expected_version(current: Callable[[], int], *, required: bool, least: int = 1) -> int | None:
    """Return the version that If-Match of the current request asks for; None for any.

    One tag becomes the version that the write itself is made conditional on. Of several, the
    current version is chosen if it is among them, and the write is conditional on that, so it
    still cannot undo a concurrent one. `current` reads the version; `least` is the first one.

    Raises:
        AppError: VALIDATION_FAILED, when the header is not of its form; PRECONDITION_REQUIRED,
            when it is `required` and absent; PRECONDITION_FAILED, when no tag can match; what
            `current` raises.
    """
    tags = _tags_of("If-Match")
    if tags is None:
        if required:
            raise AppError(
                Kind.INVALID,
                "PRECONDITION_REQUIRED",
                "Name the version that this change is based on in If-Match.",
            )
        return None
    if tags.any:
        return None
    # Compared strongly: section 13.1.1; a weak tag never matches.
    named = {version for tag in tags.strong if (version := _version_of(tag)) is not None}
    named = {version for version in named if version >= least}
    if len(named) == 1:
        return named.pop()
    version = current()
    if version in named:
        return version
    raise AppError(
        Kind.STALE, "PRECONDITION_FAILED", "The resource has changed since that version."
    )


def _version_of(tag: str) -> int | None:
    match = _VERSION.fullmatch(tag)
    if match is None or int(match[1]) > MAX_VERSION:
        return None
    return int(match[1])


def _tags_of(header: str) -> _Tags | None:
    # A list that came as several lines is one here: WSGI servers join them (RFC 3875, 4.1.18).
    given = request.headers.get(header)
    if given is None:
        return None
    text = given.strip()
    if text == "*":
        return _Tags(any=True)
    if _TAG_LIST.fullmatch(text) is None:
        raise invalid({header: ['Must be "*" or a list of quoted entity tags.']})
    found = _TAG.findall(text)
    return _Tags(
        strong=tuple(tag for weak, tag in found if not weak),
        weak=tuple(tag for weak, tag in found if weak),
    )
