"""Builds the service of jobs, and what does the work of each."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from arcana.service.v1 import job_service_pb2_grpc
from service_tier.assembly.key_material import read_token_secret
from service_tier.domain.jobs import JobName
from service_tier.external_directory import DirectoryAddress, HttpDirectory
from service_tier.idempotency import IdempotencyKeys
from service_tier.jobs.bulk_email import BulkEmail
from service_tier.jobs.cleanup_files import CleanupFiles
from service_tier.jobs.cleanup_tokens import CleanupTokens
from service_tier.jobs.daily_report import DailyReport
from service_tier.jobs.running import JobRunner
from service_tier.jobs.send_email import SendEmail
from service_tier.jobs.sync_users import SyncUsers
from service_tier.jobs.work import JobHandler
from service_tier.mail.folder import MailFolder
from service_tier.mail.letters import LetterWriter, Sender
from service_tier.mail.sending import MailSender
from service_tier.mail.smtp import MailServer, SmtpSender
from service_tier.mail_jobs import MailJobs
from service_tier.metrics import JobMeter
from service_tier.one_time_tokens import OneTimeTokens
from service_tier.repository import Repository
from service_tier.servicers.jobs import JobServicer
from service_tier.settings import ServiceSettings
from service_tier.usecases.jobs import Jobs
from tier_runtime.clock import Clock
from tier_runtime.ids import IdSource
from tier_runtime.server import Registration
from tier_runtime.telemetry import NO_TELEMETRY, Telemetry


def make_job_service(
    settings: ServiceSettings,
    repository: Repository,
    clock: Clock,
    ids: IdSource,
    telemetry: Telemetry = NO_TELEMETRY,
) -> Registration:
    """Build the service of jobs, which also does their work.

    Raises:
        StartupError: the secret cannot be read or made.
    """
    secret = read_token_secret(settings)
    runner = JobRunner(
        repository,
        _job_handlers(settings, repository, secret, clock, ids),
        ids,
        timedelta(seconds=settings.job_lease_seconds),
        meter=None if telemetry.meters is None else JobMeter(telemetry.meters),
        tracing=telemetry.tracing,
    )
    jobs = JobServicer(Jobs(repository, clock, ids), runner, IdempotencyKeys(secret))
    return Registration(
        "arcana.service.v1.JobService",
        partial(job_service_pb2_grpc.add_JobServiceServicer_to_server, jobs),
    )


def _job_handlers(
    settings: ServiceSettings,
    repository: Repository,
    secret: bytes,
    clock: Clock,
    ids: IdSource,
) -> dict[str, JobHandler]:
    """Return what does the work of each job, by its name: a new one gets its line here."""
    return {
        JobName.SEND_EMAIL: SendEmail(
            repository=repository,
            writer=LetterWriter(Sender(settings.mail_from_name, settings.mail_from)),
            sender=make_mail_sender(settings),
            one_time_tokens=OneTimeTokens(secret, clock, ids),
            public_base_url=settings.public_base_url,
            clock=clock,
        ),
        JobName.BULK_EMAIL: BulkEmail(repository, MailJobs(ids)),
        JobName.SYNC_USERS: SyncUsers(repository, make_directory(settings)),
        JobName.CLEANUP_TOKENS: CleanupTokens(repository),
        JobName.CLEANUP_FILES: CleanupFiles(repository),
        JobName.DAILY_REPORT: DailyReport(repository),
    }


def make_directory(settings: ServiceSettings) -> HttpDirectory | None:
    """Return the external directory that the settings name, None if they name none."""
    if not settings.user_sync_url:
        return None
    token = settings.user_sync_token
    secret = "" if token is None else token.get_secret_value()
    return HttpDirectory(DirectoryAddress(settings.user_sync_url, secret))


def make_mail_sender(settings: ServiceSettings) -> MailSender:
    """Return how mails leave: by the server that the settings name, or else into a folder."""
    if settings.smtp_url is None:
        return MailFolder(settings.arcana_home / "mail")
    server = MailServer.parse(settings.smtp_url.get_secret_value())
    return SmtpSender(server, settings.smtp_ca_file)
