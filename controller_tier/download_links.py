"""Links that let a file be downloaded without a token, until they expire."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from uuid import UUID

from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind

_EXPIRY_BYTES = 8
_MAC_BYTES = 32


class DownloadLinks:
    """Makes and reads the tokens of links: HMAC-SHA-256 over file, owner and time.

    A link is as good as its owner's word for this one file: whoever follows it acts for the owner.
    All replicas of the edge share the secret.
    """

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def token_for(self, file_id: str, owner_id: str, until: datetime) -> str:
        """Return the token of a file's link; `until` counts in whole seconds."""
        expiry = int(until.timestamp()).to_bytes(_EXPIRY_BYTES, "big")
        owner = UUID(owner_id).bytes
        mac = self._mac(file_id, expiry + owner)
        return urlsafe_b64encode(expiry + owner + mac).decode().rstrip("=")

    def owner_of(self, file_id: str, token: str) -> str:
        """Return the id of the user whom who follows a file's link acts for.

        Raises:
            AppError: FORBIDDEN/FORBIDDEN, when the token is not of this file, or has expired.
        """
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            raw = b""
        told, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(file_id, told)):
            raise _refused("This link is not one of ours.")
        if int.from_bytes(told[:_EXPIRY_BYTES], "big") < self._clock.now().timestamp():
            raise _refused("This link has expired.")
        return str(UUID(bytes=told[_EXPIRY_BYTES:]))

    def _mac(self, file_id: str, told: bytes) -> bytes:
        return hmac.digest(self._secret, b"download\0" + UUID(file_id).bytes + told, "sha256")


def _refused(message: str) -> AppError:
    return AppError(Kind.FORBIDDEN, "FORBIDDEN", message)
