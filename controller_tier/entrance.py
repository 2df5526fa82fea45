"""What both faces of the edge share, HTTP and gRPC: who comes in, how often, and by which keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller_tier.access_feed import AccessFeed
from controller_tier.access_table import AccessTable, access_table
from controller_tier.access_tokens import TokenVerifier
from controller_tier.admission import Admission
from controller_tier.denials import Denials
from controller_tier.metrics import RateLimitMeter, token_meter
from controller_tier.rate_limits import RateLimits
from controller_tier.settings import ControllerSettings
from controller_tier.signing_keys import PublishedKeys, SharedSecret, SigningKeys
from controller_tier.stubs import ServiceTier
from tier_runtime.audit import AuditTrail
from tier_runtime.clock import Clock

if TYPE_CHECKING:
    from tier_runtime.metrics.meters import Meters


@dataclass(frozen=True, slots=True)
class Entrance:
    """One worker's way in. `limits` is None where they are switched off."""

    rpcs: AccessTable
    keys: SigningKeys
    admission: Admission
    limits: RateLimits | None
    denials: Denials


def make_entrance(
    settings: ControllerSettings,
    service: ServiceTier,
    feed: AccessFeed,
    clock: Clock,
    audit: AuditTrail,
    *,
    meters: Meters | None = None,
) -> Entrance:
    """Return the entrance that the settings describe. It starts nothing.

    Whom it refuses stands in the audit log, which stays the caller's to close.
    """
    keys = _signing_keys(settings, service, clock)
    tokens = TokenVerifier(
        keys,
        clock,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        remembered=settings.token_cache_size,
    )
    return Entrance(
        access_table(settings),
        keys,
        Admission(tokens, feed, token_meter(meters)),
        _rate_limits(settings, service, meters),
        Denials(audit, clock),
    )


def make_access_feed(
    settings: ControllerSettings, service: ServiceTier, clock: Clock
) -> AccessFeed:
    """Return the feed that the settings describe; it does not run yet."""
    return AccessFeed(
        service.auth,
        clock,
        interval_seconds=settings.access_feed_interval,
        max_age_seconds=settings.access_feed_max_age,
    )


def _signing_keys(settings: ControllerSettings, service: ServiceTier, clock: Clock) -> SigningKeys:
    if settings.jwt_algorithm == "HS256" and settings.jwt_secret is not None:
        return SharedSecret(settings.jwt_secret.get_secret_value().encode())
    return PublishedKeys(service.auth, clock, max_age_seconds=settings.jwks_max_age_seconds)


def _rate_limits(
    settings: ControllerSettings, service: ServiceTier, meters: Meters | None
) -> RateLimits | None:
    if not settings.rate_limit_enabled:
        return None
    return RateLimits(
        service.rate_limits,
        timeout_seconds=settings.rate_limit_timeout_seconds,
        fallback_divisor=settings.rate_limit_fallback_divisor,
        meter=None if meters is None else RateLimitMeter(meters),
    )
