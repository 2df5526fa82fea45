"""Builds the place of the files' bytes, and the service of files."""

from __future__ import annotations

from functools import partial

from arcana.repository.v1 import file_repository_pb2_grpc
from repository_tier.blobs.folder import FolderBlobs
from repository_tier.blobs.store import BlobStore
from repository_tier.database import Database
from repository_tier.file_lists import FileLists
from repository_tier.file_removal import FileRemoval
from repository_tier.file_uploads import FileUploads
from repository_tier.servicers.file_servicer import FileServicer
from repository_tier.settings import BucketPlace, RepositorySettings
from repository_tier.totals import Totals
from tier_runtime.clock import Clock
from tier_runtime.server import Registration


def open_blobs(settings: RepositorySettings) -> BlobStore:
    """Return the place of the files' bytes.

    Raises:
        StartupError: it is a folder that cannot be written to.
    """
    place = settings.blobs()
    if not isinstance(place, BucketPlace):
        return FolderBlobs.open(place.path)
    # An extra that most installations do without.
    from repository_tier.blobs.s3 import HASTY, S3Blobs, connect_s3  # noqa: PLC0415 - see above.

    connections = settings.threads() + settings.repository_max_streams
    client = connect_s3(place.endpoint_url, connections)
    hasty = connect_s3(place.endpoint_url, connections, HASTY)
    return S3Blobs(client, hasty, place.bucket, place.prefix)


def make_file_service(
    database: Database, blobs: BlobStore, totals: Totals, clock: Clock
) -> Registration:
    """Build the service of files."""
    removal = FileRemoval(database, blobs, clock)
    files = FileServicer(
        FileLists(database, blobs, totals, clock),
        FileUploads(database, blobs, removal, clock),
        removal,
    )
    return Registration(
        "arcana.repository.v1.FileRepository",
        partial(file_repository_pb2_grpc.add_FileRepositoryServicer_to_server, files),
    )
