"""How the API is: for people, for load balancers, and for whoever restarts processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from flask import Response

from controller_tier.conversion.health import HealthReport, health_report
from controller_tier.documents import json_answer
from controller_tier.operations import Answer, Operation, Resource
from controller_tier.resources.examples import HEALTH
from controller_tier.schemas import service
from controller_tier.stubs import HealthStub
from tier_runtime.clock import Clock

# Everyone may ask, and each report costs several RPCs: who asks more often gets the last one.
REPORT_SECONDS = 0.2
RETRY_SECONDS = 1


class HealthViews:
    """The views of health."""

    def __init__(
        self,
        health: HealthStub,
        breakers: Callable[[], Mapping[str, str]],
        clock: Clock,
        *,
        version: str,
    ) -> None:
        self._health = health
        self._breakers = breakers
        self._clock = clock
        self._version = version
        self._lock = threading.Lock()
        self._report: HealthReport | None = None
        self._reported_at = 0.0

    def health(self) -> Response:
        """Report every part; 503 while requests cannot be served."""
        report = self._latest()
        document = report.document(self._version)
        if report.status == "down":
            return json_answer(document, 503, headers={"Retry-After": str(RETRY_SECONDS)})
        return json_answer(document)

    def live(self) -> Response:
        """Say that this process answers."""
        return json_answer(
            {"status": "ok", "tiers": {"controller": "up"}, "version": self._version}
        )

    def _latest(self) -> HealthReport:
        with self._lock:
            age = self._clock.monotonic() - self._reported_at
            if self._report is None or age >= REPORT_SECONDS:
                self._report = health_report(self._health, self._breakers())
                self._reported_at = self._clock.monotonic()
            return self._report


def health_resource(views: HealthViews) -> Resource:
    """Return the rows of health, which have no base path."""
    answers = (
        Answer(200, "Requests are served.", service.Health, HEALTH),
        Answer(
            503,
            "Requests are not served.",
            service.Health,
            {
                **HEALTH,
                "status": "down",
                "tiers": {**HEALTH["tiers"], "repository": "down", "database": "down"},
            },
            ("Retry-After",),
        ),
    )
    return Resource(
        "health",
        "How the API is.",
        (
            Operation(
                "GET",
                "/health",
                "getHealth",
                views.health,
                "Report how every part is.",
                answers,
                description="`degraded`: requests are served without a cache, more slowly.",
                hops=False,
            ),
            Operation(
                "GET",
                "/health/live",
                "getLiveness",
                views.live,
                "Say that this process answers.",
                (
                    Answer(
                        200,
                        "It does. No other part was looked at.",
                        service.Liveness,
                        {
                            "status": HEALTH["status"],
                            "tiers": {"controller": "up"},
                            "version": HEALTH["version"],
                        },
                    ),
                ),
                hops=False,
            ),
            Operation(
                "GET",
                "/health/ready",
                "getReadiness",
                views.health,
                "Say whether requests are served.",
                answers,
                description="For load balancers.",
                hops=False,
            ),
        ),
        prefix="",
    )
