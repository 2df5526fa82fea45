"""Files to documents, and loaded fields to requests about them."""

from __future__ import annotations

from typing import Any

from arcana.service.v1 import file_service_pb2 as pb
from arcana.service.v1.file_pb2 import File
from controller_tier.conversion.paging import page_request
from controller_tier.conversion.times import rfc3339
from controller_tier.operations import Fields


def file_document(file: File) -> dict[str, Any]:
    """Return a file as consumers see it."""
    return {
        "id": file.id,
        "filename": file.filename,
        "content_type": file.content_type,
        "size": file.size_bytes,
        "sha256": file.sha256.hex(),
        "url": f"{file_path(file.id)}/download",
        "uploaded_by": file.uploaded_by,
        "created_at": rfc3339(file.created_time),
    }


def file_path(file_id: str) -> str:
    """Return the path of a file."""
    return f"/api/v1/files/{file_id}"


def list_files_request(query: Fields) -> pb.ListFilesRequest:
    """Return the request for one page of files."""
    return pb.ListFilesRequest(page=page_request(query))
