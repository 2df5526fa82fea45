from __future__ import annotations

import re

import pytest

from controller_tier.resources.health import REPORT_SECONDS
from tests.unit.controller_tier.edge import Edge, problem_of

ALL_UP = dict.fromkeys(["controller", "service", "repository", "database", "cache"], "up")


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
@pytest.mark.parametrize(
    ("down", "code", "status", "tiers"),
    [
        ([], 200, "ok", {}),
        (["store.cache"], 200, "degraded", {"cache": "down"}),
        (["store.database"], 503, "down", {"database": "down"}),
        (["tier.repository"], 503, "down", {"repository": "down"}),
        (["store.cache", "store.database"], 503, "down", {"cache": "down", "database": "down"}),
        (
            [""],
            503,
            "down",
            {
                "service": "down",
                "repository": "unknown",
                "database": "unknown",
                "cache": "unknown",
            },
        ),
    ],
)
def test_health_tells_what_is_down(
    edge: Edge, path: str, down: list[str], code: int, status: str, tiers: dict[str, str]
) -> None:
    edge.tier.serving.update(dict.fromkeys(down, False))
    answer = edge.call("GET", path)
    assert answer.status_code == code
    assert answer.json == {
        "status": status,
        "tiers": ALL_UP | tiers,
        "breakers": {},
        "version": answer.json["version"],
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers.get("Retry-After") == ("1" if code == 503 else None)


def test_a_report_is_young_and_not_made_for_everyone_who_asks(edge: Edge) -> None:
    assert edge.call("GET", "/health").status_code == 200
    edge.tier.serving["store.database"] = False
    assert edge.call("GET", "/health").status_code == 200
    edge.clock.advance(REPORT_SECONDS)
    assert edge.call("GET", "/health").status_code == 503


def test_liveness_looks_at_nothing_else(edge: Edge) -> None:
    edge.tier.serving.update(dict.fromkeys(edge.tier.serving, False))
    answer = edge.call("GET", "/health/live")
    assert (answer.status_code, answer.json["status"]) == (200, "ok")
    assert answer.json["tiers"] == {"controller": "up"}
    assert edge.tier.methods() == ["ListAccessChanges"]


def test_the_page_loads_only_what_is_served_here(edge: Edge) -> None:
    page = edge.call("GET", "/docs")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert not re.search(r"<script(?![^>]*\ssrc=)", page.text)
    names = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(names) == 4
    for name in names:
        assert name.startswith("/docs/")
        asset = edge.call("GET", name)
        assert (asset.status_code, asset.headers["X-Content-Type-Options"]) == (200, "nosniff")
        again = edge.call("GET", name, headers={"If-None-Match": asset.headers["ETag"]})
        assert again.status_code == 304
    assert edge.call("GET", "/docs/start.js").mimetype == "text/javascript"


@pytest.mark.parametrize("name", ["index.html", "..", "..%2Fapp.py", "swagger-ui.js", "%00"])
def test_no_other_file_is_served(edge: Edge, name: str) -> None:
    problem_of(edge.call("GET", f"/docs/{name}"), 404, "NOT_FOUND")


def test_the_document_is_served(edge: Edge) -> None:
    answer = edge.call("GET", "/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.json["openapi"] == "3.1.0"
    assert edge.call("GET", "/openapi.json").data == answer.data
