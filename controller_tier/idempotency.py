"""The key by which a repeated request is known."""

from __future__ import annotations

import re

from flask import request

from tier_runtime.validation import invalid

IDEMPOTENCY_HEADER = "Idempotency-Key"

_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")


def idempotency_key() -> str:
    """Return the request's Idempotency-Key, "" where it has none.

    Raises:
        AppError: VALIDATION_FAILED, when it is not 1..255 printable ASCII characters.
    """
    key = request.headers.get(IDEMPOTENCY_HEADER)
    if key is None:
        return ""
    if _PRINTABLE.fullmatch(key) is None:
        raise invalid({IDEMPOTENCY_HEADER: ["Must have 1 to 255 printable ASCII characters."]})
    return key
