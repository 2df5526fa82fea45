"""Headers that every answer has, whatever it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from flask import Flask, Response
from flask_cors import CORS

# An answer of the API is data: a browser that shows it shall run and load nothing.
SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)

_EVERYWHERE = tuple(
    (name.lower(), name, value)
    for name, value in {**SECURITY_HEADERS, "Cache-Control": "no-store"}.items()
)

EXPOSED = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotent-Replay",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)
ALLOWED = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "If-Range",
    "Range",
    "X-Request-ID",
    "traceparent",
)
PREFLIGHT_SECONDS = 600


def install_security_headers(app: Flask) -> None:
    """Add the headers to every answer that has not stricter or wider ones of its own."""
    app.after_request(_secured)


def install_cors(app: Flask, origins: list[str]) -> None:
    """Let the pages of these origins call the API; those of no other."""
    if origins:
        CORS(
            app,
            # Flask-Cors would take the brackets of an IPv6 address for a pattern, unanchored.
            origins=[_exactly(origin) for origin in origins],
            methods=["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"],
            allow_headers=list(ALLOWED),
            expose_headers=list(EXPOSED),
            # Tokens travel in a header that the page sets itself; cookies are not used.
            supports_credentials=False,
            max_age=PREFLIGHT_SECONDS,
            vary_header=False,
        )
        app.after_request(_varying)


def _exactly(origin: str) -> re.Pattern[str]:
    # Letter case does not count in a scheme or a host (RFC 6454, section 4).
    return re.compile(re.escape(origin) + r"\Z", re.IGNORECASE | re.ASCII)


def _varying(response: Response) -> Response:
    # Flask-Cors leaves it out where only one origin is allowed, and a cache would then give one
    # page the answer that was made for another.
    response.vary.add("Origin")
    return response


def _secured(response: Response) -> Response:
    headers = response.headers
    # One look at all names: `setdefault` would go through them once for each of ours.
    present = {name.lower() for name, _value in headers}
    for folded, name, value in _EVERYWHERE:
        if folded not in present:
            headers.add(name, value)
    return response
