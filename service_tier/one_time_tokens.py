"""Tokens that are mailed and work once.

A token is base64url, without padding, of its id's 16 bytes followed by HMAC-SHA256 of the purpose
and those bytes under TOKEN_SECRET. So an event that names the id is enough to write the mail, the
store needs no more than a SHA-256, and a made-up token is refused without asking anybody.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import uuid
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

from arcana.repository.v1 import one_time_token_pb2
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import IdSource
from tier_runtime.timestamps import timestamp_from

_ID_BYTES = 16
_MAC_BYTES = 32
# 48 bytes in base64url need no padding.
_TEXT_LENGTH = 64


class Purpose(StrEnum):
    """What a token allows. The values go into its MAC: never change them."""

    PASSWORD_RESET = "password-reset"  # noqa: S105 - a purpose, not a password.
    EMAIL_VERIFICATION = "email-verification"


LIFETIMES = MappingProxyType(
    {Purpose.PASSWORD_RESET: timedelta(hours=1), Purpose.EMAIL_VERIFICATION: timedelta(hours=24)}
)

_MESSAGE_PURPOSES = MappingProxyType(
    {
        Purpose.PASSWORD_RESET: one_time_token_pb2.ONE_TIME_TOKEN_PURPOSE_PASSWORD_RESET,
        Purpose.EMAIL_VERIFICATION: one_time_token_pb2.ONE_TIME_TOKEN_PURPOSE_EMAIL_VERIFICATION,
    }
)


def message_purpose(purpose: Purpose) -> one_time_token_pb2.OneTimeTokenPurpose.ValueType:
    """Return the purpose as the repository tier calls it."""
    return _MESSAGE_PURPOSES[purpose]


class OneTimeTokens:
    """Makes one-time tokens and knows its own again."""

    def __init__(self, secret: bytes, clock: Clock, ids: IdSource) -> None:
        self._secret = secret
        self._clock = clock
        self._ids = ids

    def new(self, purpose: Purpose) -> one_time_token_pb2.NewOneTimeToken:
        """Return a new token as the repository tier keeps it: by id and hash."""
        token_id = self._ids.new_id()
        return one_time_token_pb2.NewOneTimeToken(
            id=token_id,
            token_sha256=_digest(self.token_of(purpose, token_id)),
            purpose=message_purpose(purpose),
            expire_time=timestamp_from(self._clock.now() + LIFETIMES[purpose]),
        )

    def token_of(self, purpose: Purpose, token_id: str) -> str:
        """Return the token with this id, as it is mailed."""
        raw = uuid.UUID(token_id).bytes
        return base64.urlsafe_b64encode(raw + self._mac(purpose, raw)).decode()

    def presented_digest(self, purpose: Purpose, token: str) -> bytes:
        """Return the SHA-256 of a token that somebody presents.

        Raises:
            AppError: UNAUTHENTICATED/INVALID_TOKEN, when it was not made here for this purpose.
        """
        raw = _decoded(token)
        token_id, mac = raw[:_ID_BYTES], raw[_ID_BYTES:]
        if len(mac) != _MAC_BYTES or not hmac.compare_digest(mac, self._mac(purpose, token_id)):
            raise AppError(Kind.UNAUTHENTICATED, "INVALID_TOKEN", "The token is not valid.")
        return _digest(token)

    def _mac(self, purpose: Purpose, token_id: bytes) -> bytes:
        return hmac.digest(self._secret, purpose.value.encode() + token_id, "sha256")


def _decoded(token: str) -> bytes:
    if len(token) != _TEXT_LENGTH:
        return b""
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
