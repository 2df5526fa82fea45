"""What background jobs ask of the repository tier: reports, cleanup, and who waits for a sync."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from sqlalchemy import func, select, update

from arcana.repository.v1 import (
    cleanup_repository_pb2,
    job_repository_pb2,
    order_pb2,
    order_repository_pb2,
    report_repository_pb2,
    user_pb2,
    user_repository_pb2,
    user_sync_repository_pb2,
)
from arcana.repository.v1.cleanup_repository_pb2_grpc import CleanupRepositoryStub
from arcana.repository.v1.report_repository_pb2_grpc import ReportRepositoryStub
from arcana.repository.v1.user_sync_repository_pb2_grpc import UserSyncRepositoryStub
from repository_tier import tables
from tests.fakes.clock import FakeClock
from tests.tier.repository.requests import Requests
from tests.tier.repository.running_tier import RunningTier, bad_fields, failure
from tests.tier.repository.shelf import Shelf
from tier_runtime.errors import Kind

SYNCED = user_sync_repository_pb2.USER_SYNC_STATUS_SYNCED
FAILED = user_sync_repository_pb2.USER_SYNC_STATUS_FAILED


def report_of(date: str) -> report_repository_pb2.GetDailyReportRequest:
    return report_repository_pb2.GetDailyReportRequest(date=date)


def test_a_report_counts_the_day_and_takes_the_place_of_an_earlier_one(
    tier: RunningTier, make: Requests, shelf: Shelf, clock: FakeClock
) -> None:
    reports = ReportRepositoryStub(tier.channel)
    date = clock.now().date().isoformat()
    user = tier.users.CreateUser(make.user(email="ada@example.org")).user
    tier.sessions.CreateSession(make.session(user.id))
    tea, cup = shelf.put(stock=100), shelf.put(stock=100)
    _, placed = (
        tier.orders.PlaceOrder(make.order(make.line(tea, units), make.line(cup))).order
        for units in (3, 4)
    )
    tier.orders.CancelOrder(
        order_repository_pb2.CancelOrderRequest(
            order_id=placed.id, allowed_statuses=[order_pb2.ORDER_STATUS_PENDING]
        )
    )
    low = shelf.put(stock=2, low_stock_threshold=5)
    request = report_repository_pb2.MakeDailyReportRequest(date=date)
    report = reports.MakeDailyReport(request).report
    assert (report.registrations, report.logins, report.orders) == (1, 1, 2)
    (revenue,) = report.revenues
    assert (revenue.currency_code, revenue.orders) == ("USD", 1)
    assert revenue.revenue_minor == 4000
    assert [(top.product_id, top.quantity) for top in report.top_products] == [
        (tea, 3),
        (cup, 1),
    ]
    assert [each.product_id for each in report.low_stock_products] == [low]
    assert reports.GetDailyReport(report_of(date)).report == report

    tier.users.CreateUser(make.user(email="bob@example.org"))
    assert reports.MakeDailyReport(request).report.registrations == 2
    assert reports.GetDailyReport(report_of(date)).report.registrations == 2
    clock.advance(24 * 3600)
    request.date = clock.now().date().isoformat()
    assert reports.MakeDailyReport(request).report.registrations == 0


def test_a_day_without_a_report_and_what_is_no_day(tier: RunningTier) -> None:
    reports = ReportRepositoryStub(tier.channel)
    missing = failure(reports.GetDailyReport, report_of("2026-01-01"))
    assert missing == (Kind.MISSING, "NOT_FOUND")
    for text in ("20260101", "2026-02-30", "yesterday", "9999-12-31"):
        assert bad_fields(reports.GetDailyReport, report_of(text)) == {"date"}
        request = report_repository_pb2.MakeDailyReportRequest(date=text)
        assert bad_fields(reports.MakeDailyReport, request) == {"date"}


def test_users_wait_until_the_directory_has_said_something_to_their_version(
    tier: RunningTier, make: Requests
) -> None:
    syncs = UserSyncRepositoryStub(tier.channel)
    users = [
        tier.users.CreateUser(make.user(email=f"{name}@example.org")).user
        for name in ("ada", "bob")
    ]
    everything = user_sync_repository_pb2.ListPendingUsersRequest()
    waiting = syncs.ListPendingUsers(everything)
    assert (list(waiting.users), waiting.pending) == (users, 2)
    behind = user_sync_repository_pb2.ListPendingUsersRequest(
        page_size=1, after_user_id=users[0].id
    )
    assert list(syncs.ListPendingUsers(behind).users) == users[1:]

    said = [
        user_sync_repository_pb2.UserSync(user_id=users[0].id, version=1, status=SYNCED),
        # Changed since it was read.
        user_sync_repository_pb2.UserSync(user_id=users[1].id, version=7, status=FAILED),
    ]
    record = user_sync_repository_pb2.RecordUserSyncsRequest(syncs=said)
    assert syncs.RecordUserSyncs(record).recorded == 1
    assert list(syncs.ListPendingUsers(everything).users) == users[1:]
    tier.users.UpdateUserStatus(
        user_repository_pb2.UpdateUserStatusRequest(
            user_id=users[0].id, status=user_pb2.USER_STATUS_SUSPENDED
        )
    )
    assert syncs.ListPendingUsers(everything).pending == 2


def test_bad_syncs_are_refused(tier: RunningTier) -> None:
    syncs = UserSyncRepositoryStub(tier.channel)
    pending = user_sync_repository_pb2.USER_SYNC_STATUS_PENDING
    bad = user_sync_repository_pb2.UserSync(user_id="7", version=-1, status=pending)
    request = user_sync_repository_pb2.RecordUserSyncsRequest(syncs=[bad])
    faults = {"syncs[0].user_id", "syncs[0].version", "syncs[0].status"}
    assert bad_fields(syncs.RecordUserSyncs, request) == faults
    request = user_sync_repository_pb2.RecordUserSyncsRequest(syncs=[bad] * 101)
    assert bad_fields(syncs.RecordUserSyncs, request) == {"syncs"}
    wanted = user_sync_repository_pb2.ListPendingUsersRequest(page_size=101, after_user_id="x")
    assert bad_fields(syncs.ListPendingUsers, wanted) == {"page_size", "after_user_id"}


def test_what_is_over_is_removed_and_what_may_be_needed_stays(
    tier: RunningTier, make: Requests, clock: FakeClock
) -> None:
    cleanup = CleanupRepositoryStub(tier.channel)
    user = tier.users.CreateUser(
        make.user(email="ada@example.org", idempotency_key=make.key())
    ).user
    tier.sessions.CreateSession(make.session(user.id))
    job = job_repository_pb2.NewJob(id=make.new_id(), name="n")
    dead = job_repository_pb2.NewJob(id=make.new_id(), name="n")
    tier.jobs.EnqueueJobs(job_repository_pb2.EnqueueJobsRequest(jobs=[job, dead]))
    for each in (job, dead):
        lease_id = make.new_id()
        tier.jobs.StartJob(
            job_repository_pb2.StartJobRequest(
                job_id=each.id, lease_id=lease_id, lease_duration=Duration(seconds=9)
            )
        )
        if each is job:
            tier.jobs.FinishJob(
                job_repository_pb2.FinishJobRequest(job_id=each.id, lease_id=lease_id)
            )
    tier.change(update(tables.jobs).where(tables.jobs.c.id == dead.id).values(status="failed"))
    delete = cleanup_repository_pb2.DeleteExpiredRequest()
    assert cleanup.DeleteExpired(delete) == cleanup_repository_pb2.DeleteExpiredResponse()
    clock.advance(timedelta(days=100).total_seconds())
    gone = cleanup.DeleteExpired(delete)
    assert (gone.refresh_tokens, gone.sessions, gone.idempotency_keys, gone.jobs) == (1, 1, 1, 1)
    assert not gone.has_more
    (left,) = tier.rows(select(func.count().label("left")).select_from(tables.jobs))
    assert left["left"] == 1
