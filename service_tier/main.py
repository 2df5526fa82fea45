"""Starts the service tier: the only place that reads its settings and builds its parts."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial

import grpc

from arcana.service.v1 import (
    auth_service_pb2_grpc,
    event_service_pb2_grpc,
    file_service_pb2_grpc,
    job_service_pb2_grpc,
    order_service_pb2_grpc,
    product_service_pb2_grpc,
    rate_limit_service_pb2_grpc,
    user_service_pb2_grpc,
)
from service_tier.access_tokens import AccessTokenIssuer
from service_tier.common_passwords import read_common_passwords
from service_tier.domain.jobs import JobName
from service_tier.domain.passwords import PasswordPolicy
from service_tier.event_consumer import EventConsumer
from service_tier.event_mails import EventMails
from service_tier.events import Events
from service_tier.external_directory import DirectoryAddress, HttpDirectory
from service_tier.hashing import HashSlots, PasswordFunction, PasswordHasher, WerkzeugFunction
from service_tier.idempotency import IdempotencyKeys
from service_tier.jobs.bulk_email import BulkEmail
from service_tier.jobs.cleanup_files import CleanupFiles
from service_tier.jobs.cleanup_tokens import CleanupTokens
from service_tier.jobs.daily_report import DailyReport
from service_tier.jobs.running import JobRunner
from service_tier.jobs.send_email import SendEmail
from service_tier.jobs.sync_users import SyncUsers
from service_tier.jobs.work import JobHandler
from service_tier.keys import KeyRing, ed25519_ring, read_pem, read_signing_pem, shared_secret_ring
from service_tier.mail.folder import MailFolder
from service_tier.mail.letters import LetterWriter, Sender
from service_tier.mail.sending import MailSender
from service_tier.mail.smtp import MailServer, SmtpSender
from service_tier.mail_jobs import MailJobs
from service_tier.neighbours import add_repository_probes
from service_tier.one_time_tokens import OneTimeTokens
from service_tier.repository import Repository, channel_settings
from service_tier.servicers.auth import AuthServicer
from service_tier.servicers.events import EventServicer
from service_tier.servicers.files import FileServicer
from service_tier.servicers.jobs import JobServicer
from service_tier.servicers.orders import OrderServicer
from service_tier.servicers.products import ProductServicer
from service_tier.servicers.rate_limits import RateLimitServicer
from service_tier.servicers.users import UserServicer
from service_tier.settings import MAX_ACCESS_TOKEN_EXPIRES, ServiceName, ServiceSettings
from service_tier.usecases.access_changes import AccessFeed
from service_tier.usecases.event_stream import EventStream
from service_tier.usecases.files import Files
from service_tier.usecases.jobs import Jobs
from service_tier.usecases.orders import Orders
from service_tier.usecases.passwords import Passwords
from service_tier.usecases.placing import OrderPlacing
from service_tier.usecases.product_changes import ProductChanges
from service_tier.usecases.products import Products
from service_tier.usecases.profiles import Profiles
from service_tier.usecases.rate_limits import RateLimits
from service_tier.usecases.registration import Registration as AccountRegistration
from service_tier.usecases.sessions import Sessions
from service_tier.usecases.sign_in import SignIn
from service_tier.usecases.stock import Stock
from service_tier.usecases.uploads import Uploads
from service_tier.usecases.user_changes import UserChanges
from service_tier.usecases.users import Users
from service_tier.usecases.verification import Verification
from tier_runtime.channel import open_channel
from tier_runtime.clock import Clock, SystemClock
from tier_runtime.health import HealthBoard
from tier_runtime.ids import IdSource, Uuid7Source
from tier_runtime.logs import configure_logging
from tier_runtime.secrets import read_or_create_secret
from tier_runtime.server import Registration
from tier_runtime.settings import load
from tier_runtime.startup import run_main
from tier_runtime.tier import Tier, serve_tier


def main() -> int:
    """Run the service tier until a signal ends it; return the exit code.

    Raises:
        StartupError: it cannot start, for the reason told.
    """
    settings = load(ServiceSettings)
    configure_logging("service", settings.log_level, json=settings.log_json)
    return serve_tier(
        settings.serving(),
        lambda: make_tier(settings, open_channel(settings.repository_url, channel_settings())),
    )


def make_tier(settings: ServiceSettings, channel: grpc.Channel) -> Tier:
    """Build the tier over a channel to the repository tier, which becomes the tier's to close.

    Raises:
        StartupError: keys or secrets cannot be read or made.
    """
    clock, ids = SystemClock(), Uuid7Source()
    health = HealthBoard()
    repository = Repository.over(channel, max_batch=settings.coalesce_max_batch)
    services = make_services(
        settings,
        repository,
        WerkzeugFunction(settings.password_hash_method),
        clock,
        ids,
        is_draining=lambda: health.is_draining,
    )
    add_repository_probes(health, channel, settings.health_probe_interval)
    if "events" not in settings.services:
        return Tier(services, health, [channel.close])
    consumer = EventConsumer(repository, EventMails(repository, MailJobs(ids), clock).reactions())
    return Tier(services, health, [consumer.stop, channel.close], [consumer.start])


def make_services(
    settings: ServiceSettings,
    repository: Repository,
    password_function: PasswordFunction,
    clock: Clock,
    ids: IdSource,
    *,
    is_draining: Callable[[], bool] = lambda: False,
) -> list[Registration]:
    """Return the services that the settings name, over their use cases.

    What only the others need, such as the signing key, is neither read nor made. `is_draining` says
    when streams of any length have to end.

    Raises:
        StartupError: keys or secrets cannot be read or made.
    """
    events = Events(clock, ids)

    @cache
    def accounts() -> _AccountParts:
        return _AccountParts.of(
            settings, repository, password_function, events=events, clock=clock, ids=ids
        )

    @cache
    def idempotency() -> IdempotencyKeys:
        return IdempotencyKeys(read_token_secret(settings))

    makers: dict[ServiceName, Callable[[], Registration]] = {
        "auth": lambda: _auth_service(settings, accounts()),
        "users": lambda: _user_service(accounts()),
        "rate_limits": lambda: _rate_limit_service(repository),
        "products": lambda: _product_service(repository, events, ids, idempotency()),
        "orders": lambda: _order_service(repository, events, ids, idempotency()),
        "jobs": lambda: _job_service(settings, repository, clock, ids),
        "events": lambda: _event_service(EventStream(repository, is_draining)),
        "files": lambda: _file_service(settings, repository, events, ids, idempotency()),
    }
    return [make() for name, make in makers.items() if name in settings.services]


@dataclass(frozen=True, slots=True)
class _AccountParts:
    """What both services that handle accounts are built of."""

    repository: Repository
    clock: Clock
    ids: IdSource
    events: Events
    one_time_tokens: OneTimeTokens
    idempotency: IdempotencyKeys
    policy: PasswordPolicy
    hasher: PasswordHasher
    registration: AccountRegistration

    @classmethod
    def of(
        cls,
        settings: ServiceSettings,
        repository: Repository,
        password_function: PasswordFunction,
        *,
        events: Events,
        clock: Clock,
        ids: IdSource,
    ) -> _AccountParts:
        secret = read_token_secret(settings)
        one_time_tokens = OneTimeTokens(secret, clock, ids)
        policy = PasswordPolicy(read_common_passwords())
        slots = HashSlots(concurrency=settings.hash_slots, queue=settings.hash_queue)
        hasher = PasswordHasher(password_function, slots, clock)
        registration = AccountRegistration(
            repository=repository,
            policy=policy,
            hasher=hasher,
            one_time_tokens=one_time_tokens,
            events=events,
            ids=ids,
        )
        return cls(
            repository=repository,
            clock=clock,
            ids=ids,
            events=events,
            one_time_tokens=one_time_tokens,
            idempotency=IdempotencyKeys(secret),
            policy=policy,
            hasher=hasher,
            registration=registration,
        )


def _auth_service(settings: ServiceSettings, parts: _AccountParts) -> Registration:
    keys = read_keys(settings)
    refresh_lifetime = timedelta(seconds=settings.refresh_token_expires)
    access_tokens = AccessTokenIssuer(
        keys.signing,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        lifetime=timedelta(seconds=settings.access_token_expires),
        clock=parts.clock,
        ids=parts.ids,
    )
    sign_in = SignIn(
        repository=parts.repository,
        hasher=parts.hasher,
        access_tokens=access_tokens,
        events=parts.events,
        clock=parts.clock,
        ids=parts.ids,
        random_bytes=secrets.token_bytes,
        refresh_lifetime=refresh_lifetime,
    )
    sessions = Sessions(
        parts.repository,
        access_tokens,
        parts.clock,
        secrets.token_bytes,
        refresh_lifetime=refresh_lifetime,
    )
    passwords = Passwords(
        repository=parts.repository,
        policy=parts.policy,
        hasher=parts.hasher,
        one_time_tokens=parts.one_time_tokens,
        events=parts.events,
        ids=parts.ids,
    )
    auth = AuthServicer(
        registration=parts.registration,
        sign_in=sign_in,
        sessions=sessions,
        passwords=passwords,
        verification=Verification(parts.repository, parts.one_time_tokens, parts.events),
        access_feed=AccessFeed(
            parts.repository,
            parts.clock,
            longest_access_lifetime=timedelta(seconds=MAX_ACCESS_TOKEN_EXPIRES),
        ),
        idempotency=parts.idempotency,
        published_keys=keys.published,
    )
    return Registration(
        "arcana.service.v1.AuthService",
        partial(auth_service_pb2_grpc.add_AuthServiceServicer_to_server, auth),
    )


def _user_service(parts: _AccountParts) -> Registration:
    users = UserServicer(
        Users(parts.repository),
        parts.registration,
        UserChanges(parts.repository, parts.one_time_tokens, parts.events),
        Profiles(parts.repository, parts.events),
        parts.idempotency,
    )
    return Registration(
        "arcana.service.v1.UserService",
        partial(user_service_pb2_grpc.add_UserServiceServicer_to_server, users),
    )


def _rate_limit_service(repository: Repository) -> Registration:
    rate_limits = RateLimitServicer(RateLimits(repository))
    return Registration(
        "arcana.service.v1.RateLimitService",
        partial(rate_limit_service_pb2_grpc.add_RateLimitServiceServicer_to_server, rate_limits),
    )


def _product_service(
    repository: Repository, events: Events, ids: IdSource, idempotency: IdempotencyKeys
) -> Registration:
    products = ProductServicer(
        Products(repository),
        ProductChanges(repository, events, ids),
        Stock(repository, idempotency),
        idempotency,
    )
    return Registration(
        "arcana.service.v1.ProductService",
        partial(product_service_pb2_grpc.add_ProductServiceServicer_to_server, products),
    )


def _order_service(
    repository: Repository, events: Events, ids: IdSource, idempotency: IdempotencyKeys
) -> Registration:
    orders = OrderServicer(
        Orders(repository, events), OrderPlacing(repository, events, ids), idempotency
    )
    return Registration(
        "arcana.service.v1.OrderService",
        partial(order_service_pb2_grpc.add_OrderServiceServicer_to_server, orders),
    )


def _job_service(
    settings: ServiceSettings, repository: Repository, clock: Clock, ids: IdSource
) -> Registration:
    secret = read_token_secret(settings)
    runner = JobRunner(
        repository,
        _job_handlers(settings, repository, secret, clock, ids),
        ids,
        timedelta(seconds=settings.job_lease_seconds),
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


def _event_service(stream: EventStream) -> Registration:
    return Registration(
        "arcana.service.v1.EventService",
        partial(event_service_pb2_grpc.add_EventServiceServicer_to_server, EventServicer(stream)),
    )


def _file_service(
    settings: ServiceSettings,
    repository: Repository,
    events: Events,
    ids: IdSource,
    idempotency: IdempotencyKeys,
) -> Registration:
    uploads = Uploads(repository, events, ids, idempotency, quota_bytes=settings.file_quota_bytes)
    lifetime = timedelta(seconds=settings.download_url_expires)
    files = FileServicer(Files(repository, events, download_lifetime=lifetime), uploads)
    return Registration(
        "arcana.service.v1.FileService",
        partial(file_service_pb2_grpc.add_FileServiceServicer_to_server, files),
    )


def read_keys(settings: ServiceSettings) -> KeyRing:
    """Return the keys of access tokens, made first where the settings name none.

    Raises:
        StartupError: a key cannot be read or made.
    """
    if settings.jwt_secret is not None and settings.jwt_algorithm == "HS256":
        return shared_secret_ring(settings.jwt_secret.get_secret_value().encode())
    return ed25519_ring(
        read_signing_pem(settings.arcana_home, settings.jwt_signing_key_file),
        [(path, read_pem(path)) for path in settings.jwt_verification_key_files],
    )


def read_token_secret(settings: ServiceSettings) -> bytes:
    """Return the secret that keys one-time tokens and fingerprints, made first where none is set.

    Raises:
        StartupError: it cannot be read or made.
    """
    if settings.token_secret is not None:
        return settings.token_secret.get_secret_value().encode()
    return read_or_create_secret(
        settings.arcana_home / "keys" / "token_secret",
        # Text, so that the file can also be named by TOKEN_SECRET_FILE.
        lambda: secrets.token_urlsafe(48).encode(),
    )


if __name__ == "__main__":
    sys.exit(run_main(main))
