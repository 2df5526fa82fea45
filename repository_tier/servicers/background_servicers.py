"""ReportRepository, CleanupRepository and UserSyncRepository: what background jobs ask for."""

from __future__ import annotations

from grpc import ServicerContext

from arcana.repository.v1 import cleanup_repository_pb2 as cleanup
from arcana.repository.v1 import report_repository_pb2 as reports
from arcana.repository.v1 import user_sync_repository_pb2 as syncs
from arcana.repository.v1.cleanup_repository_pb2_grpc import CleanupRepositoryServicer
from arcana.repository.v1.report_repository_pb2_grpc import ReportRepositoryServicer
from arcana.repository.v1.user_sync_repository_pb2_grpc import UserSyncRepositoryServicer
from repository_tier.daily_reports import DailyReports, day_from_text
from repository_tier.expired import Expired
from repository_tier.user_syncs import UserSyncs, pending_from_proto, syncs_from_proto
from tier_runtime.context import rpc_context
from tier_runtime.validation import require


class ReportServicer(ReportRepositoryServicer):
    """Each method checks presence, converts in, makes one call, and converts out."""

    def __init__(self, reports: DailyReports) -> None:
        self._reports = reports

    def MakeDailyReport(
        self, request: reports.MakeDailyReportRequest, context: ServicerContext
    ) -> reports.MakeDailyReportResponse:
        require(request, "date")
        day = day_from_text(request.date)
        report = self._reports.make(day, rpc_context(context).deadline)
        return reports.MakeDailyReportResponse(report=report)

    def GetDailyReport(
        self, request: reports.GetDailyReportRequest, context: ServicerContext
    ) -> reports.GetDailyReportResponse:
        require(request, "date")
        day = day_from_text(request.date)
        report = self._reports.get(day, rpc_context(context).deadline)
        return reports.GetDailyReportResponse(report=report)


class CleanupServicer(CleanupRepositoryServicer):
    """Each method makes one call."""

    def __init__(self, expired: Expired) -> None:
        self._expired = expired

    def DeleteExpired(
        self, request: cleanup.DeleteExpiredRequest, context: ServicerContext
    ) -> cleanup.DeleteExpiredResponse:
        del request
        return self._expired.delete(rpc_context(context).deadline)


class UserSyncServicer(UserSyncRepositoryServicer):
    """Each method checks presence, converts in, makes one call, and converts out."""

    def __init__(self, user_syncs: UserSyncs) -> None:
        self._user_syncs = user_syncs

    def ListPendingUsers(
        self, request: syncs.ListPendingUsersRequest, context: ServicerContext
    ) -> syncs.ListPendingUsersResponse:
        size, behind = pending_from_proto(request)
        return self._user_syncs.pending(size, behind, rpc_context(context).deadline)

    def RecordUserSyncs(
        self, request: syncs.RecordUserSyncsRequest, context: ServicerContext
    ) -> syncs.RecordUserSyncsResponse:
        require(request, "syncs")
        wanted = syncs_from_proto(request.syncs)
        recorded = self._user_syncs.record(wanted, rpc_context(context).deadline)
        return syncs.RecordUserSyncsResponse(recorded=recorded)
