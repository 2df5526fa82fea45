"""The repository tier as this tier sees it: its stubs over one channel."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from arcana.repository.v1 import (
    cleanup_repository_pb2_grpc,
    event_repository_pb2_grpc,
    file_repository_pb2_grpc,
    job_repository_pb2_grpc,
    order_repository_pb2_grpc,
    product_repository_pb2_grpc,
    rate_limit_repository_pb2_grpc,
    report_repository_pb2_grpc,
    session_repository_pb2_grpc,
    user_repository_pb2_grpc,
    user_sync_repository_pb2_grpc,
)
from service_tier.coalesced_reads import DEFAULT_MAX_BATCH
from service_tier.job_reads import JobReads
from service_tier.order_reads import OrderReads
from service_tier.product_reads import ProductReads
from service_tier.user_reads import UserReads
from tier_runtime.channel import ChannelSettings
from tier_runtime.tls.files import TlsFiles

_USERS = "arcana.repository.v1.UserRepository"
_SESSIONS = "arcana.repository.v1.SessionRepository"
_PRODUCTS = "arcana.repository.v1.ProductRepository"
_ORDERS = "arcana.repository.v1.OrderRepository"
_EVENTS = "arcana.repository.v1.EventRepository"
_JOBS = "arcana.repository.v1.JobRepository"
_FILES = "arcana.repository.v1.FileRepository"

# Reads, and writes that are the same when sent twice, by the comments of their contract. What is
# bound to an idempotency key only sometimes is not among them, and neither is what refuses the
# second call: its caller would be told that what it has done cannot be done.
SAFE_TO_REPEAT = (
    f"{_USERS}/GetUser",
    f"{_USERS}/BatchGetUsers",
    f"{_USERS}/GetCredentials",
    f"{_USERS}/ListUsers",
    f"{_USERS}/GetUserProfile",
    f"{_USERS}/CreateOneTimeToken",
    f"{_USERS}/GetOneTimeToken",
    f"{_SESSIONS}/CreateSession",
    f"{_SESSIONS}/EndSessionByRefreshToken",
    f"{_SESSIONS}/EndUserSessions",
    f"{_SESSIONS}/ListSessions",
    f"{_SESSIONS}/GetSession",
    f"{_SESSIONS}/ListAccessChanges",
    f"{_PRODUCTS}/GetProduct",
    f"{_PRODUCTS}/BatchGetProducts",
    f"{_PRODUCTS}/ListProducts",
    f"{_PRODUCTS}/SearchProducts",
    f"{_PRODUCTS}/ListStockMovements",
    f"{_ORDERS}/GetOrder",
    f"{_ORDERS}/ListOrders",
    f"{_EVENTS}/AppendEvents",
    f"{_EVENTS}/SettleEvents",
    f"{_EVENTS}/FollowEvents",
    f"{_EVENTS}/ListDeadEvents",
    f"{_EVENTS}/GetEventLag",
    f"{_JOBS}/EnqueueJobs",
    f"{_JOBS}/GetJob",
    f"{_JOBS}/ListJobs",
    f"{_JOBS}/ReportJobProgress",
    f"{_JOBS}/FinishJob",
    f"{_JOBS}/FailJob",
    "arcana.repository.v1.ReportRepository/MakeDailyReport",
    "arcana.repository.v1.ReportRepository/GetDailyReport",
    "arcana.repository.v1.CleanupRepository/DeleteExpired",
    "arcana.repository.v1.UserSyncRepository/ListPendingUsers",
    "arcana.repository.v1.UserSyncRepository/RecordUserSyncs",
    f"{_FILES}/GetFile",
    f"{_FILES}/ListFiles",
    f"{_FILES}/ReadFile",
    f"{_FILES}/SignDownloadUrl",
)


@dataclass(frozen=True, slots=True)
class Repository:
    """One stub for each service of the repository tier. They raise AppError only."""

    users: user_repository_pb2_grpc.UserRepositoryStub
    user_reads: UserReads
    sessions: session_repository_pb2_grpc.SessionRepositoryStub
    products: product_repository_pb2_grpc.ProductRepositoryStub
    product_reads: ProductReads
    orders: order_repository_pb2_grpc.OrderRepositoryStub
    order_reads: OrderReads
    files: file_repository_pb2_grpc.FileRepositoryStub
    events: event_repository_pb2_grpc.EventRepositoryStub
    rate_limits: rate_limit_repository_pb2_grpc.RateLimitRepositoryStub
    jobs: job_repository_pb2_grpc.JobRepositoryStub
    job_reads: JobReads
    reports: report_repository_pb2_grpc.ReportRepositoryStub
    cleanup: cleanup_repository_pb2_grpc.CleanupRepositoryStub
    user_syncs: user_sync_repository_pb2_grpc.UserSyncRepositoryStub

    @classmethod
    def over(cls, channel: grpc.Channel, *, max_batch: int = DEFAULT_MAX_BATCH) -> Repository:
        """Return the stubs over a channel, which stays the caller's.

        At most `max_batch` reads of single users, or of single products, at the same time are sent
        as one; 1 sends each alone.
        """
        return cls(
            user_repository_pb2_grpc.UserRepositoryStub(channel),
            UserReads(channel, max_batch=max_batch),
            session_repository_pb2_grpc.SessionRepositoryStub(channel),
            product_repository_pb2_grpc.ProductRepositoryStub(channel),
            ProductReads(channel, max_batch=max_batch),
            order_repository_pb2_grpc.OrderRepositoryStub(channel),
            OrderReads(channel),
            file_repository_pb2_grpc.FileRepositoryStub(channel),
            event_repository_pb2_grpc.EventRepositoryStub(channel),
            rate_limit_repository_pb2_grpc.RateLimitRepositoryStub(channel),
            job_repository_pb2_grpc.JobRepositoryStub(channel),
            JobReads(channel),
            report_repository_pb2_grpc.ReportRepositoryStub(channel),
            cleanup_repository_pb2_grpc.CleanupRepositoryStub(channel),
            user_sync_repository_pb2_grpc.UserSyncRepositoryStub(channel),
        )


def channel_settings(tls: TlsFiles | None = None) -> ChannelSettings:
    """Return how this tier calls the repository tier."""
    return ChannelSettings(retried_methods=SAFE_TO_REPEAT, tls=tls)
