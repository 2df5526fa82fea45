"""Builds the service of files."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from arcana.service.v1 import file_service_pb2_grpc
from service_tier.events import Events
from service_tier.idempotency import IdempotencyKeys
from service_tier.repository import Repository
from service_tier.servicers.files import FileServicer
from service_tier.settings import ServiceSettings
from service_tier.usecases.files import Files
from service_tier.usecases.uploads import Uploads
from tier_runtime.ids import IdSource
from tier_runtime.server import Registration


def make_file_service(
    settings: ServiceSettings,
    repository: Repository,
    events: Events,
    ids: IdSource,
    idempotency: IdempotencyKeys,
) -> Registration:
    """Build the service of files."""
    uploads = Uploads(repository, events, ids, idempotency, quota_bytes=settings.file_quota_bytes)
    lifetime = timedelta(seconds=settings.download_url_expires)
    files = FileServicer(Files(repository, events, download_lifetime=lifetime), uploads)
    return Registration(
        "arcana.service.v1.FileService",
        partial(file_service_pb2_grpc.add_FileServiceServicer_to_server, files),
    )
