"""What an access token says (RFC 9068), before anybody signs it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The claims of one access token."""

    issuer: str
    audience: str
    subject: str
    session_id: str
    token_id: str
    roles: tuple[str, ...]
    issued_time: datetime
    lifetime: timedelta

    def payload(self) -> dict[str, object]:
        """Return the claims by their registered names; times in whole seconds, rounded down.

        An expiry that was rounded up would let a token outlive what `expires_in` promised.
        """
        issued = int(self.issued_time.timestamp())
        return {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": self.subject,
            "sid": self.session_id,
            "jti": self.token_id,
            "iat": issued,
            "exp": issued + int(self.lifetime.total_seconds()),
            "roles": list(self.roles),
        }
