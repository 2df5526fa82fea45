"""Bytes in an object store that speaks S3."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import boto3  # type: ignore[import-untyped]  # ships no types
from botocore.client import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from repository_tier.blobs.store import CHUNK_BYTES, Draft, MissingBlobError, told_as_unavailable
from repository_tier.field_checks import is_id
from tier_runtime.logs import get_logger

# The smallest part that S3 takes of an upload in several, but for the last one.
PART_BYTES = 5 * 1024 * 1024
CONNECT_SECONDS = 2.0
READ_SECONDS = 10.0
# Sendings of one request in all.
MOST_ATTEMPTS = 2
# A removal holds a thread that all other calls of the tier want too, and what it cannot do now is
# swept later.
REMOVAL_SECONDS = 2.0
_FAILURES = (BotoCoreError, ClientError)
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchUpload"})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client waits for the store: for a connection, for bytes, and how often."""

    connect_seconds: float
    read_seconds: float
    attempts: int


PATIENT = Patience(CONNECT_SECONDS, READ_SECONDS, MOST_ATTEMPTS)
HASTY = Patience(REMOVAL_SECONDS, REMOVAL_SECONDS, 1)


def connect_s3(endpoint_url: str, most_connections: int, patience: Patience = PATIENT) -> Any:
    """Return a client; region and credentials come from where AWS's own tools have theirs.

    Nothing is connected yet. An empty endpoint means Amazon's own.
    """
    return boto3.client(
        "s3",
        endpoint_url=endpoint_url or None,
        config=Config(
            connect_timeout=patience.connect_seconds,
            read_timeout=patience.read_seconds,
            retries={"mode": "standard", "total_max_attempts": patience.attempts},
            max_pool_connections=most_connections,
            signature_version="s3v4",
            # Other stores seldom have a name for each bucket.
            s3={"addressing_style": "path" if endpoint_url else "auto"},
            # Beyond what S3 demands; other stores refuse what they do not know.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


class S3Blobs:
    """Bytes as objects below a prefix of a bucket.

    A draft is an upload in parts that is not completed, of which nobody sees anything; one of less
    than a part is in memory until it is published. A rule of the bucket may end uploads that were
    given up, as `sweep` does. The `hasty` client is that for removals.
    """

    def __init__(self, client: Any, hasty: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._hasty = hasty
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def draft(self, name: str) -> Draft:
        """Begin to write the bytes of a new name."""
        return _S3Draft(self._client, self._at(name))

    def read(self, name: str, offset: int, length: int) -> Iterator[bytes]:
        """Yield so many bytes from an offset on."""
        if length <= 0:
            return
        wanted = f"bytes={offset}-{offset + length - 1}"
        with told_as_unavailable(*_FAILURES):
            try:
                answer = self._client.get_object(**self._at(name), Range=wanted)
            except ClientError as error:
                if _code(error) in _MISSING:
                    raise MissingBlobError from error
                raise
            body = answer["Body"]
            try:
                yield from body.iter_chunks(CHUNK_BYTES)
            finally:
                body.close()

    def remove(self, name: str) -> None:
        """Take the bytes of a name away."""
        with told_as_unavailable(*_FAILURES):
            for upload in self._uploads(self._hasty, self._at(name)["Key"]):
                self._abort(self._hasty, upload)
            self._hasty.delete_object(**self._at(name))

    def sweep(self, before: datetime, limit: int) -> int:
        """Take drafts away that were begun before that."""
        count = 0
        with told_as_unavailable(*_FAILURES):
            for upload in self._uploads(self._client, self._prefix):
                if count == limit:
                    break
                # Others may have theirs in the same bucket.
                if upload["Initiated"] < before and self._is_ours(upload["Key"]):
                    self._abort(self._client, upload)
                    count += 1
        return count

    def signed_url(self, name: str, filename: str, content_type: str, seconds: int) -> str:
        """Return a URL that the store itself serves."""
        with told_as_unavailable(*_FAILURES):
            url: str = self._client.generate_presigned_url(
                "get_object",
                Params={
                    **self._at(name),
                    # RFC 6266 and RFC 8187.
                    "ResponseContentDisposition": (
                        f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
                    ),
                    "ResponseContentType": content_type,
                },
                ExpiresIn=seconds,
            )
        return url

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._hasty.close()

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + name}

    def _is_ours(self, key: str) -> bool:
        return key.startswith(self._prefix) and is_id(key.removeprefix(self._prefix))

    def _uploads(self, client: Any, prefix: str) -> Iterator[dict[str, Any]]:
        pages = client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            yield from page.get("Uploads", ())

    def _abort(self, client: Any, upload: dict[str, Any]) -> None:
        _abort(client, {"Bucket": self._bucket, "Key": upload["Key"]}, upload["UploadId"])


class _S3Draft:
    """An object that is being written, in memory for one part; it belongs to one thread."""

    def __init__(self, client: Any, place: dict[str, str]) -> None:
        self._client = client
        self._place = place
        self._upload_id = ""
        self._parts: list[dict[str, Any]] = []
        self._buffer = io.BytesIO()

    def write(self, chunk: bytes) -> None:
        self._buffer.write(chunk)
        if self._buffer.tell() >= PART_BYTES:
            with told_as_unavailable(*_FAILURES):
                self._send_part()

    def publish(self) -> None:
        with told_as_unavailable(*_FAILURES):
            if not self._upload_id:
                self._buffer.seek(0)
                self._client.put_object(**self._place, Body=self._buffer)
                return
            if self._buffer.tell():
                self._send_part()
            self._client.complete_multipart_upload(
                **self._place,
                UploadId=self._upload_id,
                MultipartUpload={"Parts": self._parts},
            )
            self._upload_id = ""

    def discard(self) -> None:
        # Done once published: then there is no upload any more.
        upload_id, self._upload_id = self._upload_id, ""
        if not upload_id:
            return
        try:
            _abort(self._client, self._place, upload_id)
        except _FAILURES as error:
            # What cannot be taken away now is swept later.
            get_logger(__name__).warning("blob_draft_left", error=type(error).__name__)

    def _send_part(self) -> None:
        if not self._upload_id:
            self._upload_id = self._client.create_multipart_upload(**self._place)["UploadId"]
        number = len(self._parts) + 1
        self._buffer.seek(0)
        answer = self._client.upload_part(
            **self._place, UploadId=self._upload_id, PartNumber=number, Body=self._buffer
        )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        # A new one, and not this one emptied: botocore may have closed it.
        self._buffer = io.BytesIO()


def _abort(client: Any, place: dict[str, str], upload_id: str) -> None:
    try:
        client.abort_multipart_upload(**place, UploadId=upload_id)
    except ClientError as error:
        if _code(error) not in _MISSING:
            raise


def _code(error: ClientError) -> str:
    code: str = error.response.get("Error", {}).get("Code", "")
    return code
