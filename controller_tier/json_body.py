"""Reads a request body as JSON, and refuses what only looks like it.

Python's own parser takes NaN, Infinity, duplicate keys, lone surrogates and integers of any size,
and dies of deep nesting. All of that is refused here, before a schema or protobuf sees it.
"""

from __future__ import annotations

import json
import math
from decimal import Decimal, InvalidOperation
from typing import Any, Never

import orjson
from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from tier_runtime.errors import AppError, Kind

MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1

JSON_TYPE = "application/json"
# RFC 7396.
MERGE_PATCH_TYPE = "application/merge-patch+json"


class _RefusedError(ValueError):
    """The text is JSON by the grammar, or nearly, and not JSON that this API takes."""


def body_of(request: Request, *, may_be_absent: bool = False) -> Any:
    """Return the parsed body, where it may be absent an empty object in its place.

    Raises:
        AppError: MALFORMED_BODY, or UNSUPPORTED_MEDIA_TYPE.
        RequestEntityTooLarge: the body exceeds the limit of `max_body_bytes`.
    """
    if request.headers.get("Content-Type") or request.content_length:
        _check_media_type(request)
    data = _bytes_of(request)
    if not data and may_be_absent:
        return {}
    if data:
        # Once more, because a chunked body says nowhere that it is there.
        _check_media_type(request)
    return parse_json(data)


def parse_json(data: bytes) -> Any:
    """Return the value that the bytes stand for, within the bounds of this module.

    A number with a fraction or an exponent is a Decimal, exactly as it was written.

    Raises:
        AppError: INVALID/MALFORMED_BODY.
    """
    if not data:
        raise _malformed("The body is empty; JSON is expected.")
    try:
        # Strict about UTF-8, surrogates and NaN, and safe against any depth, but silent about
        # duplicate keys, and it turns large integers into floats: so it goes first, not alone.
        orjson.loads(data)
        value = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_bounded,
            parse_float=_exact,
        )
    except _RefusedError as error:
        raise _malformed(str(error)) from None
    except (ValueError, RecursionError):
        # Not "from": a decode error quotes the whole document.
        raise _malformed("The body is not well-formed JSON.") from None
    _check_depth(value)
    return value


def _bytes_of(request: Request) -> bytes:
    data = request.get_data(cache=False)
    # The framework's limit is one byte above ours.
    if request.max_content_length is not None and len(data) >= request.max_content_length:
        raise RequestEntityTooLarge
    return data


def _check_media_type(request: Request) -> None:
    expected = (JSON_TYPE, MERGE_PATCH_TYPE) if request.method == "PATCH" else (JSON_TYPE,)
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if request.mimetype not in expected or charset not in {"utf-8", "utf8", "us-ascii"}:
        raise AppError(
            Kind.INVALID,
            "UNSUPPORTED_MEDIA_TYPE",
            f"Send the body as {' or '.join(expected)} in UTF-8.",
        )
    if coding not in {"", "identity"}:
        raise AppError(
            Kind.INVALID, "UNSUPPORTED_MEDIA_TYPE", "Send the body without a content coding."
        )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RefusedError("An object of the body names a member twice.")
    return members


def _refuse_constant(_name: str) -> Never:
    raise _RefusedError("The body holds NaN or Infinity.")


def _bounded(digits: str) -> int:
    # Its length first: turning a million digits into an int takes seconds.
    if len(digits) > 20 or not -MAX_INTEGER - 1 <= int(digits) <= MAX_INTEGER:
        raise _RefusedError("The body holds an integer of more than 64 bits.")
    return int(digits)


def _exact(digits: str) -> Decimal:
    if not math.isfinite(float(digits)):
        raise _RefusedError("The body holds a number that is too large.")
    try:
        return Decimal(digits)
    except InvalidOperation:
        # To a float it is zero; its exponent has twenty digits.
        raise _RefusedError("The body holds a number that is too small.") from None


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    if any(isinstance(item, (dict, list)) for item in level):
        raise _malformed(f"The body is nested more than {MAX_DEPTH} levels deep.")


def _malformed(message: str) -> AppError:
    return AppError(Kind.INVALID, "MALFORMED_BODY", message)
