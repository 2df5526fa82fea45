"""The idempotency key of a request, which may have none."""

from __future__ import annotations

from typing import Literal, Protocol

from arcana.repository.v1.idempotency_pb2 import IdempotencyKey
from repository_tier.idempotency import OnceKey, once_key_from_proto


class MayHaveKey(Protocol):
    """A message that has a field of its own for the key."""

    @property
    def idempotency_key(self) -> IdempotencyKey:
        """The key, empty where none is given."""
        ...

    def HasField(self, field_name: Literal["idempotency_key"], /) -> bool:
        """Return whether one is."""
        ...


def once_key_of(message: MayHaveKey) -> OnceKey | None:
    """Check the key of a message and return it as it is stored, None where it has none.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    if not message.HasField("idempotency_key"):
        return None
    return once_key_from_proto(message.idempotency_key)
