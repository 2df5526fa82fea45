"""The answers of a batch RPC, which asks for several things as single RPCs would one by one.

Its response holds one result for each, in order, as field 1; and a result holds either field 1 of
the single RPC's response, so that its bytes are those of that response, or the google.rpc.Status
with which the single RPC would have failed, as field 2. Nothing else is decoded here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from tier_runtime.errors import AppError
from tier_runtime.metadata import is_request_id
from tier_runtime.status import from_status, to_status
from tier_runtime.validation import REQUIRED, invalid
from tier_runtime.wire import message_field, message_fields, repeated_field

# More would be refused by every tier, in its contract's words.
MAX_ITEMS = 256

_ANSWER, _ERROR = 1, 2
_RESULTS = 1

# The serialized response of a single RPC, or how it failed.
Outcome = bytes | AppError


def batch_to_wire(outcomes: Iterable[Outcome]) -> bytes:
    """Return the serialized response of a batch."""
    return repeated_field(
        _RESULTS,
        [
            message_field(_ERROR, to_status(outcome).SerializeToString())
            if isinstance(outcome, AppError)
            else outcome
            for outcome in outcomes
        ],
    )


def batch_from_wire(serialized: bytes, count: int) -> list[Outcome]:
    """Return the outcomes in the serialized response of a batch of so many items.

    Raises:
        DecodeError: it is none, or of another number of items.
    """
    outcomes = [_outcome(number, result) for number, result in message_fields(serialized)]
    if len(outcomes) != count:
        raise DecodeError(f"{len(outcomes)} results for {count} items.")
    return outcomes


def require_items(field: str, count: int) -> None:
    """Check how many items a batch has.

    Raises:
        AppError: INVALID/VALIDATION_FAILED for none and for too many.
    """
    if not count:
        raise invalid({field: [REQUIRED]})
    if count > MAX_ITEMS:
        raise invalid({field: [f"More than {MAX_ITEMS}."]})


def request_ids_of(batch: Iterable[str]) -> dict[str, list[str]]:
    """Return the note for the log that says which requests a batch is for, if any are told."""
    known = [request_id for request_id in batch if is_request_id(request_id)]
    return {"request_ids": known} if known else {}


def _outcome(number: int, result: bytes) -> Outcome:
    fields: Sequence[tuple[int, bytes]] = list(message_fields(result))
    if number != _RESULTS or len(fields) != 1 or fields[0][0] not in {_ANSWER, _ERROR}:
        raise DecodeError("Not a result of a batch.")
    which, content = fields[0]
    return result if which == _ANSWER else from_status(Status.FromString(content))
