"""Files sent to a running tier, and what it has of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from arcana.repository.v1 import file_pb2
from arcana.repository.v1 import file_repository_pb2 as messages
from repository_tier.tables import file_usage
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier
from tier_runtime.errors import Kind
from tier_runtime.ids import IdSource

CONTENT = bytes(range(256)) * 1000
QUOTA = 1 << 30
MALFORMED = (Kind.INVALID, "MALFORMED_BODY")
MISSING = (Kind.MISSING, "FILE_NOT_FOUND")


def kept(folder: Path) -> list[str]:
    """Return the names of all bytes that are there, drafts too."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def upload(
    ids: IdSource, content: bytes = CONTENT, size: int = 65_536, **fields: Any
) -> Iterator[messages.CreateFileRequest]:
    """Yield the messages of an upload; fields are those of its start and its end."""
    start: dict[str, Any] = {
        "file_id": ids.new_id(),
        "filename": "notes.pdf",
        "content_type": "application/pdf",
        "uploaded_by": ids.new_id(),
    }
    end: dict[str, Any] = {
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).digest(),
        "quota_bytes": QUOTA,
    }
    for name, value in fields.items():
        (start if name in start else end)[name] = value
    yield messages.CreateFileRequest(start=messages.CreateFileStart(**start))
    for at in range(0, len(content), size):
        yield messages.CreateFileRequest(chunk=content[at : at + size])
    yield messages.CreateFileRequest(end=messages.CreateFileEnd(**end))


def created(
    tier: RunningTier, make: Requests, content: bytes = CONTENT, **fields: Any
) -> file_pb2.File:
    return tier.files.CreateFile(upload(make, content, **fields)).file


def content_of(tier: RunningTier, file_id: str, offset: int = 0, length: int = 0) -> bytes:
    request = messages.ReadFileRequest(file_id=file_id, offset=offset, length=length)
    return b"".join(answer.chunk for answer in tier.files.ReadFile(request))


def usage(tier: RunningTier, user_id: str) -> int:
    wanted = select(file_usage.c.total_bytes).where(file_usage.c.user_id == user_id)
    rows = tier.rows(wanted)
    return rows[0]["total_bytes"] if rows else 0
