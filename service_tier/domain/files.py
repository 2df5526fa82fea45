"""What may be uploaded: names, types, contents and sizes."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType

from tier_runtime.errors import AppError, Kind
from tier_runtime.validation import invalid

MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_NAME_CHARACTERS = 255
MAX_SENT_NAME_CHARACTERS = 1024
# By so many bytes the type of a content is known.
HEAD_BYTES = 8
# The fields of an upload that something can be said against.
NAME_FIELD, CONTENT_FIELD = "filename", "file"

# What no file system and no header of HTTP has trouble with. Control and format characters, among
# them those that turn the direction of writing, could make a name look like another one.
_REFUSED_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_RESERVED = re.compile(r'[<>:"|?*]')
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class FileType:
    """A type of file that may be uploaded.

    `signatures` are what its first bytes may be, and nothing further on: what lies in the middle of
    a content says nothing of what a browser takes it for.
    """

    content_type: str
    signatures: tuple[bytes, ...]


_OOXML = "application/vnd.openxmlformats-officedocument"
# Office files are known by what they are packed in.
_ZIP = (b"PK\x03\x04",)
_OLE = (bytes.fromhex("d0cf11e0a1b11ae1"),)
_JPEG = FileType("image/jpeg", (b"\xff\xd8\xff",))
FILE_TYPES = MappingProxyType(
    {
        "pdf": FileType("application/pdf", (b"%PDF-",)),
        "png": FileType("image/png", (b"\x89PNG\r\n\x1a\n",)),
        "jpg": _JPEG,
        "jpeg": _JPEG,
        "gif": FileType("image/gif", (b"GIF87a", b"GIF89a")),
        "doc": FileType("application/msword", _OLE),
        "docx": FileType(f"{_OOXML}.wordprocessingml.document", _ZIP),
        "xls": FileType("application/vnd.ms-excel", _OLE),
        "xlsx": FileType(f"{_OOXML}.spreadsheetml.sheet", _ZIP),
    }
)


@dataclass(frozen=True, slots=True)
class FileName:
    """A name as it is kept, and the type that it says."""

    text: str
    type: FileType


def file_name(sent: str) -> FileName:
    """Return the name as it is kept: without folders and without what could mislead.

    Raises:
        AppError: INVALID/VALIDATION_FAILED for no name, or a longer one than anybody has;
            INVALID/UNSUPPORTED_MEDIA_TYPE for an extension that may not be uploaded.
    """
    if not sent or len(sent) > MAX_SENT_NAME_CHARACTERS:
        raise invalid({NAME_FIELD: [f"Must have 1 to {MAX_SENT_NAME_CHARACTERS} characters."]})
    stem, dot, extension = _cleaned(sent).rpartition(".")
    extension = extension.lower()
    found = FILE_TYPES.get(extension) if dot else None
    if found is None:
        raise AppError(
            Kind.INVALID,
            "UNSUPPORTED_MEDIA_TYPE",
            f"Files of this type are not taken; send one of {', '.join(FILE_TYPES)}.",
        )
    room = MAX_NAME_CHARACTERS - len(extension) - 1
    # What is left of a name that was an extension only, or nothing that may stay, needs one.
    stem = stem.strip(". ")[:room].rstrip(". ") or "file"
    return FileName(f"{stem}.{extension}", found)


def checked_content(chunks: Iterable[bytes], file_type: FileType) -> Iterator[bytes]:
    """Yield the chunks of a content, the first of them large enough to be known by.

    Nothing is yielded before the type is known, and never more than may be uploaded.

    Raises:
        AppError: INVALID/VALIDATION_FAILED for a content of another type, or none;
            INVALID/BODY_TOO_LARGE.
    """
    head, size = b"", 0
    is_known = False
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_FILE_BYTES:
            raise AppError(
                Kind.INVALID, "BODY_TOO_LARGE", f"A file may have {MAX_FILE_BYTES} bytes."
            )
        if is_known:
            yield chunk
            continue
        head += chunk
        if len(head) >= HEAD_BYTES:
            _require_type(head, file_type)
            is_known = True
            yield head
    if not is_known:
        _require_type(head, file_type)
        yield head


class Measure:
    """Size and SHA-256 of what passes by."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def add(self, chunk: bytes) -> None:
        """Count a chunk."""
        self._digest.update(chunk)
        self.size_bytes += len(chunk)

    @property
    def sha256(self) -> bytes:
        """The digest of all that was added."""
        return self._digest.digest()


def _cleaned(sent: str) -> str:
    name = unicodedata.normalize("NFC", sent).replace("\\", "/").rpartition("/")[2]
    name = "".join(c for c in name if unicodedata.category(c) not in _REFUSED_CATEGORIES)
    return _SPACES.sub(" ", _RESERVED.sub("_", name)).strip()


def _require_type(head: bytes, file_type: FileType) -> None:
    if not head:
        raise invalid({CONTENT_FIELD: ["The file is empty."]})
    if not head.startswith(file_type.signatures):
        raise invalid({CONTENT_FIELD: ["The content is not what the extension says."]})
