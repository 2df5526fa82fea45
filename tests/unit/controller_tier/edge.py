"""The edge over the fake service tier, without a socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import orjson
from flask import Flask
from werkzeug.test import TestResponse

from arcana.service.v1.user_pb2 import User
from controller_tier.access_feed import AccessFeed
from controller_tier.app import create_app
from controller_tier.entrance import make_access_feed, make_entrance
from controller_tier.metrics import HttpMeter
from controller_tier.settings import ControllerSettings
from tests.fakes.audit import KeptActs
from tests.fakes.clock import FakeClock
from tests.fakes.service import FakeServiceTier, stubs_of
from tier_runtime.ids import Uuid7Source
from tier_runtime.metrics.meters import Meters

API = "/api/v1"


class Answer(TestResponse):
    """An answer whose JSON is taken for granted."""

    @property
    def json(self) -> Any:
        return orjson.loads(self.data)


@dataclass(slots=True)
class Edge:
    """One worker's application, and what stands behind it."""

    app: Flask
    tier: FakeServiceTier
    feed: AccessFeed
    clock: FakeClock
    audit: KeptActs

    @classmethod
    def make(cls, meters: Meters | None = None, **settings: Any) -> Edge:
        clock, audit = FakeClock(), KeptActs()
        tier = FakeServiceTier(clock)
        known = ControllerSettings(**settings)
        service = stubs_of(tier)
        feed = make_access_feed(known, service, clock)
        entrance = make_entrance(known, service, feed, clock, audit, meters=meters)
        app = create_app(
            known,
            service,
            entrance=entrance,
            download_secret=b"s" * 32,
            clock=clock,
            ids=Uuid7Source(),
            meter=None if meters is None else HttpMeter(meters),
        )
        feed.poll()
        return cls(app, tier, feed, clock, audit)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> Answer:
        """Call the API; a path without a leading slash is below the base path."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            options.setdefault("data", orjson.dumps(body))
            sent.setdefault("Content-Type", "application/json")
        where = path if path.startswith("/") else f"{API}/{path}"
        client = self.app.test_client()
        client.response_wrapper = Answer
        return cast(
            Answer, client.open(where, method=method, headers=sent, buffered=True, **options)
        )

    def signed_in(self, *roles: str, email: str = "ada@example.org") -> tuple[User, str]:
        """Make a user with a session, and return it with its access token."""
        user = self.tier.add_user(email, roles=roles)
        return user, self.tier.sign_in(user)


def problem_of(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """Assert that an answer is this problem, whole, and return its document."""
    document: dict[str, Any] = orjson.loads(answer.data)
    assert (answer.status_code, document.get("code")) == (status, code), document
    assert answer.content_type == "application/problem+json"
    assert document["status"] == status
    assert document["type"] == f"urn:arcana:problem:{code.lower().replace('_', '-')}"
    assert document["request_id"] == answer.headers["X-Request-ID"]
    assert document["timestamp"].endswith("Z")
    assert {"title", "detail", "instance"} <= document.keys()
    assert answer.headers["Cache-Control"] == "no-store"
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    if status in {429, 503}:
        assert int(answer.headers["Retry-After"]) >= 1
    return document
