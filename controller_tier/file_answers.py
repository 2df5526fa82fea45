"""Answers that are a file, or a part of one (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from flask import Request, Response
from werkzeug.datastructures import ContentRange

from arcana.service.v1.file_pb2 import File
from controller_tier.documents import REVALIDATE, empty_answer
from tier_runtime.errors import AppError
from tier_runtime.logs import get_logger


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of a file that are asked for; `is_whole` says that no range is."""

    offset: int
    length: int
    is_whole: bool


def has_content(request: Request, file: File) -> bool:
    """True when If-None-Match of a request names the content of a file, so that 304 answers it."""
    return request.if_none_match.contains_weak(_tag(file))


def part_of(request: Request, file: File) -> Part | None:
    """Return which part of a file a request asks for, None where the file has no such part.

    Of several ranges at once, all of it.
    """
    whole = Part(0, file.size_bytes, is_whole=True)
    wanted = request.range
    # Section 14.2: to other methods than GET a range means nothing.
    if request.method != "GET" or wanted is None:
        return whole
    if wanted.units != "bytes" or len(wanted.ranges) != 1:
        return whole
    # Section 13.1.5: a tag is compared strongly, which werkzeug's own reading of it is not; a date
    # says nothing about what has only a tag.
    if request.headers.get("If-Range", _quoted_tag(file)).strip() != _quoted_tag(file):
        return whole
    first, _stop = wanted.ranges[0]
    if first < -file.size_bytes:
        # Section 14.1.2: of a suffix that is longer than the file, all that there is.
        return Part(0, file.size_bytes, is_whole=False)
    found = wanted.range_for_length(file.size_bytes)
    if found is None:
        return None
    start, stop = found
    return Part(start, stop - start, is_whole=False)


def unchanged_answer(file: File) -> Response:
    """Return 304, for a client that has the content already."""
    return _described(empty_answer(304), file)


def content_answer(file: File, part: Part, body: Iterable[bytes]) -> Response:
    """Return a part of a file as an attachment."""
    status = 200 if part.is_whole else 206
    answer = _described(Response(body, status, content_type=file.content_type), file)
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Content-Length"] = str(part.length)
    answer.headers.set("Content-Disposition", "attachment", **_names(file.filename))
    if not part.is_whole:
        answer.content_range = ContentRange(
            "bytes", part.offset, part.offset + part.length, file.size_bytes
        )
    return answer


def whole_or_broken_off(chunks: Iterable[bytes], length: int) -> Iterator[bytes]:
    """Yield so many bytes; where there are fewer, have the server break the answer off.

    Its status is on the way already, so that nothing but a body that is too short can say it.

    Raises:
        ConnectionResetError: which the server takes quietly, and sends nothing more.
    """
    try:
        for chunk in chunks:
            length -= len(chunk)
            yield chunk
    except AppError as error:
        get_logger(__name__).warning("download_broken_off", code=error.code)
        raise ConnectionResetError from error
    if length:
        get_logger(__name__).warning("download_broken_off", missing_bytes=length)
        raise ConnectionResetError


def _names(filename: str) -> dict[str, str]:
    """Return a name as RFC 6266 has it: for those who know RFC 8187, and for those who do not."""
    if filename.isascii():
        return {"filename": filename}
    # Character by character, and not into what means something in a name: wide dots and slashes
    # would become those of a path, and a name of wide letters only would be an extension.
    simple = "".join(map(_simple, filename))
    return {"filename": simple, "filename*": f"UTF-8''{quote(filename, safe='')}"}


def _simple(character: str) -> str:
    if character.isascii():
        return character
    letters = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return letters if letters.isalnum() else "_"


def _tag(file: File) -> str:
    return file.sha256.hex()


def _quoted_tag(file: File) -> str:
    return f'"{_tag(file)}"'


def _described(answer: Response, file: File) -> Response:
    answer.set_etag(_tag(file))
    answer.headers["Cache-Control"] = REVALIDATE
    return answer
