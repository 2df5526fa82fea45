"""Makes a request repeatable: what a client's key is bound to."""

from __future__ import annotations

import hashlib
import hmac
import re

from google.protobuf.message import Message

from arcana.repository.v1 import idempotency_pb2
from tier_runtime.call import Actor
from tier_runtime.validation import invalid

_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")


class IdempotencyKeys:
    """Binds a client's key to who sent it, to the method and to the request's content.

    The fingerprint is keyed, because the request may hold a password.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def key_for(
        self, actor: Actor, method: str, request_id: str, request: Message
    ) -> idempotency_pb2.IdempotencyKey | None:
        """Return the key of a request; None when the client gave none.

        Raises:
            AppError: INVALID/VALIDATION_FAILED, when the client's key is not 1..255 printable
                ASCII characters.
        """
        if not request_id:
            return None
        _require_printable(request_id)
        return self._key(actor, method, request_id, self._fingerprint(method, request))

    def key_for_part(
        self, actor: Actor, method: str, request_id: str, number: int, part: Message, *, whole: str
    ) -> idempotency_pb2.IdempotencyKey | None:
        """Return the key of one part of a stream of requests; None when the client gave none.

        It is bound to the part's content and to `whole`, which says what is known of all parts.

        Raises:
            AppError: as `key_for` does.
        """
        if not request_id:
            return None
        _require_printable(request_id)
        # A digest, because a number behind the client's own key could make it too long, or make it
        # the key of another stream.
        digest = hashlib.sha256(request_id.encode()).hexdigest()
        fingerprint = self._fingerprint(f"{method} {whole}", part)
        return self._key(actor, method, f"{digest}.{number}", fingerprint)

    def _key(
        self, actor: Actor, method: str, key: str, fingerprint: bytes
    ) -> idempotency_pb2.IdempotencyKey:
        return idempotency_pb2.IdempotencyKey(
            scope=f"{actor.subject or 'anonymous'}:{method}", key=key, fingerprint=fingerprint
        )

    def _fingerprint(self, method: str, request: Message) -> bytes:
        content = type(request)()
        content.CopyFrom(request)
        if "request_id" in content.DESCRIPTOR.fields_by_name:
            content.ClearField("request_id")
        # Deterministic within one protobuf build, which is all that a key's 24 hours need; field
        # order and defaults do not vary, and the entries of a map are sorted.
        return hmac.digest(
            self._secret,
            method.encode() + b"\0" + content.SerializeToString(deterministic=True),
            "sha256",
        )


def _require_printable(request_id: str) -> None:
    if _PRINTABLE.fullmatch(request_id) is None:
        raise invalid({"request_id": ["Must be 1 to 255 printable ASCII characters."]})
