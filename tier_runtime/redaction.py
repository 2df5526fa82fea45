"""Takes secrets, e-mail addresses and tokens out of whatever is about to be logged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"
TOO_DEEP = "[too deep]"
MAX_DEPTH = 8

_SENSITIVE_KEY = re.compile(
    r"passw|passphrase|pwd|secret|token|authori[sz]ation|cookie|e_?-?mail|jwt|credential"
    r"|api_?-?key|private_?-?key|signing_?-?key",
    re.IGNORECASE,
)
# Ids that the caller may choose: any look is theirs by right, and a log without them is blind.
_IDENTIFIER_KEYS = frozenset({"request_id", "traceparent", "trace_id", "span_id"})

# A run of characters between spaces, double quotes and angle brackets that holds an "@" with
# something before it is taken for an e-mail address, whole: "(email)=(x@y.z)" hides more than it
# must, and never less.
_RUN = re.compile(r"[^\s\"<>]+")
# Base64url parts with dots between, of which the first begins as every JSON object does: with a
# brace, and then a quote or white space.
_JWT = re.compile(r"(?<![A-Za-z0-9_-])(?:ey[AI-L]|ew[ko0])[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)+")
# 32 random bytes or more in base64url: refresh tokens, one-time tokens. Identifiers in code do
# not mix both cases with digits over such a length; UUIDs and hex digests have one case only.
_OPAQUE = re.compile(
    r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]*[A-Z])(?=[A-Za-z0-9_-]*[a-z])(?=[A-Za-z0-9_-]*[0-9])"
    r"[A-Za-z0-9_-]{43,}={0,2}"
)
_OPAQUE_LENGTH = 43
# Password hashes of werkzeug, method$salt$digest: their digests are hexadecimal, as the ids of
# much that may be logged.
_PASSWORD_HASH = re.compile(r"(?:scrypt|pbkdf2)(?::[A-Za-z0-9-]{1,32}){1,4}\$[A-Za-z0-9./+$=]*")
_SPACE = re.compile(r"\s")
_BEARER = re.compile(r"\b(bearer|basic)\s+[^\s\"',;]+", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?<=://)([^\s/?#@:\"']*):([^\s/?#@\"']*)@")


@lru_cache(maxsize=1024)
def is_sensitive_key(key: str) -> bool:
    """True for names whose values never belong in a log, such as `new_password`."""
    return _SENSITIVE_KEY.search(key) is not None


def mask_url_password(text: str) -> str:
    """Return the text with the password of every URL in it masked."""
    if "://" not in text:
        return text
    return _URL_PASSWORD.sub(rf"\1:{REDACTED}@", text)


def redact_text(text: str) -> str:
    """Return the text without e-mail addresses, tokens, password hashes and URLs' passwords."""
    text = _encodable(text)
    if "@" in text or "%40" in text:
        text = _RUN.sub(_without_address, mask_url_password(text))
    # Most texts are short and plain; each search is made only where something could be found.
    if not text.isalnum() and len(text) > len("Basic "):
        if _SPACE.search(text):
            text = _BEARER.sub(rf"\1 {REDACTED}", text)
        if "." in text:
            text = _JWT.sub(REDACTED, text)
    if "$" in text:
        text = _PASSWORD_HASH.sub(REDACTED, text)
    if len(text) >= _OPAQUE_LENGTH:
        text = _OPAQUE.sub(REDACTED, text)
    return text


def redact(value: Any, key: str = "", depth: int = 0) -> Any:
    """Return a loggable copy of a value: plain JSON types with nothing secret in them."""
    if value is None or isinstance(value, bool):
        return value
    if key in _IDENTIFIER_KEYS and isinstance(value, str):
        return _encodable(value)
    if is_sensitive_key(key):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, int):
        # orjson refuses integers over 64 bits, and a log line must not fail.
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return value
    if isinstance(value, Mapping):
        # Text of a container would show what stands under its sensitive keys.
        if depth == MAX_DEPTH:
            return TOO_DEEP
        return {
            redact_text(str(name)): redact(item, str(name), depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return TOO_DEEP if depth == MAX_DEPTH else [redact(item, "", depth + 1) for item in value]
    return redact_text(str(value))


def _encodable(text: str) -> str:
    # JSON lines are UTF-8, which has no form for a lone surrogate.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _without_address(run: re.Match[str]) -> str:
    text = run[0]
    # A decorator in a traceback ("@property") is no address, and neither is a URL whose
    # password has been masked already.
    inner = text.replace(f":{REDACTED}@", "").lstrip("@")
    return REDACTED if "@" in inner or "%40" in inner else text
