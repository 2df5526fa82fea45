"""Forms, read while they come."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Request

from controller_tier.multipart import MAX_FRAME_BYTES, PIECE_BYTES, SentFile, sent_file
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError
from tier_runtime.wsgi_environ import TAKE_INPUT

BOUNDARY = "b0undary"
MOST = 300_000
CONTENT = bytes(range(256)) * 1000


def part(name: str, content: bytes, filename: str | None = "photo.png", extra: str = "") -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    head = f'Content-Disposition: form-data; name="{name}"{named}\r\n{extra}'
    return f"--{BOUNDARY}\r\n{head}\r\n".encode() + content + b"\r\n"


def form(*parts: bytes, end: bytes = f"--{BOUNDARY}--\r\n".encode()) -> bytes:
    return b"".join(parts) + end


class Body(io.BytesIO):
    """A body that counts what is read of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def request_of(body: bytes | Body, media_type: str = "", **environ: Any) -> tuple[Request, Body]:
    given = body if isinstance(body, Body) else Body(body)
    told = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": media_type or f"multipart/form-data; boundary={BOUNDARY}",
        "CONTENT_LENGTH": str(len(given.getvalue())),
        "wsgi.input": given,
        **environ,
    }
    return Request({name: value for name, value in told.items() if value is not None}), given


def chunked(body: bytes, size: int = 1000) -> tuple[Request, Iterator[bytes]]:
    pieces = iter([body[at : at + size] for at in range(0, len(body), size)])
    environ: dict[str, Any] = {
        "CONTENT_LENGTH": None,
        "HTTP_TRANSFER_ENCODING": "chunked",
        TAKE_INPUT: lambda: next(pieces, b""),
    }
    return request_of(body, **environ)[0], pieces


def read(request: Request, seconds: float = 5.0) -> SentFile:
    return sent_file(request, "file", MOST, Deadline.after(seconds))


def failure(request: Request) -> AppError:
    with pytest.raises(AppError) as caught:
        list(read(request).chunks)
    return caught.value


@pytest.mark.parametrize("content", [b"", b"x", b"\r\n", b"x--b0undary--", CONTENT, b"\n" * 70_000])
def test_the_file_comes_as_it_was_sent(content: bytes) -> None:
    for request in (
        request_of(form(part("file", content)))[0],
        chunked(form(part("file", content)))[0],
        chunked(form(part("file", content)), size=7)[0],
    ):
        sent = read(request)
        assert sent.filename == "photo.png"
        chunks = list(sent.chunks)
        assert b"".join(chunks) == content
        assert all(0 < len(chunk) <= PIECE_BYTES for chunk in chunks)


def test_what_comes_a_few_bytes_at_a_time_goes_on_in_few_chunks() -> None:
    # Each would be a message to two tiers.
    chunks = list(read(chunked(form(part("file", CONTENT[:100_000])), size=50)[0]).chunks)
    assert b"".join(chunks) == CONTENT[:100_000]
    assert len(chunks) == 2


def test_a_body_that_says_nothing_of_its_length_is_read_to_its_end() -> None:
    request, _ = request_of(
        form(part("file", CONTENT)), CONTENT_LENGTH=None, HTTP_TRANSFER_ENCODING="chunked"
    )
    assert b"".join(read(request).chunks) == CONTENT


def test_the_last_chunk_comes_only_when_the_form_has_come_to_a_good_end() -> None:
    second = part("file", b"two")
    request, _ = request_of(form(part("file", b"one"), second))
    sent = read(request)
    with pytest.raises(AppError) as caught:
        next(sent.chunks)
    assert caught.value.field_errors == {"file": ("Give it once.",)}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (form(part("other", b"x")), {"other": ("Unknown field.",)}),
        (form(part("file", b"x"), part("more", b"y", None)), {"more": ("Unknown field.",)}),
        (form(part("file", b"x", None)), {"file": ("Must be a file, with a filename.",)}),
        (form(), {"file": ("This field is required.",)}),
    ],
)
def test_other_fields_than_the_file_are_faults(body: bytes, errors: dict[str, Any]) -> None:
    error = failure(request_of(body)[0])
    assert (error.code, dict(error.field_errors)) == ("VALIDATION_FAILED", errors)


@pytest.mark.parametrize(
    "media_type", ["application/json", "multipart/mixed; boundary=x", "text/plain", ";"]
)
def test_what_is_no_form_is_another_media_type(media_type: str) -> None:
    assert failure(request_of(b"x", media_type)[0]).code == "UNSUPPORTED_MEDIA_TYPE"


def test_a_form_with_a_content_coding_is_not_read() -> None:
    request, _ = request_of(form(part("file", b"x")), HTTP_CONTENT_ENCODING="gzip")
    assert failure(request).code == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize(
    "boundary", ["", "; boundary=", f"; boundary={'x' * 71}", '; boundary="é"']
)
def test_a_form_has_a_boundary(boundary: str) -> None:
    assert failure(request_of(b"x", f"multipart/form-data{boundary}")[0]).code == "MALFORMED_BODY"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        form(part("file", CONTENT), end=b""),
        form(part("file", b"x"))[:30],
        f"--{BOUNDARY}\r\nX-Other: 1\r\n\r\nx\r\n--{BOUNDARY}--".encode(),
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=\xff".encode("latin-1")
        + b"\r\n\r\n",
    ],
)
def test_what_breaks_off_or_is_not_well_formed_is_malformed(body: bytes) -> None:
    assert failure(request_of(body)[0]).code == "MALFORMED_BODY"
    assert failure(chunked(body)[0]).code == "MALFORMED_BODY"


def test_a_body_that_is_shorter_than_announced_is_malformed() -> None:
    body = form(part("file", b"x"))
    assert failure(request_of(body, CONTENT_LENGTH=str(len(body) + 1))[0]).code == "MALFORMED_BODY"


def test_no_body_is_malformed() -> None:
    assert failure(request_of(b"", CONTENT_LENGTH=None)[0]).code == "MALFORMED_BODY"


def test_a_sender_that_falls_silent_leaves_a_malformed_body() -> None:
    class Silent(Body):
        def read(self, size: int | None = -1, /) -> bytes:
            raise BlockingIOError

    request, _ = request_of(Silent(form(part("file", b"x"))))
    assert failure(request).code == "MALFORMED_BODY"


def test_headers_and_epilogue_without_end_are_malformed() -> None:
    endless = f"--{BOUNDARY}\r\n".encode() + b"X-Long: y\r\n" * MAX_FRAME_BYTES
    assert failure(chunked(endless)[0]).code == "MALFORMED_BODY"
    tail = form(part("file", b"x")) + b" " * 4 * MAX_FRAME_BYTES
    assert failure(chunked(tail)[0]).code == "MALFORMED_BODY"


def test_one_byte_too_many_is_refused_before_the_file_is_read() -> None:
    request, body = request_of(form(part("file", b"x" * MOST)))
    assert len(b"".join(read(request).chunks)) == MOST
    request, body = request_of(form(part("file", b"x" * (MOST + 1))))
    with pytest.raises(AppError) as caught:
        read(request)
    assert caught.value.code == "BODY_TOO_LARGE"
    assert body.taken < MOST


def test_a_length_that_no_form_can_have_is_refused_before_anything_is_read() -> None:
    request, body = request_of(b"", CONTENT_LENGTH=str(MOST + MAX_FRAME_BYTES + 1))
    assert failure(request).code == "BODY_TOO_LARGE"
    assert body.taken == 0


def test_one_byte_too_many_of_an_unknown_length_is_refused_when_it_comes() -> None:
    content = b"x" * (MOST + 1)
    request, pieces = chunked(form(part("file", content + b"y" * 50_000)))
    assert failure(request).code == "BODY_TOO_LARGE"
    # The rest was left where it was.
    assert len(list(pieces)) >= 49


def test_a_sender_that_is_never_silent_for_long_has_no_more_time_than_others() -> None:
    request, _ = chunked(form(part("file", CONTENT)), size=1)
    with pytest.raises(AppError) as caught:
        read(request, seconds=0)
    assert caught.value.code == "DEADLINE_EXCEEDED"
