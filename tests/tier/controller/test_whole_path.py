"""The edge as gunicorn runs it, over real gRPC."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.fakes.service import FakeServiceTier
from tests.fakes.service.served import served
from tests.stores.waiting import eventually
from tests.tier.controller.processes import ControllerProcess
from tier_runtime.clock import SystemClock

ADA = {"name": "Ada", "email": "ada@example.org", "password": "Correct-Horse-7"}


@pytest.fixture(scope="module")
def tier() -> FakeServiceTier:
    return FakeServiceTier(SystemClock())


@pytest.fixture(scope="module")
def controller(tier: FakeServiceTier) -> Iterator[ControllerProcess]:
    with served(tier) as server, ControllerProcess(f"grpc://{server.address}") as process:
        yield process


def test_an_account_goes_from_register_to_logout_all(controller: ControllerProcess) -> None:
    api = f"{controller.url}/api/v1"
    with requests.Session() as http:
        made = http.post(f"{api}/auth/register", json=ADA)
        assert made.status_code == 201, made.text
        login = http.post(
            f"{api}/auth/login", json={"email": ADA["email"], "password": ADA["password"]}
        )
        assert login.status_code == 200
        bearer = {"Authorization": f"Bearer {login.json()['access_token']}"}
        me = http.get(f"{api}/auth/me", headers=bearer)
        assert me.json()["id"] == made.json()["id"]
        body = {"refresh_token": login.json()["refresh_token"]}
        assert http.post(f"{api}/auth/refresh", json=body).status_code == 200
        assert http.post(f"{api}/auth/logout-all", headers=bearer).status_code == 204

        def is_refused() -> bool:
            answers = [requests.get(f"{api}/auth/me", headers=bearer, timeout=5) for _ in range(8)]
            return all(
                each.status_code == 401 and each.json()["code"] == "TOKEN_REVOKED"
                for each in answers
            )

        # On each of the two workers: eight new connections are not all one worker's.
        eventually(is_refused, 1.5, "the session has ended everywhere")


def test_health_tells_of_every_tier(controller: ControllerProcess) -> None:
    answer = requests.get(f"{controller.url}/health", timeout=5)
    assert answer.status_code == 200
    assert answer.json()["tiers"] == {
        "controller": "up",
        "service": "up",
        "repository": "up",
        "database": "up",
        "cache": "up",
    }
