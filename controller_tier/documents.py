"""Answers as JSON, and what goes with them."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response

from controller_tier.conditional import entity_tag, is_known_to_client

JSON_CONTENT = "application/json; charset=utf-8"
NO_STORE = "no-store"
# May be kept by the one client it was made for, if it asks each time whether it is still right.
REVALIDATE = "private, no-cache"


def json_answer(
    document: Any, status: int = 200, *, headers: dict[str, str] | None = None
) -> Response:
    """Return a document as an answer; it is not to be stored unless a header says otherwise."""
    named = {"Cache-Control": NO_STORE, **(headers or {})}
    return Response(orjson.dumps(document), status, named, content_type=JSON_CONTENT)


def empty_answer(status: int = 204) -> Response:
    """Return an answer without a body."""
    answer = Response(status=status)
    # Flask names a type even where there is nothing to be of it.
    answer.headers.pop("Content-Type", None)
    answer.headers["Cache-Control"] = NO_STORE
    return answer


def versioned_answer(document: Any, version: int) -> Response:
    """Return a document with its ETag, after a write."""
    return json_answer(document, headers={"ETag": entity_tag(version), "Cache-Control": REVALIDATE})


def conditional_answer(document: Any, version: int) -> Response:
    """Return a document with its ETag, or 304 where the client has that version already."""
    if not is_known_to_client(version):
        return versioned_answer(document, version)
    answer = empty_answer(304)
    answer.headers["ETag"] = entity_tag(version)
    answer.headers["Cache-Control"] = REVALIDATE
    return answer


def created_answer(document: Any, version: int, location: str, *, replayed: bool) -> Response:
    """Return 201 with the new thing, its ETag and its path."""
    answer = versioned_answer(document, version)
    answer.status_code = 201
    answer.headers["Location"] = location
    return replayed_answer(answer, replayed=replayed)


def accepted_answer(document: Any, version: int, location: str) -> Response:
    """Return 202 with what will be done, its ETag and where to look for how it goes."""
    answer = versioned_answer(document, version)
    answer.status_code = 202
    answer.headers["Location"] = location
    return answer


def replayed_answer(answer: Response, *, replayed: bool) -> Response:
    """Return the answer, marked where it is that of an earlier request with the same key."""
    if replayed:
        answer.headers["Idempotent-Replay"] = "true"
    return answer
