"""Starts the service tier: the only place that reads its settings and builds its parts."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import grpc

from arcana.service.v1 import (
    auth_service_pb2_grpc,
    file_service_pb2_grpc,
    order_service_pb2_grpc,
    product_service_pb2_grpc,
    rate_limit_service_pb2_grpc,
    user_service_pb2_grpc,
)
from service_tier.access_tokens import AccessTokenIssuer
from service_tier.common_passwords import read_common_passwords
from service_tier.domain.passwords import PasswordPolicy
from service_tier.events import Events
from service_tier.hashing import HashSlots, PasswordFunction, PasswordHasher, WerkzeugFunction
from service_tier.idempotency import IdempotencyKeys
from service_tier.keys import KeyRing, ed25519_ring, read_pem, read_signing_pem, shared_secret_ring
from service_tier.neighbours import add_repository_probes
from service_tier.one_time_tokens import OneTimeTokens
from service_tier.repository import Repository, channel_settings
from service_tier.servicers.auth import AuthServicer
from service_tier.servicers.files import FileServicer
from service_tier.servicers.orders import OrderServicer
from service_tier.servicers.products import ProductServicer
from service_tier.servicers.rate_limits import RateLimitServicer
from service_tier.servicers.users import UserServicer
from service_tier.settings import MAX_ACCESS_TOKEN_EXPIRES, ServiceSettings
from service_tier.usecases.access_changes import AccessFeed
from service_tier.usecases.files import Files
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
    services = make_services(
        settings,
        Repository.over(channel, max_batch=settings.coalesce_max_batch),
        WerkzeugFunction(settings.password_hash_method),
        clock,
        ids,
    )
    health = HealthBoard()
    add_repository_probes(health, channel, settings.health_probe_interval)
    return Tier(services, health, [channel.close])


def make_services(
    settings: ServiceSettings,
    repository: Repository,
    password_function: PasswordFunction,
    clock: Clock,
    ids: IdSource,
) -> list[Registration]:
    """Return the services that the settings name, over their use cases.

    What only the others need, such as the signing key, is neither read nor made.

    Raises:
        StartupError: keys or secrets cannot be read or made.
    """
    registrations = []
    wanted = set(settings.services)
    events = Events(clock, ids)
    if wanted & {"auth", "users"}:
        parts = _AccountParts.of(
            settings, repository, password_function, events=events, clock=clock, ids=ids
        )
        if "auth" in wanted:
            registrations.append(_auth_service(settings, parts))
        if "users" in wanted:
            registrations.append(_user_service(parts))
    if "rate_limits" in wanted:
        registrations.append(_rate_limit_service(repository))
    if wanted & {"products", "orders", "files"}:
        idempotency = IdempotencyKeys(read_token_secret(settings))
        if "products" in wanted:
            registrations.append(_product_service(repository, events, ids, idempotency))
        if "orders" in wanted:
            registrations.append(_order_service(repository, events, ids, idempotency))
        if "files" in wanted:
            uploads = Uploads(
                repository, events, ids, idempotency, quota_bytes=settings.file_quota_bytes
            )
            registrations.append(_file_service(settings, repository, events, uploads))
    return registrations


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


def _file_service(
    settings: ServiceSettings, repository: Repository, events: Events, uploads: Uploads
) -> Registration:
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
