"""Makes the Flask application of the edge."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from controller_tier.access_feed import AccessFeed
from controller_tier.access_tokens import TokenVerifier
from controller_tier.answer_headers import install_cors, install_security_headers
from controller_tier.authentication import Authentication
from controller_tier.error_answers import ErrorAnswers
from controller_tier.openapi_document import DocumentedApi
from controller_tier.operations import Resource
from controller_tier.rate_limits import RateLimits
from controller_tier.request_scope import RequestScope
from controller_tier.resources.auth import AuthViews
from controller_tier.resources.auth_routes import (
    account_settings_resource,
    auth_resource,
    keys_resource,
)
from controller_tier.resources.docs import DocsViews, docs_resource, install_assets
from controller_tier.resources.health import HealthViews, health_resource
from controller_tier.resources.user_routes import profiles_resource, users_resource
from controller_tier.resources.users import UserViews
from controller_tier.routing import IdConverter, Router
from controller_tier.settings import ControllerSettings
from controller_tier.signing_keys import PublishedKeys, SharedSecret, SigningKeys
from controller_tier.stubs import ServiceTier, stubs_of
from tier_runtime.channel import open_channel
from tier_runtime.clock import Clock, SystemClock
from tier_runtime.ids import IdSource, Uuid7Source


def create_app(
    settings: ControllerSettings,
    service: ServiceTier,
    *,
    feed: AccessFeed,
    clock: Clock,
    ids: IdSource,
) -> Flask:
    """Return the application over a service tier. It starts nothing; the feed is the caller's."""
    keys = make_signing_keys(settings, service, clock)
    tokens = TokenVerifier(
        keys,
        clock,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        remembered=settings.token_cache_size,
    )
    router = Router(Authentication(tokens, feed), make_rate_limits(settings, service))
    app = _bare_app(settings)
    RequestScope(clock, ids, timeout_seconds=settings.request_timeout_seconds).install(app)
    ErrorAnswers(clock).install(app)
    install_security_headers(app)
    install_cors(app, settings.cors_origins)

    api = DocumentedApi(app)
    docs = DocsViews(api.document)
    for resource in _resources(settings, service, keys, docs, clock):
        api.register_blueprint(router.blueprint(resource))
    install_assets(app, docs)
    app.extensions["arcana.document"] = api.document
    return app


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


def make_signing_keys(
    settings: ControllerSettings, service: ServiceTier, clock: Clock
) -> SigningKeys:
    """Return the keys of the algorithm that the settings name."""
    if settings.jwt_algorithm == "HS256" and settings.jwt_secret is not None:
        return SharedSecret(settings.jwt_secret.get_secret_value().encode())
    return PublishedKeys(service.auth, clock, max_age_seconds=settings.jwks_max_age_seconds)


def make_rate_limits(settings: ControllerSettings, service: ServiceTier) -> RateLimits | None:
    """Return the limits, None where they are switched off."""
    if not settings.rate_limit_enabled:
        return None
    return RateLimits(
        service.rate_limits,
        timeout_seconds=settings.rate_limit_timeout_seconds,
        fallback_divisor=settings.rate_limit_fallback_divisor,
    )


def unconnected_document() -> dict[str, Any]:
    """Return the OpenAPI document of an edge with default settings that calls nobody."""
    settings, clock = ControllerSettings(), SystemClock()
    # Nothing is connected before the first RPC, and there is none.
    with open_channel(settings.service_url) as channel:
        service = stubs_of(channel)
        feed = make_access_feed(settings, service, clock)
        app = create_app(settings, service, feed=feed, clock=clock, ids=Uuid7Source())
        document: dict[str, Any] = app.extensions["arcana.document"]()
    return document


def _bare_app(settings: ControllerSettings) -> Flask:
    app = Flask(__name__, static_folder=None, template_folder=None)
    # One more than the limit: werkzeug silently cuts a chunked body off there, and whoever reads
    # that much knows that it was too much.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes + 1
    # "//users" is no path of ours; a redirect would be an answer without a problem document.
    app.url_map.merge_slashes = False
    app.url_map.converters["id"] = IdConverter
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count)  # type: ignore[method-assign]  # as Flask documents it
    return app


def _resources(
    settings: ControllerSettings,
    service: ServiceTier,
    keys: SigningKeys,
    docs: DocsViews,
    clock: Clock,
) -> tuple[Resource, ...]:
    auth = AuthViews(service.auth, service.users, keys)
    users = UserViews(service.users, require_if_match=settings.require_if_match)
    health = HealthViews(service.health, clock, version=_version())
    return (
        auth_resource(auth, settings),
        users_resource(users, auth),
        profiles_resource(users),
        account_settings_resource(auth, settings),
        keys_resource(auth),
        health_resource(health),
        docs_resource(docs),
    )


def _version() -> str:
    try:
        return version("arcana")
    except PackageNotFoundError:
        # A checkout that was not installed.
        return "0"
