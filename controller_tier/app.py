"""Makes the Flask application of the edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from controller_tier.answer_headers import install_cors, install_security_headers
from controller_tier.authentication import Authentication
from controller_tier.download_links import DownloadLinks
from controller_tier.entrance import Entrance, make_access_feed, make_entrance
from controller_tier.error_answers import ErrorAnswers
from controller_tier.event_feeds import EventFeeds
from controller_tier.metrics import HttpMeter
from controller_tier.openapi_document import DocumentedApi
from controller_tier.operations import Resource
from controller_tier.request_scope import RequestScope
from controller_tier.resources.auth import AuthViews
from controller_tier.resources.auth_routes import (
    account_settings_resource,
    auth_resource,
    keys_resource,
)
from controller_tier.resources.docs import DocsViews, docs_resource, install_assets
from controller_tier.resources.events import EventViews, events_resource
from controller_tier.resources.file_routes import files_resource
from controller_tier.resources.files import FileViews
from controller_tier.resources.health import HealthViews, health_resource
from controller_tier.resources.job_routes import jobs_resource, reports_resource
from controller_tier.resources.jobs import JobViews
from controller_tier.resources.order_routes import orders_resource
from controller_tier.resources.orders import OrderViews
from controller_tier.resources.product_routes import products_resource, stock_resource
from controller_tier.resources.products import ProductViews
from controller_tier.resources.user_routes import profiles_resource, users_resource
from controller_tier.resources.users import UserViews
from controller_tier.routing import DayConverter, IdConverter, Router
from controller_tier.service_channels import ServiceChannels
from controller_tier.settings import ControllerSettings
from controller_tier.stubs import ServiceTier, stubs_of
from controller_tier.transfers import Transfers
from tier_runtime.audit import LoggedActs
from tier_runtime.channel import open_channel
from tier_runtime.clock import Clock, SystemClock
from tier_runtime.ids import IdSource, Uuid7Source
from tier_runtime.tracing.spans import NO_TRACING, Tracing
from tier_runtime.version import program_version

# The extension that ends all open streams of events; called when the worker is told to stop.
CLOSE_FEEDS = "arcana.close_feeds"


def create_app(
    settings: ControllerSettings,
    service: ServiceTier,
    *,
    entrance: Entrance,
    download_secret: bytes,
    clock: Clock,
    ids: IdSource,
    meter: HttpMeter | None = None,
    tracing: Tracing = NO_TRACING,
) -> Flask:
    """Return the application over a service tier. It starts nothing."""
    links = DownloadLinks(download_secret, clock)
    router = Router(Authentication(entrance.admission), entrance.limits, entrance.denials)
    app = _bare_app(settings)
    RequestScope(
        clock,
        ids,
        timeout_seconds=settings.request_timeout_seconds,
        meter=meter,
        tracing=tracing,
    ).install(app)
    ErrorAnswers(clock).install(app)
    install_security_headers(app)
    install_cors(app, settings.cors_origins)

    api = DocumentedApi(app)
    docs = DocsViews(api.document)
    feeds = EventFeeds(
        service.events,
        clock,
        max_open=settings.feeds,
        longest_seconds=settings.event_stream_seconds,
    )
    app.extensions[CLOSE_FEEDS] = feeds.close
    for resource in _resources(
        settings, service, entrance, docs, links=links, feeds=feeds, clock=clock
    ):
        api.register_blueprint(router.blueprint(resource))
    install_assets(app, docs)
    app.extensions["arcana.document"] = api.document
    return app


def unconnected_document() -> dict[str, Any]:
    """Return the OpenAPI document of an edge with default settings that calls nobody."""
    settings, clock = ControllerSettings(), SystemClock()
    # Nothing is connected before the first RPC, and there is none.
    with open_channel(settings.service_url) as channel:
        service = stubs_of(ServiceChannels.single(channel))
        feed = make_access_feed(settings, service, clock)
        entrance = make_entrance(settings, service, feed, clock, LoggedActs())
        app = create_app(
            settings,
            service,
            entrance=entrance,
            download_secret=b"",
            clock=clock,
            ids=Uuid7Source(),
        )
        document: dict[str, Any] = app.extensions["arcana.document"]()
    return document


class _SyncFlask(Flask):
    """Flask without its search, five times a request, for functions that are coroutines."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is: none of ours is a coroutine."""
        return func


def _bare_app(settings: ControllerSettings) -> Flask:
    app = _SyncFlask(__name__, static_folder=None, template_folder=None)
    # One more than the limit: werkzeug silently cuts a chunked body off there, and whoever reads
    # that much knows that it was too much.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes + 1
    # "//users" is no path of ours; a redirect would be an answer without a problem document.
    app.url_map.merge_slashes = False
    app.url_map.converters["id"] = IdConverter
    app.url_map.converters["day"] = DayConverter
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count)  # type: ignore[method-assign]  # as Flask documents it
    return app


def _resources(
    settings: ControllerSettings,
    service: ServiceTier,
    entrance: Entrance,
    docs: DocsViews,
    *,
    links: DownloadLinks,
    feeds: EventFeeds,
    clock: Clock,
) -> tuple[Resource, ...]:
    auth = AuthViews(service.auth, service.users, entrance.keys)
    users = UserViews(service.users, require_if_match=settings.require_if_match)
    products = ProductViews(service.products, require_if_match=settings.require_if_match)
    orders = OrderViews(service.orders, require_if_match=settings.require_if_match)
    jobs = JobViews(service.jobs)
    files = FileViews(
        service.files,
        links,
        Transfers(clock, seconds=settings.transfer_timeout_seconds, most=settings.transfers),
        clock,
        require_if_match=settings.require_if_match,
    )
    health = HealthViews(service.health, service.breakers, clock, version=program_version())
    rpcs = entrance.rpcs
    return (
        auth_resource(auth, rpcs),
        users_resource(users, auth, rpcs),
        profiles_resource(users, rpcs),
        products_resource(products, rpcs),
        stock_resource(products, rpcs),
        orders_resource(orders, rpcs),
        jobs_resource(jobs, rpcs),
        reports_resource(jobs, rpcs),
        events_resource(EventViews(feeds, entrance.admission), rpcs),
        files_resource(files, rpcs),
        account_settings_resource(auth, rpcs),
        keys_resource(auth, rpcs),
        health_resource(health),
        docs_resource(docs),
    )
