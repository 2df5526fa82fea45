"""What stands in the headers of a REST hop."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any

from tier_runtime.metadata import Metadata

TIMEOUT_HEADER = "grpc-timeout"
# Before the keys of what an answer carries beside its message.
INITIAL_PREFIX = "grpc-metadata-"
TRAILING_PREFIX = "grpc-trailer-"

JSON_TYPE = "application/json"
# One JSON text a line (https://github.com/ndjson/ndjson-spec).
NDJSON_TYPE = "application/x-ndjson"
# The member of the last line of a stream that failed midway. Like "@type" in protobuf's JSON it is
# no name that a field can have, so no message passes for a failure.
ERROR_MEMBER = "@error"

# The protocol's TimeoutValue and TimeoutUnit:
# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_MAX_VALUE = 99_999_999

# What belongs to HTTP and not to the call.
_HTTP_OWN = frozenset(
    {
        "HTTP_ACCEPT",
        "HTTP_ACCEPT_ENCODING",
        "HTTP_CONNECTION",
        "HTTP_EXPECT",
        "HTTP_GRPC_TIMEOUT",
        "HTTP_HOST",
        "HTTP_KEEP_ALIVE",
        "HTTP_TE",
        "HTTP_TRAILER",
        "HTTP_TRANSFER_ENCODING",
        "HTTP_UPGRADE",
        "HTTP_USER_AGENT",
    }
)


def timeout_text(seconds: float) -> str:
    """Return seconds as gRPC writes them, rounded up to whole milliseconds."""
    millis = max(int(seconds * 1000 + 0.999), 1)
    return f"{millis}m" if millis <= _MAX_VALUE else f"{min(int(seconds), _MAX_VALUE)}S"


def timeout_seconds(text: str) -> float | None:
    """Return the seconds that gRPC's text stands for; None where there is none, or a bad one."""
    match = _TIMEOUT.fullmatch(text)
    return int(match[1]) * _UNITS[match[2]] if match else None


def metadata_from_environ(environ: Mapping[str, Any]) -> list[tuple[str, str | bytes]]:
    """Return the metadata of a request in its WSGI environment."""
    return [
        _read(name[5:].replace("_", "-").lower(), value)
        for name, value in environ.items()
        if name.startswith("HTTP_") and name not in _HTTP_OWN
    ]


def headers_from_metadata(metadata: Metadata, prefix: str = "") -> list[tuple[str, str]]:
    """Return metadata as headers; what is binary becomes base64."""
    return [
        (
            prefix + key,
            b64encode(value).decode() if isinstance(value, bytes) else value,
        )
        for key, value in metadata
    ]


def metadata_from_headers(
    headers: Iterable[tuple[str, str]], prefix: str
) -> tuple[tuple[str, str | bytes], ...]:
    """Return the metadata that an answer's headers with this prefix carry."""
    return tuple(
        _read(name.lower().removeprefix(prefix), value)
        for name, value in headers
        if name.lower().startswith(prefix)
    )


def _read(key: str, value: str) -> tuple[str, str | bytes]:
    if not key.endswith("-bin"):
        return key, value
    try:
        # gRPC sends no padding, we do.
        return key, b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        # As text it is of the wrong type for whoever asks for it, who will say so.
        return key, value
