"""Builds what publishes jobs, the service of jobs, and the services that only their work calls."""

from __future__ import annotations

from functools import partial
from random import Random

from arcana.repository.v1 import (
    cleanup_repository_pb2_grpc,
    job_repository_pb2_grpc,
    report_repository_pb2_grpc,
    user_sync_repository_pb2_grpc,
)
from repository_tier.daily_reports import DailyReports
from repository_tier.database import Database
from repository_tier.expired import Expired
from repository_tier.jobs.attempts import Attempts
from repository_tier.jobs.broker import Broker
from repository_tier.jobs.enqueueing import Enqueueing
from repository_tier.jobs.lists import JobLists
from repository_tier.jobs.publishing import Publisher, Sweep
from repository_tier.servicers.background_servicers import (
    CleanupServicer,
    ReportServicer,
    UserSyncServicer,
)
from repository_tier.servicers.job_servicer import JobServicer
from repository_tier.totals import Totals
from repository_tier.user_syncs import UserSyncs
from tier_runtime.clock import Clock
from tier_runtime.server import Registration


def make_publisher(database: Database, broker: Broker, clock: Clock, random: Random) -> Publisher:
    """Build what hands due jobs to the broker; it is not started."""
    return Publisher(Sweep(database, broker, clock, random), clock)


def make_job_service(
    database: Database, publisher: Publisher, totals: Totals, clock: Clock, random: Random
) -> Registration:
    """Build the service of jobs, which tells the publisher of new ones."""
    jobs = JobServicer(
        Enqueueing(database, clock, publisher.tell),
        JobLists(database, totals),
        Attempts(database, clock, random, publisher.tell),
    )
    return Registration(
        "arcana.repository.v1.JobRepository",
        partial(job_repository_pb2_grpc.add_JobRepositoryServicer_to_server, jobs),
    )


def make_report_service(database: Database, clock: Clock) -> Registration:
    """Build the service of daily reports."""
    reports = ReportServicer(DailyReports(database, clock))
    return Registration(
        "arcana.repository.v1.ReportRepository",
        partial(report_repository_pb2_grpc.add_ReportRepositoryServicer_to_server, reports),
    )


def make_cleanup_service(database: Database, clock: Clock) -> Registration:
    """Build the service that removes what has expired."""
    cleanup = CleanupServicer(Expired(database, clock))
    return Registration(
        "arcana.repository.v1.CleanupRepository",
        partial(cleanup_repository_pb2_grpc.add_CleanupRepositoryServicer_to_server, cleanup),
    )


def make_user_sync_service(database: Database) -> Registration:
    """Build the service of what is pushed to an external directory."""
    syncs = UserSyncServicer(UserSyncs(database))
    return Registration(
        "arcana.repository.v1.UserSyncRepository",
        partial(user_sync_repository_pb2_grpc.add_UserSyncRepositoryServicer_to_server, syncs),
    )
