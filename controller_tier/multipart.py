"""Reads the one file of a form (multipart/form-data, RFC 7578) while it comes.

Nothing of it is kept beyond a block, and what is too large, or no such form, is refused as soon as
that can be known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from controller_tier.problems import FieldsError
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.wsgi_environ import TAKE_INPUT

FORM_TYPE = "multipart/form-data"
# RFC 2046, section 5.1.1.
MAX_BOUNDARY_BYTES = 70
# What the decoder, and the next tier, get of the body at a time at most; and the next tier not
# much less, however small the pieces are in which it comes.
PIECE_BYTES = 64 * 1024
# What a form may have besides its file: boundaries, headers, an epilogue.
MAX_FRAME_BYTES = 64 * 1024

_MISSING = "This field is required."


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file on its way in.

    Its chunks come while they are asked for, and the last one only when the form has come to a
    good end. They raise what `sent_file` raises.
    """

    filename: str
    chunks: Iterator[bytes]


def sent_file(request: Request, field: str, max_bytes: int, deadline: Deadline) -> SentFile:
    """Return the file of a form that has nothing but this field.

    Raises:
        AppError: UNSUPPORTED_MEDIA_TYPE for no form; MALFORMED_BODY for one that is none, or
            breaks off; VALIDATION_FAILED for other fields; BODY_TOO_LARGE; DEADLINE_EXCEEDED.
    """
    boundary = _boundary_of(request)
    length = request.content_length
    if length is not None and length > max_bytes + MAX_FRAME_BYTES:
        raise too_large(max_bytes)
    form = _Form(_blocks(request.environ, length, deadline), boundary)
    filename = _first_part(form, field)
    # The file is at least what is left but for the closing boundary and a line's end after it.
    if length is not None and length - form.taken - len(boundary) - 10 > max_bytes:
        raise too_large(max_bytes)
    return SentFile(filename, _content(form, field, max_bytes))


def too_large(max_bytes: int) -> AppError:
    """Return the error of a file that is larger than it may be."""
    return AppError(
        Kind.INVALID, "BODY_TOO_LARGE", f"A form may have one file of {max_bytes} bytes."
    )


class _Form:
    """A form's events, in order."""

    def __init__(self, blocks: Iterator[bytes], boundary: bytes) -> None:
        self._blocks = blocks
        self._received = 0
        self._decoder = MultipartDecoder(boundary, MAX_FRAME_BYTES + PIECE_BYTES)

    @property
    def taken(self) -> int:
        """The bytes of the body that the events so far were made of."""
        return self._received - len(self._decoder.buffer)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        try:
            event = self._decoder.next_event()
            while isinstance(event, NeedData):
                block = next(self._blocks, None)
                self._received += len(block or b"")
                self._decoder.receive_data(block)
                event = self._decoder.next_event()
        except RequestEntityTooLarge:
            raise _malformed("The form has more than its file.") from None
        except ValueError:
            # Not "from": it may quote what was sent.
            raise _malformed("The body is not a well-formed form, or breaks off.") from None
        if isinstance(event, Epilogue):
            raise StopIteration
        return event


def _boundary_of(request: Request) -> bytes:
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if request.mimetype != FORM_TYPE or coding not in {"", "identity"}:
        raise AppError(
            Kind.INVALID,
            "UNSUPPORTED_MEDIA_TYPE",
            f"Send a form, as {FORM_TYPE} and without a content coding.",
        )
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary.isascii() or not 1 <= len(boundary) <= MAX_BOUNDARY_BYTES:
        raise _malformed("The Content-Type names no boundary.")
    return boundary.encode()


def _first_part(form: _Form, field: str) -> str:
    """Return the filename of the form's first part, which is the file."""
    for event in form:
        if isinstance(event, (File, Field)):
            return _filename_of(event, field)
    raise FieldsError({field: [_MISSING]})


def _content(form: _Form, field: str, max_bytes: int) -> Iterator[bytes]:
    size = 0
    # One behind, so that who has the last one knows that all is well.
    behind = bytearray()
    for event in form:
        if isinstance(event, (File, Field)):
            _filename_of(event, field)
            raise FieldsError({field: ["Give it once."]})
        if isinstance(event, Data) and event.data:
            size += len(event.data)
            if size > max_bytes:
                raise too_large(max_bytes)
            if behind and len(behind) + len(event.data) > PIECE_BYTES:
                yield bytes(behind)
                behind.clear()
            behind += event.data
    if behind:
        yield bytes(behind)


def _filename_of(event: File | Field, field: str) -> str:
    if event.name != field:
        raise FieldsError({event.name or "body": ["Unknown field."]})
    if not isinstance(event, File):
        raise FieldsError({field: ["Must be a file, with a filename."]})
    return event.filename


def _blocks(environ: dict[str, Any], length: int | None, deadline: Deadline) -> Iterator[bytes]:
    """Yield a request's body in pieces, as it comes.

    Raises:
        AppError: MALFORMED_BODY, when it is shorter than was announced; DEADLINE_EXCEEDED.
    """
    if length is None and "HTTP_TRANSFER_ENCODING" not in environ:
        # There is none.
        return
    left = length or 0
    body = environ["wsgi.input"]
    # Servers other than ours may wait until all that was asked for is there.
    take: Callable[[], bytes] = environ.get(TAKE_INPUT) or (
        lambda: body.read(PIECE_BYTES if length is None else min(PIECE_BYTES, left))
    )
    while True:
        # Whoever sends a byte now and then is never silent for long.
        deadline.check()
        try:
            block = take()
        except OSError as error:
            # Its sender fell silent, or has gone.
            raise _malformed("The body could not be read to its end.") from error
        if not block:
            break
        left -= len(block)
        for start in range(0, len(block), PIECE_BYTES):
            yield block[start : start + PIECE_BYTES]
    if left > 0:
        raise _malformed("The body is shorter than its Content-Length.")


def _malformed(message: str) -> AppError:
    return AppError(Kind.INVALID, "MALFORMED_BODY", message)
