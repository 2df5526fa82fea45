"""How large a message may be on a REST hop: as large as on any other, whatever its JSON adds."""

from __future__ import annotations

from google.protobuf.message import Message

# Names, quotes and base64 make JSON longer than the same message in protobuf's own form. What is
# longer still is refused before it is read, the rest is judged by the message itself.
_GROWTH = 4
# The other way round: the longest message for its JSON is one of negative numbers.
_SHRINKAGE = 8


def wire_bytes(max_message_bytes: int) -> int:
    """Return the largest JSON text that is read for messages of this size."""
    return max_message_bytes * _GROWTH


def is_too_large(message: Message, json_bytes: int, max_message_bytes: int) -> bool:
    """True when the message whose JSON is so long is larger than it may be."""
    # To measure a message costs as much as to serialize it.
    if json_bytes * _SHRINKAGE < max_message_bytes:
        return False
    return message.ByteSize() > max_message_bytes
