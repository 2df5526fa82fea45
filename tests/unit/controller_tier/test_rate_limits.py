from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest
from limits.storage import MemoryStorage

from arcana.service.v1.rate_limit_service_pb2 import TakeRateLimitRequest
from controller_tier.rate_limits import Bucket, Rate, RateLimits, hashed, network_of
from tests.unit.controller_tier.edge import Edge, problem_of
from tier_runtime.errors import AppError, Kind

ADA = {"email": "ada@example.org", "password": "wrong"}
LOST = AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", "No counters.")


def test_logins_are_counted_by_address_and_by_hashed_email() -> None:
    edge = Edge.make(rate_limit_login_email="2/60", rate_limit_login_ip="9/30")
    for remaining in (1, 0):
        answer = edge.call("POST", "auth/login", ADA)
        problem_of(answer, 401, "INVALID_CREDENTIALS")
        assert answer.headers["RateLimit-Policy"] == '"login-email";q=2;w=60, "login-ip";q=9;w=30'
        assert answer.headers["RateLimit"].startswith(f'"login-email";r={remaining};t=60, ')
    refused = edge.call("POST", "auth/login", ADA | {"email": "ADA@example.org"})
    problem_of(refused, 429, "RATE_LIMITED")
    assert refused.headers["Retry-After"] == "60"
    assert refused.headers["RateLimit"] == '"login-email";r=0;t=60, "login-ip";r=6;t=30'
    other = edge.call("POST", "auth/login", ADA | {"email": "eve@example.org"})
    problem_of(other, 401, "INVALID_CREDENTIALS")
    assert not any("ada" in key for key in edge.tier.buckets)
    assert edge.tier.methods().count("Login") == 3


def test_a_body_that_is_bad_is_not_counted(edge: Edge) -> None:
    problem_of(edge.call("POST", "auth/login", {}), 400, "VALIDATION_FAILED")
    assert "TakeRateLimit" not in edge.tier.methods()


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        (
            "register",
            {"name": "A", "email": "a@example.org", "password": "Aa345678"},
            ["register-ip"],
        ),
        ("refresh", {"refresh_token": "x"}, ["refresh-ip"]),
        (
            "password-reset",
            {"email": "a@example.org"},
            ["password-reset-email", "password-reset-ip"],
        ),
        (
            "password-reset/confirm",
            {"token": "x", "new_password": "Aa345678"},
            ["password-reset-ip"],
        ),
        ("verify-email", {"token": "x"}, ["verify-email-ip"]),
        ("verify-email/resend", None, ["verify-email-ip"]),
        (
            "change-password",
            {"current_password": "x", "new_password": "Aa345678"},
            ["change-password-user"],
        ),
    ],
)
def test_these_routes_are_limited(
    edge: Edge, path: str, body: dict[str, str] | None, names: list[str]
) -> None:
    user, token = edge.signed_in(email="own@example.org")
    answer = edge.call("POST", f"auth/{path}", body, token=token)
    assert answer.status_code != 429
    assert [key.partition(":")[0] for key in edge.tier.buckets] == names
    for name in names:
        assert f'"{name}";' in answer.headers["RateLimit"]
    if "user" in names[0]:
        assert list(edge.tier.buckets) == [f"change-password-user:{user.id}"]


def test_other_routes_are_not_limited(edge: Edge) -> None:
    _, token = edge.signed_in()
    assert "RateLimit" not in edge.call("GET", "auth/me", token=token).headers


def test_without_shared_counters_a_stricter_count_of_its_own_holds() -> None:
    edge = Edge.make(rate_limit_login_email="8/60", rate_limit_fallback_divisor=4)
    edge.tier.failures["TakeRateLimit"] = LOST
    answers = [edge.call("POST", "auth/login", ADA) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
    assert '"login-email";r=0' in answers[2].headers["RateLimit"]
    assert '"login-email";q=2;w=60' in answers[2].headers["RateLimit-Policy"]
    del edge.tier.failures["TakeRateLimit"]
    assert edge.call("POST", "auth/login", ADA).status_code == 401


def test_who_counts_alone_counts_everybody_who_comes_at_the_same_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library alone starts its timer twice then: `threads can only be started once`."""
    timers: list[threading.Timer] = []

    def keep(_storage: MemoryStorage, timer: threading.Timer) -> None:
        timers.append(timer)
        # Time for others to put theirs in its place, which else comes seldom.
        time.sleep(0.001)

    timer = property(lambda _storage: timers[-1], keep)
    monkeypatch.setattr(MemoryStorage, "timer", timer, raising=False)
    limits = RateLimits(_Lost(), timeout_seconds=1.0, fallback_divisor=1)
    bucket = Bucket("login-email", Rate(1000, 60), "holder")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(limits.take, [[bucket]] * 320))
    [state] = limits.take([bucket])
    assert state.remaining == 1000 - 321


class _Lost:
    """A service tier that cannot be asked to count."""

    def TakeRateLimit(
        self, request: TakeRateLimitRequest, timeout: float | None = None
    ) -> NoReturn:
        raise LOST


def test_the_strictest_count_is_one() -> None:
    edge = Edge.make(rate_limit_login_email="2/60", rate_limit_fallback_divisor=100)
    edge.tier.failures["TakeRateLimit"] = LOST
    answers = [edge.call("POST", "auth/login", ADA) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [401, 429]


def test_the_counters_get_little_time() -> None:
    edge = Edge.make(rate_limit_timeout_seconds=0.25)
    edge.call("POST", "auth/login", ADA)
    assert edge.tier.last("TakeRateLimit").timeout == 0.25


def test_limits_can_be_switched_off() -> None:
    edge = Edge.make(rate_limit_enabled=False, rate_limit_login_email="1/60")
    answers = [edge.call("POST", "auth/login", ADA) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert "RateLimit" not in answers[0].headers


@pytest.mark.parametrize(
    ("proxies", "client"), [(0, "127.0.0.1"), (1, "198.51.100.7"), (2, "192.0.2.1")]
)
def test_the_client_is_who_the_trusted_proxies_say(proxies: int, client: str) -> None:
    edge = Edge.make(trusted_proxies=proxies)
    headers = {"X-Forwarded-For": "203.0.113.9, 192.0.2.1, 198.51.100.7"}
    edge.call("POST", "auth/login", ADA, headers=headers)
    assert edge.tier.last("Login").request.client_address == client
    assert f"login-ip:{client}" in edge.tier.buckets


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::"),
        ("fe80::%eth0", "fe80::"),
        (None, "unknown"),
        ("", "unknown"),
        ("_hidden", hashed("_hidden")),
    ],
)
def test_an_address_is_counted_by_its_network(address: str | None, network: str) -> None:
    assert network_of(address) == network
