"""Which names, types, contents and sizes may be uploaded."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest

from service_tier.domain.files import (
    FILE_TYPES,
    HEAD_BYTES,
    MAX_FILE_BYTES,
    Measure,
    checked_content,
    file_name,
)
from tier_runtime.errors import AppError, Kind


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
    return packed.getvalue()


OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512)
CONTENTS = {
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "jpeg": b"\xff\xd8\xff\xe1\x00\x10Exif\x00",
    "gif": b"GIF89a\x01\x00\x01\x00",
    "doc": OLE,
    "xls": OLE,
    "docx": zipped(),
    "xlsx": zipped(),
}


def passed(content: bytes, extension: str, size: int = 1 << 20) -> list[bytes]:
    chunks = (content[at : at + size] for at in range(0, len(content), size))
    return list(checked_content(chunks, FILE_TYPES[extension]))


def refusal(content: bytes, extension: str, size: int = 1 << 20) -> AppError:
    with pytest.raises(AppError) as caught:
        passed(content, extension, size)
    return caught.value


def test_every_type_has_a_content_here() -> None:
    assert CONTENTS.keys() == FILE_TYPES.keys()


@pytest.mark.parametrize("extension", CONTENTS)
def test_a_content_that_is_what_its_extension_says_passes_unchanged(extension: str) -> None:
    content = CONTENTS[extension]
    assert b"".join(passed(content, extension)) == content
    assert b"".join(passed(content, extension, size=3)) == content
    long = content + bytes(3 * HEAD_BYTES)
    assert b"".join(passed(long, extension, size=100)) == long


@pytest.mark.parametrize("extension", CONTENTS)
@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><html></html>",
        b"plain",
        b"MZ\x90\x00",
        b"",
        # What libraries that guess types have among their signatures: a PNG's in text, a PDF's
        # after a line's end, those of Word and Excel somewhere in the middle.
        rb"\x89PNG<!DOCTYPE html><html></html>",
        b"\r\n%PDF-1.7",
        b"<html>".ljust(546) + b"bjbj",
        b"<html>".ljust(2112) + b"Microsoft Word document data",
        b"<html>".ljust(512) + b"\xfd\xff\xff\xff\x10",
    ],
)
def test_a_content_of_another_type_is_a_fault_of_the_file(extension: str, content: bytes) -> None:
    error = refusal(content, extension)
    assert (error.kind, error.code) == (Kind.INVALID, "VALIDATION_FAILED")
    assert error.field_errors.keys() == {"file"}


def test_types_are_not_taken_for_one_another() -> None:
    families = [{"jpg", "jpeg"}, {"doc", "xls"}, {"docx", "xlsx"}]
    for extension, content in CONTENTS.items():
        for other in CONTENTS.keys() - {extension}:
            if {extension, other} not in families:
                assert refusal(content, other).code == "VALIDATION_FAILED", (extension, other)


def test_nothing_passes_before_the_type_is_known() -> None:
    chunks = iter([b"<html>" + bytes(HEAD_BYTES), b"more"])
    with pytest.raises(AppError):
        next(checked_content(chunks, FILE_TYPES["png"]))
    assert list(chunks) == [b"more"]


def test_one_byte_too_many_is_refused_when_it_comes() -> None:
    whole = CONTENTS["png"].ljust(MAX_FILE_BYTES, b"\x00")
    assert sum(map(len, passed(whole, "png"))) == MAX_FILE_BYTES
    rest = iter([whole, b"\x00", b"never read"])
    content = checked_content(rest, FILE_TYPES["png"])
    assert next(content) == whole
    with pytest.raises(AppError) as caught:
        next(content)
    assert (caught.value.kind, caught.value.code) == (Kind.INVALID, "BODY_TOO_LARGE")
    assert list(rest) == [b"never read"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("photo.png", "photo.png"),
        ("Photo.PNG", "Photo.png"),
        ("archive.tar.pdf", "archive.tar.pdf"),
        ("../../etc/passwd.pdf", "passwd.pdf"),
        ("C:\\Users\\ada\\cv.docx", "cv.docx"),
        ("/cv.doc", "cv.doc"),
        ("re\u0301sume\u0301.pdf", "r\u00e9sum\u00e9.pdf"),
        ("日本 \U0001f600.gif", "日本 \U0001f600.gif"),
        ("a\x00b\nc\u202egpj.png", "abcgpj.png"),
        ('q<u>o"t|e?s*:.xls', "q_u_o_t_e_s__.xls"),
        ("  many \t\u3000 spaces . .jpg", "many spaces.jpg"),
        (".png", "file.png"),
        ("... .png", "file.png"),
        ("x" * 400 + ".jpeg", "x" * 250 + ".jpeg"),
    ],
)
def test_a_name_is_kept_without_what_could_mislead(sent: str, kept: str) -> None:
    assert file_name(sent).text == kept
    assert len(kept) <= 255


def test_a_name_says_the_media_type() -> None:
    assert file_name("a.JPG").type.content_type == "image/jpeg"
    assert file_name("a.xls").type.content_type == "application/vnd.ms-excel"
    assert file_name("a.docx").type.content_type.endswith("wordprocessingml.document")


@pytest.mark.parametrize("sent", ["", "x" * 1021 + ".png"])
def test_no_name_and_a_longer_one_than_anybody_has_are_faults(sent: str) -> None:
    with pytest.raises(AppError) as caught:
        file_name(sent)
    assert caught.value.field_errors.keys() == {"filename"}


@pytest.mark.parametrize(
    "sent", ["run.exe", "png", "page.html", "x.png.", "x.svg", "x.", "folder/"]
)
def test_other_extensions_are_not_taken(sent: str) -> None:
    with pytest.raises(AppError) as caught:
        file_name(sent)
    assert (caught.value.kind, caught.value.code) == (Kind.INVALID, "UNSUPPORTED_MEDIA_TYPE")


def test_size_and_digest_are_those_of_all_that_passed() -> None:
    measure = Measure()
    for chunk in (b"ab", b"", b"c"):
        measure.add(chunk)
    assert (measure.size_bytes, measure.sha256) == (3, hashlib.sha256(b"abc").digest())
