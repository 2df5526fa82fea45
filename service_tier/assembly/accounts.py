"""Builds the services that handle accounts, and what both are built of."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from arcana.service.v1 import auth_service_pb2_grpc, user_service_pb2_grpc
from service_tier.access_tokens import AccessTokenIssuer
from service_tier.assembly.key_material import read_keys, read_token_secret
from service_tier.common_passwords import read_common_passwords
from service_tier.domain.passwords import PasswordPolicy
from service_tier.events import Events
from service_tier.hashing import HashSlots, PasswordFunction, PasswordHasher
from service_tier.idempotency import IdempotencyKeys
from service_tier.metrics import login_meter
from service_tier.one_time_tokens import OneTimeTokens
from service_tier.repository import Repository
from service_tier.servicers.auth import AuthServicer
from service_tier.servicers.users import UserServicer
from service_tier.settings import MAX_ACCESS_TOKEN_EXPIRES, ServiceSettings
from service_tier.usecases.access_changes import AccessFeed
from service_tier.usecases.passwords import Passwords
from service_tier.usecases.profiles import Profiles
from service_tier.usecases.registration import Registration as AccountRegistration
from service_tier.usecases.sessions import Sessions
from service_tier.usecases.sign_in import SignIn
from service_tier.usecases.user_changes import UserChanges
from service_tier.usecases.users import Users
from service_tier.usecases.verification import Verification
from tier_runtime.audit import AuditTrail
from tier_runtime.clock import Clock
from tier_runtime.ids import IdSource
from tier_runtime.server import Registration

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters


@dataclass(frozen=True, slots=True)
class AccountParts:
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
    audit: AuditTrail

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
        audit: AuditTrail,
    ) -> AccountParts:
        """Build the parts; the secret they need is read, or made.

        Raises:
            StartupError: the secret cannot be read or made.
        """
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
            audit=audit,
        )


def make_auth_service(
    settings: ServiceSettings, parts: AccountParts, meters: Meters | None = None
) -> Registration:
    """Build the service that signs in; its keys are read, or made.

    Raises:
        StartupError: a key cannot be read or made.
    """
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
        count=login_meter(meters),
        audit=parts.audit,
    )
    sessions = Sessions(
        parts.repository,
        access_tokens,
        parts.clock,
        secrets.token_bytes,
        refresh_lifetime=refresh_lifetime,
        audit=parts.audit,
    )
    passwords = Passwords(
        repository=parts.repository,
        policy=parts.policy,
        hasher=parts.hasher,
        one_time_tokens=parts.one_time_tokens,
        events=parts.events,
        ids=parts.ids,
        audit=parts.audit,
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


def make_user_service(parts: AccountParts) -> Registration:
    """Build the service of users and their profiles."""
    users = UserServicer(
        Users(parts.repository, parts.audit),
        parts.registration,
        UserChanges(parts.repository, parts.one_time_tokens, parts.events),
        Profiles(parts.repository, parts.events),
        parts.idempotency,
    )
    return Registration(
        "arcana.service.v1.UserService",
        partial(user_service_pb2_grpc.add_UserServiceServicer_to_server, users),
    )
