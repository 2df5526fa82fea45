"""The part of the service tier's story that is about files."""

from __future__ import annotations

from typing import Any

from tests.tier.transports.plans import numbered_id
from tests.tier.transports.transcript import Transcript
from tier_runtime.call import Actor

ADMIN = Actor("system", frozenset({"admin"}))
STRANGER = Actor(numbered_id(3, family=0xFFFF), frozenset({"user"}))
NOTHING = numbered_id(1, family=0xFFFF)
NAME = 'r\u00e9sum\u00e9 日本 \U0001f600 "\\/ %2F.pdf'
CONTENT = b"%PDF-1.7\n" + bytes(range(256)) * 800
LARGE = 64 * 1024


def tell(transcript: Transcript, owner: Actor) -> None:
    """Call every RPC of FileService, well and badly."""
    file_id = _uploads(transcript, owner)
    _reads(transcript, owner, file_id)
    _downloads(transcript, owner, file_id)
    _ends(transcript, owner, file_id)


def upload_of(
    filename: str, content: bytes = CONTENT, size: int = LARGE, **start: Any
) -> list[dict[str, Any]]:
    """Return the messages of an upload that comes to its end, their fields."""
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    chunks = [{"chunk": piece} for piece in pieces]
    return [{"start": {"filename": filename, **start}}, *chunks, {"end": {}}]


def _uploads(transcript: Transcript, owner: Actor) -> str:
    send = transcript.send
    first = send("FileService/UploadFile", owner, *upload_of(NAME, request_id="key-1"))
    send("FileService/UploadFile", owner, *upload_of(NAME, size=1000, request_id="key-1"))
    send("FileService/UploadFile", owner, *upload_of("other.pdf", request_id="key-1"))
    send("FileService/UploadFile", owner, *upload_of("small.gif", b"GIF89a" + b"x"))
    send("FileService/UploadFile", None, *upload_of(NAME))
    send("FileService/UploadFile", owner, *upload_of("run.exe"))
    send("FileService/UploadFile", owner, *upload_of("page.png", b"<html></html>"))
    send("FileService/UploadFile", owner, *upload_of("empty.png", b""))
    send("FileService/UploadFile", owner, *upload_of(""))
    send("FileService/UploadFile", owner, *upload_of(NAME, request_id="\n"))
    send("FileService/UploadFile", owner, *upload_of(NAME)[:-1])
    send("FileService/UploadFile", owner, *upload_of(NAME)[1:])
    send("FileService/UploadFile", owner, {"start": {"filename": NAME}}, {"chunk": b""})
    send("FileService/UploadFile", owner, {})
    send("FileService/UploadFile", owner)
    whole: str = first.file.id
    return whole


def _reads(transcript: Transcript, owner: Actor, file_id: str) -> None:
    call = transcript.call
    for asking in (owner, ADMIN, STRANGER, None):
        call("FileService/GetFile", asking, file_id=file_id)
        call("FileService/GetDownload", asking, file_id=file_id)
        call("FileService/ListFiles", asking)
    call("FileService/GetFile", owner, file_id=NOTHING)
    call("FileService/GetFile", owner, file_id="no id")
    call("FileService/GetFile", owner)
    call("FileService/GetDownload", owner)
    page = call("FileService/ListFiles", owner, page={"page_size": 1, "descending": True})
    cursor = page.page.next_cursor
    call(
        "FileService/ListFiles",
        owner,
        page={"page_size": 1, "descending": True, "cursor": cursor},
    )
    call("FileService/ListFiles", owner, page={"page_size": 101, "page": -1})
    call("FileService/ListFiles", owner, page={"cursor": "nonsense"})


def _downloads(transcript: Transcript, owner: Actor, file_id: str) -> None:
    call = transcript.call
    whole = call("FileService/DownloadFile", owner, file_id=file_id)
    assert b"".join(answer.chunk for answer in whole) == CONTENT
    part = call("FileService/DownloadFile", owner, file_id=file_id, offset=70_000, length=70_000)
    assert b"".join(answer.chunk for answer in part) == CONTENT[70_000:140_000]
    call("FileService/DownloadFile", ADMIN, file_id=file_id, offset=len(CONTENT) - 3, length=9)
    call("FileService/DownloadFile", owner, file_id=file_id, offset=len(CONTENT))
    call("FileService/DownloadFile", owner, file_id=file_id, offset=len(CONTENT) + 1)
    call("FileService/DownloadFile", owner, file_id=file_id, offset=-1, length=-1)
    call("FileService/DownloadFile", STRANGER, file_id=file_id)
    call("FileService/DownloadFile", owner)


def _ends(transcript: Transcript, owner: Actor, file_id: str) -> None:
    call = transcript.call
    call("FileService/DeleteFile", STRANGER, file_id=file_id)
    call("FileService/DeleteFile", None, file_id=file_id)
    call("FileService/DeleteFile", owner)
    call("FileService/DeleteFile", owner, file_id=file_id)
    call("FileService/DeleteFile", owner, file_id=file_id)
    call("FileService/GetFile", owner, file_id=file_id)
