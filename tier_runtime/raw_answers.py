"""Answers of the HTTP server itself, to requests that never reach the application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import grpc
from gunicorn.http.errors import (  # type: ignore[import-untyped]  # ships no types
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)

from tier_runtime.rest.statuses import http_fault, overloaded, retry_after, status_json
from tier_runtime.rest.wire import JSON_TYPE


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer of the worker itself."""

    status: int
    phrase: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def text(self) -> bytes:
        """Return what is sent; the connection ends with it."""
        headers = {
            **self.headers,
            "Content-Length": str(len(self.body)),
            "Connection": "close",
        }
        lines = [f"HTTP/1.1 {self.status} {self.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + self.body


def hop_answer(status: int, detail: str) -> RawAnswer:
    """Return a google.rpc.Status, as on every REST hop; 503 says when to come again."""
    headers = {"Content-Type": JSON_TYPE}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        fault = overloaded(detail)
        headers["Retry-After"] = str(retry_after(fault))
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        fault = http_fault(grpc.StatusCode.INTERNAL, "INTERNAL_ERROR", detail)
    else:
        fault = http_fault(grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST", detail)
    return RawAnswer(status, HTTPStatus(status).phrase, headers, status_json(fault))


def unreadable(error: ParseException) -> tuple[int, str]:
    """Return the status of what is no HTTP, and what is wrong with it."""
    if isinstance(error, LimitRequestLine):
        return 414, "The request line is too long."
    if isinstance(error, LimitRequestHeaders):
        return 431, "The header fields are too large or too many."
    return 400, "The request is not well-formed HTTP."
