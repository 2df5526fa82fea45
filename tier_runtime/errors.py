"""The one error family of all tiers.

Exception
└── AppError      kind, code, safe message, metadata, field errors, retry_after

What is not an AppError is logged where it was caught and leaves a tier as INTERNAL without text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tier_runtime.catalogue import CATALOGUE
from tier_runtime.kinds import Kind as Kind  # noqa: PLC0414 - raised with every AppError, so it is offered here too.

# A program called one that does not serve it. That is a fault of how a deployment is wired, and
# none of whoever asked the program for something.
PEER_NOT_ALLOWED = "PEER_NOT_ALLOWED"


class AppError(Exception):
    """An error that may be shown to the caller.

    `code` is one of the catalogue's; the message is a sentence for people and holds no secret,
    no e-mail address and no text of another exception. `metadata` goes to the caller as strings.
    `field_errors` maps field paths to messages. `retry_after` is in seconds.

    Raises:
        ValueError: the code is not in the catalogue, or `retry_after` is negative.
    """

    def __init__(
        self,
        kind: Kind,
        code: str,
        message: str,
        *,
        field_errors: Mapping[str, Sequence[str]] | None = None,
        retry_after: float | None = None,
        **metadata: object,
    ) -> None:
        if code not in CATALOGUE:
            raise ValueError(f"{code!r} is not in the catalogue of error codes.")
        if retry_after is not None and retry_after < 0:
            raise ValueError("retry_after is a number of seconds, 0 or more.")
        super().__init__(kind, code, message)
        self.kind = Kind(kind)
        self.code = code
        self.message = message
        self.field_errors: dict[str, tuple[str, ...]] = {
            field: tuple(messages) for field, messages in (field_errors or {}).items()
        }
        self.retry_after = retry_after
        self.metadata: dict[str, str] = {key: _text(value) for key, value in metadata.items()}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
