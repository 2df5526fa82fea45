"""An object store that speaks S3, on this machine: moto's server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from repository_tier.blobs.s3 import HASTY, S3Blobs, connect_s3

BUCKET = "arcana-files"
# Where AWS's own tools look for who they are.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def blobs_at(url: str, bucket: str = BUCKET, prefix: str = "") -> S3Blobs:
    """Return the bytes in an object store, which need not be there."""
    return S3Blobs(connect_s3(url, 4), connect_s3(url, 4, HASTY), bucket, prefix)


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A running object store with an empty bucket, and a client of the tests' own."""

    url: str
    client: Any

    def blobs(self, prefix: str = "files") -> S3Blobs:
        return blobs_at(self.url, prefix=prefix)

    def keys(self) -> list[str]:
        answer = self.client.list_objects_v2(Bucket=BUCKET)
        return [each["Key"] for each in answer.get("Contents", ())]

    def uploads(self) -> list[str]:
        """Return the keys of uploads in parts that are not completed."""
        answer = self.client.list_multipart_uploads(Bucket=BUCKET)
        return [each["Key"] for each in answer.get("Uploads", ())]

    def empty(self) -> None:
        for upload in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
            named = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
            self.client.abort_multipart_upload(Bucket=BUCKET, **named)
        for key in self.keys():
            self.client.delete_object(Bucket=BUCKET, Key=key)


@contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    """Run one on a free port; the environment holds CREDENTIALS."""
    # All of a process hold the same objects: those of the last one, too.
    s3_backends.reset()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        client = connect_s3(f"http://{host}:{port}", 4)
        client.create_bucket(Bucket=BUCKET)
        try:
            yield ObjectStore(f"http://{host}:{port}", client)
        finally:
            client.close()
    finally:
        server.stop()
