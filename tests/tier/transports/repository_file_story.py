"""The part of the repository tier's story that is about files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from tests.tier.transports.file_story import CONTENT, LARGE, NAME
from tests.tier.transports.plans import numbered_id
from tests.tier.transports.transcript import Transcript

OWNER, OTHER = numbered_id(7, family=1), numbered_id(8, family=1)
NOTHING = numbered_id(1, family=0xFFFF)
QUOTA = 3 * len(CONTENT)


def tell(transcript: Transcript, events: Iterator[dict[str, Any]]) -> None:
    """Call every RPC of FileRepository, well and badly; the events are used one by one."""
    file_id = _uploads(transcript, events)
    _reads(transcript, file_id)
    _ends(transcript, events, file_id)


def upload_of(
    number: int, content: bytes = CONTENT, uploaded_by: str = OWNER, **end: Any
) -> list[dict[str, Any]]:
    """Return the messages of an upload, their fields."""
    start = {
        "file_id": numbered_id(number, family=9),
        "filename": NAME,
        "content_type": "application/pdf",
        "uploaded_by": uploaded_by,
    }
    told = {
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).digest(),
        "quota_bytes": QUOTA,
    }
    pieces = [content[at : at + LARGE] for at in range(0, len(content), LARGE)]
    return [{"start": start}, *({"chunk": piece} for piece in pieces), {"end": told | end}]


def _uploads(transcript: Transcript, events: Iterator[dict[str, Any]]) -> str:
    send = transcript.send
    key = {"scope": "files", "key": "k-1", "fingerprint": b"f" * 32}
    once: dict[str, Any] = {"idempotency_key": key, "events": [next(events)]}
    first = send("FileRepository/CreateFile", None, *upload_of(1, **once))
    send("FileRepository/CreateFile", None, *upload_of(2, **once))
    other = key | {"fingerprint": b"g" * 32}
    send("FileRepository/CreateFile", None, *upload_of(3, idempotency_key=other))
    send("FileRepository/CreateFile", None, *upload_of(1))
    send("FileRepository/CreateFile", None, *upload_of(4))
    send("FileRepository/CreateFile", None, *upload_of(5, quota_bytes=2 * len(CONTENT)))
    send("FileRepository/CreateFile", None, *upload_of(6, b"%PDF-", OTHER))
    send("FileRepository/CreateFile", None, *upload_of(7, size_bytes=1))
    send("FileRepository/CreateFile", None, *upload_of(7, size_bytes=0, sha256=b"x", quota_bytes=0))
    send("FileRepository/CreateFile", None, *upload_of(7, uploaded_by="nobody"))
    send("FileRepository/CreateFile", None, {"start": {}})
    send("FileRepository/CreateFile", None, *upload_of(7)[:-1])
    send("FileRepository/CreateFile", None, *upload_of(7)[1:])
    send("FileRepository/CreateFile")
    made: str = first.file.id
    return made


def _reads(transcript: Transcript, file_id: str) -> None:
    call = transcript.call
    call("FileRepository/GetFile", file_id=file_id.upper())
    call("FileRepository/GetFile", file_id=NOTHING)
    call("FileRepository/GetFile", file_id="no id")
    call("FileRepository/GetFile")
    call("FileRepository/ListFiles")
    call("FileRepository/ListFiles", filter={"uploaded_by": OTHER})
    call("FileRepository/ListFiles", filter={"uploaded_by": "nobody"})
    page: dict[str, Any] = {"page_size": 2, "descending": True}
    cursor = call("FileRepository/ListFiles", page=page).page.next_cursor
    call("FileRepository/ListFiles", page=page | {"cursor": cursor})
    call("FileRepository/ListFiles", page={"page_size": 2, "cursor": cursor})
    call("FileRepository/ListFiles", page={"page_size": 101})
    whole = call("FileRepository/ReadFile", file_id=file_id)
    assert b"".join(answer.chunk for answer in whole) == CONTENT
    call("FileRepository/ReadFile", file_id=file_id, offset=65_530, length=20)
    call("FileRepository/ReadFile", file_id=file_id, offset=len(CONTENT) + 1)
    call("FileRepository/ReadFile", file_id=file_id, offset=-1, length=-1)
    call("FileRepository/ReadFile", file_id=NOTHING)
    call("FileRepository/ReadFile")
    call("FileRepository/SignDownloadUrl", file_id=file_id, lifetime={"seconds": 300})
    call("FileRepository/SignDownloadUrl", file_id=file_id, lifetime={"seconds": 604_801})
    call("FileRepository/SignDownloadUrl", file_id=file_id, lifetime={})
    call("FileRepository/SignDownloadUrl", file_id=NOTHING, lifetime={"seconds": 300})
    call("FileRepository/SignDownloadUrl", file_id=file_id)


def _ends(transcript: Transcript, events: Iterator[dict[str, Any]], file_id: str) -> None:
    call = transcript.call
    call("FileRepository/DeleteFile", file_id=file_id, events=[next(events)])
    call("FileRepository/DeleteFile", file_id=file_id)
    call("FileRepository/DeleteFile")
    call("FileRepository/SweepFiles", min_age={"seconds": 0})
    call("FileRepository/SweepFiles", min_age={"seconds": 3600}, limit=1)
    call("FileRepository/SweepFiles", min_age={"seconds": -1}, limit=1001)
    call("FileRepository/SweepFiles")
