"""Starts the service tier: the only place that reads its settings and builds its parts."""

from __future__ import annotations

import secrets
import sys
from datetime import timedelta

import grpc

from arcana.service.v1 import (
    auth_service_pb2_grpc,
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
from service_tier.servicers.rate_limits import RateLimitServicer
from service_tier.servicers.users import UserServicer
from service_tier.settings import MAX_ACCESS_TOKEN_EXPIRES, ServiceSettings
from service_tier.usecases.access_changes import AccessFeed
from service_tier.usecases.passwords import Passwords
from service_tier.usecases.profiles import Profiles
from service_tier.usecases.rate_limits import RateLimits
from service_tier.usecases.registration import Registration as AccountRegistration
from service_tier.usecases.sessions import Sessions
from service_tier.usecases.sign_in import SignIn
from service_tier.usecases.user_changes import UserChanges
from service_tier.usecases.users import Users
from service_tier.usecases.verification import Verification
from tier_runtime.channel import open_channel
from tier_runtime.clock import Clock, SystemClock
from tier_runtime.health import HealthBoard
from tier_runtime.ids import IdSource, Uuid7Source
from tier_runtime.logs import configure_logging, get_logger
from tier_runtime.secrets import read_or_create_secret
from tier_runtime.server import Registration, TierServer, build_server, serve_until_signal
from tier_runtime.settings import load
from tier_runtime.startup import run_main


def main() -> int:
    """Run the service tier until a signal ends it; return the exit code.

    Raises:
        StartupError: it cannot start, for the reason told.
    """
    settings = load(ServiceSettings)
    configure_logging("service", settings.log_level, json=settings.log_json)
    channel = open_channel(settings.repository_url, channel_settings())
    server = make_server(settings, channel)
    return serve_until_signal(
        server, drain_seconds=settings.service_drain_seconds, on_stop=[channel.close]
    )


def make_server(settings: ServiceSettings, channel: grpc.Channel) -> TierServer:
    """Return the tier's server over a channel to the repository tier; it does not listen yet.

    Raises:
        StartupError: keys or secrets cannot be read or made.
    """
    clock, ids = SystemClock(), Uuid7Source()
    services = make_services(
        settings,
        Repository.over(channel),
        WerkzeugFunction(settings.password_hash_method),
        clock,
        ids,
    )
    health = HealthBoard()
    add_repository_probes(health, channel, settings.health_probe_interval)
    return build_server(
        settings.server(), services, health, get_logger("service_tier"), clock=clock, ids=ids
    )


def make_services(
    settings: ServiceSettings,
    repository: Repository,
    password_function: PasswordFunction,
    clock: Clock,
    ids: IdSource,
) -> list[Registration]:
    """Return the tier's services over their use cases.

    Raises:
        StartupError: keys or secrets cannot be read or made.
    """
    keys = read_keys(settings)
    secret = read_token_secret(settings)
    events = Events(clock, ids)
    one_time_tokens = OneTimeTokens(secret, clock, ids)
    idempotency = IdempotencyKeys(secret)
    policy = PasswordPolicy(read_common_passwords())
    slots = HashSlots(concurrency=settings.hash_slots, queue=settings.hash_queue)
    hasher = PasswordHasher(password_function, slots, clock)
    refresh_lifetime = timedelta(seconds=settings.refresh_token_expires)
    access_tokens = AccessTokenIssuer(
        keys.signing,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        lifetime=timedelta(seconds=settings.access_token_expires),
        clock=clock,
        ids=ids,
    )
    registration = AccountRegistration(
        repository=repository,
        policy=policy,
        hasher=hasher,
        one_time_tokens=one_time_tokens,
        events=events,
        ids=ids,
    )
    sign_in = SignIn(
        repository=repository,
        hasher=hasher,
        access_tokens=access_tokens,
        events=events,
        clock=clock,
        ids=ids,
        random_bytes=secrets.token_bytes,
        refresh_lifetime=refresh_lifetime,
    )
    sessions = Sessions(
        repository, access_tokens, clock, secrets.token_bytes, refresh_lifetime=refresh_lifetime
    )
    passwords = Passwords(
        repository=repository,
        policy=policy,
        hasher=hasher,
        one_time_tokens=one_time_tokens,
        events=events,
        ids=ids,
    )
    auth = AuthServicer(
        registration=registration,
        sign_in=sign_in,
        sessions=sessions,
        passwords=passwords,
        verification=Verification(repository, one_time_tokens, events),
        access_feed=AccessFeed(
            repository,
            clock,
            longest_access_lifetime=timedelta(seconds=MAX_ACCESS_TOKEN_EXPIRES),
        ),
        idempotency=idempotency,
        published_keys=keys.published,
    )
    users = UserServicer(
        Users(repository),
        registration,
        UserChanges(repository, one_time_tokens, events),
        Profiles(repository, events),
        idempotency,
    )
    rate_limits = RateLimitServicer(RateLimits(repository))
    return [
        Registration(
            "arcana.service.v1.AuthService",
            lambda server: auth_service_pb2_grpc.add_AuthServiceServicer_to_server(auth, server),
        ),
        Registration(
            "arcana.service.v1.UserService",
            lambda server: user_service_pb2_grpc.add_UserServiceServicer_to_server(users, server),
        ),
        Registration(
            "arcana.service.v1.RateLimitService",
            lambda server: rate_limit_service_pb2_grpc.add_RateLimitServiceServicer_to_server(
                rate_limits, server
            ),
        ),
    ]


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
