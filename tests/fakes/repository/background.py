"""Reports, cleanup and syncs, as far as the service tier can tell."""

from __future__ import annotations

import grpc

from arcana.repository.v1 import (
    cleanup_repository_pb2,
    cleanup_repository_pb2_grpc,
    report_pb2,
    report_repository_pb2,
    report_repository_pb2_grpc,
    user_sync_repository_pb2,
    user_sync_repository_pb2_grpc,
)
from tests.fakes.repository.state import State
from tier_runtime.errors import AppError, Kind


class FakeReports(report_repository_pb2_grpc.ReportRepositoryServicer):
    """Counts accounts and orders of all days."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.kept: dict[str, report_pb2.DailyReport] = {}

    def MakeDailyReport(
        self, request: report_repository_pb2.MakeDailyReportRequest, context: grpc.ServicerContext
    ) -> report_repository_pb2.MakeDailyReportResponse:
        with self._state.lock:
            report = report_pb2.DailyReport(
                date=request.date,
                registrations=len(self._state.accounts),
                orders=len(self._state.orders),
                created_time=self._state.now(),
            )
            self.kept[request.date] = report
            return report_repository_pb2.MakeDailyReportResponse(report=report)

    def GetDailyReport(
        self, request: report_repository_pb2.GetDailyReportRequest, context: grpc.ServicerContext
    ) -> report_repository_pb2.GetDailyReportResponse:
        with self._state.lock:
            if request.date not in self.kept:
                raise AppError(Kind.MISSING, "NOT_FOUND", "No such report.")
            return report_repository_pb2.GetDailyReportResponse(report=self.kept[request.date])


class FakeCleanup(cleanup_repository_pb2_grpc.CleanupRepositoryServicer):
    """Answers what a test has laid out, and then that there is nothing more."""

    def __init__(self) -> None:
        self.answers: list[cleanup_repository_pb2.DeleteExpiredResponse] = []

    def DeleteExpired(
        self, request: cleanup_repository_pb2.DeleteExpiredRequest, context: grpc.ServicerContext
    ) -> cleanup_repository_pb2.DeleteExpiredResponse:
        if self.answers:
            return self.answers.pop(0)
        return cleanup_repository_pb2.DeleteExpiredResponse()


class FakeUserSyncs(user_sync_repository_pb2_grpc.UserSyncRepositoryServicer):
    def __init__(self, state: State) -> None:
        self._state = state
        # By user: the version that the directory has said something to, and what.
        self.said: dict[str, tuple[int, user_sync_repository_pb2.UserSyncStatus.ValueType]] = {}

    def ListPendingUsers(
        self,
        request: user_sync_repository_pb2.ListPendingUsersRequest,
        context: grpc.ServicerContext,
    ) -> user_sync_repository_pb2.ListPendingUsersResponse:
        with self._state.lock:
            waiting = sorted(
                (
                    account.user
                    for account in self._state.accounts.values()
                    if self.said.get(account.user.id, (0, 0))[0] != account.user.version
                ),
                key=lambda user: user.id,
            )
            behind = [user for user in waiting if user.id > request.after_user_id]
            return user_sync_repository_pb2.ListPendingUsersResponse(
                users=behind[: request.page_size or 100], pending=len(waiting)
            )

    def RecordUserSyncs(
        self,
        request: user_sync_repository_pb2.RecordUserSyncsRequest,
        context: grpc.ServicerContext,
    ) -> user_sync_repository_pb2.RecordUserSyncsResponse:
        with self._state.lock:
            for sync in request.syncs:
                self.said[sync.user_id] = (sync.version, sync.status)
            return user_sync_repository_pb2.RecordUserSyncsResponse(recorded=len(request.syncs))
