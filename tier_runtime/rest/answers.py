"""What the REST server answers: status, headers and the parts of a body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # ships no types

from tier_runtime.local_rpc import LocalAbort, LocalContext
from tier_runtime.metadata import Metadata
from tier_runtime.rest import statuses
from tier_runtime.rest.wire import (
    INITIAL_PREFIX,
    JSON_TYPE,
    NDJSON_TYPE,
    TRAILING_PREFIX,
    headers_from_metadata,
)
from tier_runtime.status import DETAILS_KEY

Headers = list[tuple[str, str]]

_PHRASES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus} | {
    499: "499 Client Closed Request"
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; the server closes `parts` where they can be closed."""

    status: int
    headers: Headers
    parts: Iterable[bytes]

    def send(self, start_response: Callable[[str, Headers], object]) -> Iterable[bytes]:
        """Begin the answer as WSGI wants it and return its body."""
        start_response(_PHRASES[self.status], self.headers)
        return self.parts


def json_answer(body: bytes, metadata: Headers) -> Answer:
    """Return the answer of a method that ended well."""
    headers = [("Content-Type", JSON_TYPE), ("Content-Length", str(len(body))), *metadata]
    return Answer(200, headers, (body,))


def stream_answer(lines: Iterable[bytes], metadata: Headers) -> Answer:
    """Return the answer of a method that has begun to answer in lines."""
    return Answer(200, [("Content-Type", NDJSON_TYPE), *metadata], lines)


def failed(
    failure: Status, http: int | None = None, headers: Sequence[tuple[str, str]] = ()
) -> Answer:
    """Return the answer of a failure, with another HTTP status than the failure's where given."""
    body = statuses.status_json(failure)
    sent: Headers = [("Content-Type", JSON_TYPE), ("Content-Length", str(len(body))), *headers]
    seconds = statuses.retry_after(failure)
    if seconds is not None:
        sent.append(("Retry-After", str(seconds)))
    return Answer(statuses.http_status(failure) if http is None else http, sent, (body,))


def aborted(abort: LocalAbort) -> tuple[Status, Headers]:
    """Return the status and the headers of a handler that ended with a status."""
    failure = statuses.status(abort.code, abort.details)
    trailing: list[tuple[str, str | bytes]] = []
    for key, value in abort.trailing_metadata:
        if key != DETAILS_KEY or not isinstance(value, bytes):
            trailing.append((key, value))
            continue
        try:
            failure = Status.FromString(value)
        except DecodeError:
            continue
    return failure, headers_from_metadata(trailing, TRAILING_PREFIX)


def metadata_headers(context: LocalContext) -> Headers:
    """Return what a handler said beside its message."""
    initial: Metadata = context.initial_metadata() or ()
    trailing: Metadata = context.trailing_metadata() or ()
    return [
        *headers_from_metadata(initial, INITIAL_PREFIX),
        *headers_from_metadata(trailing, TRAILING_PREFIX),
    ]


def failure_at_end(context: LocalContext) -> Status | None:
    """Return how an RPC failed whose handler has returned; None where all is well.

    The time may be over, somebody on this side may have cut it off, or the handler set a status
    without aborting.
    """
    failure = context.failure() or context.set_failure()
    return None if failure is None else statuses.status(failure.code(), failure.details())
