"""What holds for every answer, whatever the route."""

from __future__ import annotations

import io
import json

import pytest
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from controller_tier.problems import (
    problem_from,
    problem_from_http,
    status_of,
    unreadable_problem,
)
from tests.unit.controller_tier.edge import Answer, Edge, problem_of
from tier_runtime.catalogue import CATALOGUE
from tier_runtime.errors import PEER_NOT_ALLOWED, AppError, Kind
from tier_runtime.logs import configure_logging
from tier_runtime.wsgi_environ import WAITED_SECONDS


@pytest.fixture
def log() -> io.StringIO:
    stream = io.StringIO()
    configure_logging("controller", "debug", stream)
    return stream


def _entries(log: io.StringIO, event: str) -> list[dict[str, object]]:
    entries = [json.loads(line) for line in log.getvalue().splitlines()]
    return [entry for entry in entries if entry["event"] == event]


def test_an_unknown_path_is_a_problem(edge: Edge) -> None:
    for path in ("/", "/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/users/", "//api/v1/users"):
        problem_of(edge.call("GET", path), 404, "NOT_FOUND")


def test_the_instance_is_the_path_percent_encoded(edge: Edge) -> None:
    document = problem_of(edge.call("GET", '/a%22%0A%C3%A9"?q=secret'), 404, "NOT_FOUND")
    assert document["instance"] == "/a%22%0A%C3%A9%22"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/auth/login", "OPTIONS, POST"),
        ("GET", "/api/v1/auth/login", "OPTIONS, POST"),
        ("POST", "/api/v1/users/me", "GET, HEAD, OPTIONS"),
        ("PATCH", "/api/v1/users/me", "GET, HEAD, OPTIONS"),
        ("PATCH", "/api/v1/users", "GET, HEAD, OPTIONS, POST"),
        ("BREW", "/health", "GET, HEAD, OPTIONS"),
        ("POST", "/docs", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    edge: Edge, method: str, path: str, allowed: str
) -> None:
    answer = edge.call(method, path)
    problem_of(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == allowed


def test_head_answers_as_get_without_a_body(edge: Edge) -> None:
    user, token = edge.signed_in()
    got = edge.call("GET", f"users/{user.id}", token=token)
    head = edge.call("HEAD", f"users/{user.id}", token=token)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["ETag"] == got.headers["ETag"]
    assert head.headers["Content-Length"] == got.headers["Content-Length"]
    refused = edge.call("HEAD", "users")
    assert (refused.status_code, refused.data) == (401, b"")
    assert refused.content_type == "application/problem+json"


def test_options_names_the_methods(edge: Edge) -> None:
    answer = edge.call("OPTIONS", "users")
    assert answer.status_code == 200
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_an_unforeseen_failure_says_nothing_but_its_id(edge: Edge, log: io.StringIO) -> None:
    def fail(method: str) -> None:
        if method == "Login":
            raise RuntimeError("the secret is swordfish")

    edge.tier.before = fail
    body = {"email": "ada@example.org", "password": "Correct-Horse-7"}
    answer = edge.call("POST", "auth/login", body)
    document = problem_of(answer, 500, "INTERNAL_ERROR")
    assert "swordfish" not in answer.text
    assert "errors" not in document
    [entry] = _entries(log, "unexpected_error")
    assert entry["request_id"] == document["request_id"]
    assert "RuntimeError" in str(entry["exception"])


def test_an_internal_error_of_a_tier_behind_says_nothing(edge: Edge) -> None:
    edge.tier.failures["Login"] = AppError(Kind.INTERNAL, "INTERNAL_ERROR", "row 7 of users")
    answer = edge.call("POST", "auth/login", {"email": "a@example.org", "password": "x"})
    problem_of(answer, 500, "INTERNAL_ERROR")
    assert "row 7" not in answer.text


@pytest.mark.parametrize(("wait", "told"), [(None, "1"), (0.0, "1"), (0.2, "1"), (7.2, "8")])
def test_unavailable_says_when_to_come_again(edge: Edge, wait: float | None, told: str) -> None:
    edge.tier.failures["Login"] = AppError(
        Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "Busy.", retry_after=wait
    )
    answer = edge.call("POST", "auth/login", {"email": "a@example.org", "password": "x"})
    problem_of(answer, 503, "SERVICE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == told


def test_that_the_edge_is_not_let_in_is_no_fault_of_its_client(edge: Edge) -> None:
    edge.tier.failures["Login"] = AppError(Kind.FORBIDDEN, PEER_NOT_ALLOWED, "Not you.")
    answer = edge.call("POST", "auth/login", {"email": "a@example.org", "password": "x"})
    problem = problem_of(answer, 500, "INTERNAL_ERROR")
    assert "Not you" not in str(problem)


def test_every_code_of_the_catalogue_has_a_status_that_is_an_error() -> None:
    for code, entry in CATALOGUE.items():
        problem = problem_from(AppError(entry.kind, code, "Something."))
        assert problem.status == status_of(code)
        assert 400 <= problem.status < 600


def test_field_names_are_those_of_the_edge() -> None:
    faults = {
        "page.page_size": ["a"],
        "filter.created_after_time": ["b"],
        "request_id": ["c"],
        "user_id": ["d"],
        "roles.0": ["e"],
    }
    error = AppError(Kind.INVALID, "VALIDATION_FAILED", "Bad.", field_errors=faults)
    assert list(problem_from(error).field_errors) == [
        "size",
        "created_after",
        "Idempotency-Key",
        "id",
        "roles.0",
    ]


def test_what_the_framework_may_raise_is_a_problem() -> None:
    assert problem_from_http(TooManyRequests()).code == "MALFORMED_REQUEST"
    assert problem_from_http(ServiceUnavailable()).status == 503
    assert unreadable_problem().code == "MALFORMED_BODY"


def test_a_challenge_holds_no_character_that_breaks_it() -> None:
    error = AppError(Kind.UNAUTHENTICATED, "INVALID_TOKEN", 'A "b" \\ \n é.')
    assert problem_from(error).headers()["WWW-Authenticate"] == (
        'Bearer realm="arcana", error="invalid_token", error_description="A  b       ."'
    )


@pytest.mark.parametrize("given", ["a", "A.b_c-9", "x" * 128])
def test_a_good_request_id_is_kept(edge: Edge, given: str) -> None:
    answer = edge.call("GET", "/health/live", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "é", "a/b", "a\tb"])
def test_another_request_id_is_made_anew(edge: Edge, given: str) -> None:
    answer = edge.call("GET", "/health/live", headers={"X-Request-ID": given})
    assert len(answer.headers["X-Request-ID"]) == 36


def test_a_traceparent_is_passed_on_if_it_is_one(edge: Edge) -> None:
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for given, passed in ((good, good), ("nonsense", "")):
        edge.call("POST", "auth/logout", {"refresh_token": "x"}, headers={"traceparent": given})
        call = edge.tier.last("Logout").call
        assert call is not None
        assert call.traceparent == passed


def test_a_request_has_a_deadline_that_reaches_the_service_tier() -> None:
    edge = Edge.make(request_timeout_seconds=3.0)
    edge.call("POST", "auth/logout", {"refresh_token": "x"})
    call = edge.tier.last("Logout").call
    assert call is not None
    assert call.deadline.remaining() == pytest.approx(3.0)


def test_a_request_that_waited_too_long_for_a_thread_is_refused(log: io.StringIO) -> None:
    edge = Edge.make(request_timeout_seconds=3.0)
    body = {"refresh_token": "x"}

    def waited(seconds: float) -> Answer:
        return edge.call("POST", "auth/logout", body, environ_overrides={WAITED_SECONDS: seconds})

    assert [waited(seconds).status_code for seconds in (0.0, 3.0)] == [204, 204]
    late = waited(3.1)
    problem_of(late, 503, "SERVICE_UNAVAILABLE")
    assert edge.tier.methods().count("Logout") == 2
    call = edge.tier.last("Logout").call
    assert call is not None
    assert call.deadline.remaining() == pytest.approx(3.0)
    assert _entries(log, "request")[-1]["code"] == "SERVICE_UNAVAILABLE"


def test_one_line_in_the_log_for_each_request(edge: Edge, log: io.StringIO) -> None:
    user, token = edge.signed_in()
    edge.call("GET", f"users/{user.id}?x=swordfish", token=token, headers={"X-Request-ID": "r1"})
    edge.call("GET", "/nothing/swordfish", headers={"X-Request-ID": "r2"})
    first, second = _entries(log, "request")
    assert {name: first[name] for name in ("method", "route", "status", "request_id", "tier")} == {
        "method": "GET",
        "route": "/api/v1/users/<id:id>",
        "status": 200,
        "request_id": "r1",
        "tier": "controller",
    }
    assert isinstance(first["duration_ms"], float)
    assert "code" not in first
    assert (second["route"], second["status"], second["code"]) == (None, 404, "NOT_FOUND")
    for secret in ("swordfish", token, user.email):
        assert secret not in log.getvalue()


def test_nothing_secret_is_logged_on_the_whole_path(edge: Edge, log: io.StringIO) -> None:
    body = {"name": "Ada", "email": "ada@example.org", "password": "Correct-Horse-7"}
    edge.call("POST", "auth/register", body)
    del body["name"]
    tokens = edge.call("POST", "auth/login", body).json
    edge.call("POST", "auth/refresh", {"refresh_token": tokens["refresh_token"]})
    edge.call("POST", "auth/refresh", {"refresh_token": tokens["refresh_token"]})
    text = log.getvalue()
    assert len(_entries(log, "request")) == 4
    for secret in (*body.values(), tokens["access_token"], tokens["refresh_token"]):
        assert secret not in text


def _security_of(answer: Answer) -> tuple[str, ...]:
    names = ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy")
    return tuple(answer.headers[name] for name in names)


def test_every_answer_has_the_security_headers(edge: Edge) -> None:
    for answer in (
        edge.call("GET", "/health/live"),
        edge.call("GET", "/nothing"),
        edge.call("GET", "users"),
        edge.call("OPTIONS", "users"),
        edge.call("GET", "/docs"),
    ):
        assert _security_of(answer) == ("nosniff", "DENY", "no-referrer")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


ORIGIN = "https://app.example.org"


def test_pages_of_an_allowed_origin_may_call_and_read_the_headers() -> None:
    edge = Edge.make(cors_origins=[ORIGIN])
    answer = edge.call("GET", "users", headers={"Origin": ORIGIN})
    problem_of(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"ETag", "Location", "Retry-After", "X-Request-ID", "Idempotent-Replay"} <= set(exposed)
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    preflight = edge.call(
        "OPTIONS",
        "users",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization, if-match",
        },
    )
    assert preflight.status_code == 200
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    assert "if-match" in preflight.headers["Access-Control-Allow-Headers"].lower()
    assert preflight.headers["Access-Control-Max-Age"] == "600"


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.org.evil.org",
        "http://app.example.org",
        "null",
        "https://xapp.example.org",
    ],
)
def test_pages_of_other_origins_may_not(origin: str) -> None:
    edge = Edge.make(cors_origins=[ORIGIN])
    answer = edge.call("GET", "/health/live", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_origin_with_an_ipv6_address_is_that_and_no_pattern() -> None:
    origin = "https://[2001:db8::1]:8443"
    edge = Edge.make(cors_origins=[origin, ORIGIN])
    for allowed in (origin, "HTTPS://[2001:DB8::1]:8443", ORIGIN):
        answer = edge.call("GET", "/health/live", headers={"Origin": allowed})
        assert answer.headers["Access-Control-Allow-Origin"] == allowed
        assert "Origin" in answer.headers["Vary"]
    for other in ("https://b:8443", "https://1:8443.evil.org", f"{origin}.evil.org", f"{origin}0"):
        answer = edge.call("GET", "/health/live", headers={"Origin": other})
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Origin" in answer.headers["Vary"]


def test_without_an_allow_list_no_page_may(edge: Edge) -> None:
    answer = edge.call("GET", "/health/live", headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in answer.headers
