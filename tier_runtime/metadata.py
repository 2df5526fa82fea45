"""What travels beside a message between tiers, and how it is read without trust."""

from __future__ import annotations

import re
from collections.abc import Iterable

from google.protobuf.message import DecodeError

from arcana.common.v1 import actor_pb2
from tier_runtime.call import Actor, Call
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import IdSource

ACTOR_KEY = "arcana-actor-bin"
REQUEST_ID_KEY = "x-request-id"
TRACEPARENT_KEY = "traceparent"
TRACESTATE_KEY = "tracestate"

Metadata = Iterable[tuple[str, str | bytes]]

# Bounds that no actor of ours reaches; whatever does is not ours.
MAX_ACTOR_BYTES = 4096
MAX_ROLES = 64
MAX_TEXT = 256

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context, level 1, section 3.2.
# Ids of zeros only and version ff are not valid (section 3.2.2).
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
# Section 3.3.1.5: so much should be passed on, and nobody needs more of it from us.
MAX_TRACESTATE = 512
# Section 3.3.1.3: a vendor, perhaps of a tenant, and what is its own.
_TRACESTATE_MEMBER = re.compile(
    r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[ -+\--<>-~]{1,256}"
)


def is_request_id(text: str) -> bool:
    """True for 1 to 128 characters of [A-Za-z0-9._-]."""
    return _REQUEST_ID.fullmatch(text) is not None


def is_traceparent(text: str) -> bool:
    """True for the form of a W3C traceparent header."""
    return _TRACEPARENT.fullmatch(text) is not None


def is_tracestate(text: str) -> bool:
    """True for a W3C tracestate header of 1 to 512 characters.

    Of another OpenTelemetry would write a line of log, with what the client sent, for each span.
    """
    members = (member.strip(" ") for member in text.split(","))
    return 0 < len(text) <= MAX_TRACESTATE and all(
        not member or _TRACESTATE_MEMBER.fullmatch(member) for member in members
    )


def metadata_of(call: Call, traceparent: str = "") -> list[tuple[str, str | bytes]]:
    """Return what an outgoing RPC of this call carries, by that span of its own if there is one."""
    actor = actor_to_proto(call.actor, call.request_id)
    carried: list[tuple[str, str | bytes]] = [
        (ACTOR_KEY, actor.SerializeToString()),
        (REQUEST_ID_KEY, call.request_id),
    ]
    traceparent = traceparent or call.traceparent
    if traceparent:
        carried.append((TRACEPARENT_KEY, traceparent))
        if call.tracestate:
            carried.append((TRACESTATE_KEY, call.tracestate))
    return carried


def request_id_from(metadata: Metadata, ids: IdSource) -> str:
    """Return the caller's request id, or a new one when it sent none or a bad one."""
    for key, value in metadata:
        if key == REQUEST_ID_KEY and isinstance(value, str) and is_request_id(value):
            return value
    return ids.new_id()


def traceparent_from(metadata: Metadata) -> str:
    """Return the caller's traceparent, or "" when it sent none or a bad one."""
    for key, value in metadata:
        if key == TRACEPARENT_KEY and isinstance(value, str) and is_traceparent(value):
            return value
    return ""


def tracestate_from(metadata: Metadata) -> str:
    """Return the caller's tracestate, or "" when it sent none or a bad one."""
    for key, value in metadata:
        if key == TRACESTATE_KEY and isinstance(value, str) and is_tracestate(value):
            return value
    return ""


def actor_from(metadata: Metadata) -> Actor:
    """Return the actor that the caller speaks for; anonymous when it names none.

    Raises:
        AppError: UNAUTHENTICATED/UNAUTHENTICATED, when it names one that cannot be read, names
            several, or names one that exceeds the bounds.
    """
    values = [value for key, value in metadata if key == ACTOR_KEY]
    if not values:
        return Actor()
    value = values[0]
    if len(values) > 1 or not isinstance(value, bytes) or len(value) > MAX_ACTOR_BYTES:
        raise _unreadable()
    try:
        message = actor_pb2.Actor.FromString(value)
    except DecodeError as error:
        raise _unreadable() from error
    return actor_of(message)


def actor_to_proto(actor: Actor, request_id: str) -> actor_pb2.Actor:
    """Return an actor as it travels, in metadata or in a message."""
    return actor_pb2.Actor(
        subject=actor.subject,
        roles=sorted(actor.roles),
        session_id=actor.session_id,
        request_id=request_id,
    )


def actor_of(message: actor_pb2.Actor) -> Actor:
    """Return the actor in a message; anonymous when it names none.

    Raises:
        AppError: UNAUTHENTICATED/UNAUTHENTICATED, when it exceeds the bounds.
    """
    texts = (message.subject, message.session_id, *message.roles)
    if len(message.roles) > MAX_ROLES or any(len(text) > MAX_TEXT for text in texts):
        raise _unreadable()
    # Roles or a session without a subject would be rights that belong to nobody.
    if not message.subject and (message.roles or message.session_id):
        raise _unreadable()
    return Actor(message.subject, frozenset(message.roles), message.session_id)


def _unreadable() -> AppError:
    return AppError(Kind.UNAUTHENTICATED, "UNAUTHENTICATED", "The actor cannot be read.")
