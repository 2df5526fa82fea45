"""Builds the services that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from service_tier.assembly.accounts import AccountParts, make_auth_service, make_user_service
from service_tier.assembly.events import make_event_service
from service_tier.assembly.files import make_file_service
from service_tier.assembly.jobs import make_job_service
from service_tier.assembly.key_material import read_token_secret
from service_tier.assembly.rate_limits import make_rate_limit_service
from service_tier.assembly.shop import make_order_service, make_product_service
from service_tier.auditing.handlers import audited
from service_tier.events import Events
from service_tier.hashing import PasswordFunction
from service_tier.idempotency import IdempotencyKeys
from service_tier.repository import Repository
from service_tier.settings import ServiceName, ServiceSettings
from service_tier.usecases.event_stream import EventStream
from tier_runtime.audit import AuditTrail
from tier_runtime.clock import Clock
from tier_runtime.ids import IdSource
from tier_runtime.server import Registration
from tier_runtime.telemetry import NO_TELEMETRY, Telemetry


def make_services(
    settings: ServiceSettings,
    repository: Repository,
    password_function: PasswordFunction,
    clock: Clock,
    ids: IdSource,
    *,
    audit: AuditTrail,
    is_draining: Callable[[], bool] = lambda: False,
    telemetry: Telemetry = NO_TELEMETRY,
) -> list[Registration]:
    """Return the services that the settings name, over their use cases.

    What only the others need, such as the signing key, is neither read nor made. `audit` is told
    what they do that matters to security; `is_draining` says when streams of any length have to
    end.

    Raises:
        StartupError: keys or secrets cannot be read or made.
    """
    events = Events(clock, ids)

    @cache
    def accounts() -> AccountParts:
        return AccountParts.of(
            settings,
            repository,
            password_function,
            events=events,
            clock=clock,
            ids=ids,
            audit=audit,
        )

    @cache
    def idempotency() -> IdempotencyKeys:
        return IdempotencyKeys(read_token_secret(settings))

    makers: dict[ServiceName, Callable[[], Registration]] = {
        "auth": lambda: make_auth_service(settings, accounts(), telemetry.meters),
        "users": lambda: make_user_service(accounts()),
        "rate_limits": lambda: make_rate_limit_service(repository),
        "products": lambda: make_product_service(repository, events, ids, idempotency()),
        "orders": lambda: make_order_service(repository, events, ids, idempotency()),
        "jobs": lambda: make_job_service(settings, repository, clock, ids, telemetry),
        "events": lambda: make_event_service(EventStream(repository, is_draining)),
        "files": lambda: make_file_service(settings, repository, events, ids, idempotency()),
    }
    return [audited(make(), audit) for name, make in makers.items() if name in settings.services]
