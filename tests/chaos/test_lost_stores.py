"""A store goes away, or stands still, behind running tiers, and comes back."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import requests
import uuid_utils
from sqlalchemy import create_engine, text

from tests.stores import Store, Stores, TcpRelay
from tests.stores.waiting import eventually
from tests.system.client import (
    Account,
    Edge,
    Json,
    Tokens,
    bearer,
    expect,
    expect_problem,
    new_email,
    new_password,
)
from tests.system.discretion import TIERS, watched_edge
from tests.system.document import committed_document
from tests.system.event_source import sent_events
from tests.system.load import all_at_once
from tests.system.processes import ArcanaProcesses
from tests.system.shop import Shop
from tests.system.sizes import sized

DEADLINE_SECONDS = 5.0 + 0.5
SECONDS_TO_RECOVER = 3.0


@dataclass(frozen=True, slots=True)
class World:
    """Running tiers on real stores, each behind a relay that the test can cut."""

    arcana: ArcanaProcesses
    edge: Edge
    admin_token: str
    database_url: str
    database: TcpRelay
    cache: TcpRelay

    @property
    def admin(self) -> dict[str, str]:
        """The headers of an admin."""
        return bearer(self.admin_token)


@pytest.fixture(scope="module")
def world(
    stores: Stores, mysql_server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    real = stores.new_store("real")
    with ExitStack() as running:
        database = running.enter_context(TcpRelay.to(real.database_url))
        cache = running.enter_context(TcpRelay.to(real.redis_url))
        relayed = Store("real", database.url, cache.url)
        home = tmp_path_factory.mktemp("lost")
        arcana = running.enter_context(ArcanaProcesses(home, relayed))
        edge = running.enter_context(watched_edge(arcana))
        admin = edge.sign_in(arcana.admin.email, arcana.admin.password).access
        yield World(arcana, edge, admin, real.database_url, database, cache)


@pytest.fixture
def account(world: World) -> Iterator[Account]:
    """Give somebody signed in; afterwards bring the stores back and see that all is well."""
    before = {tier: world.arcana.pid(tier) for tier in TIERS}
    yield world.edge.new_account()
    world.database.restore()
    world.cache.restore()
    eventually(lambda: _health(world)["status"] == "ok", 10, "good health after the stores' return")
    assert {tier: world.arcana.pid(tier) for tier in TIERS} == before


def _health(world: World) -> Json:
    health: Json = world.edge.get("/health").json()
    return health


def _in_time(ask: Callable[[], requests.Response], seconds: float) -> requests.Response:
    begun = time.monotonic()
    answer = ask()
    assert time.monotonic() - begun < seconds, f"{answer.status_code} after more than {seconds} s"
    return answer


@pytest.mark.parametrize("lose", [TcpRelay.cut, TcpRelay.stall], ids=["gone", "still"])
def test_without_redis_reads_writes_and_logins_go_on_and_health_says_degraded(
    world: World, account: Account, lose: Callable[[TcpRelay], None]
) -> None:
    edge = world.edge
    lose(world.cache)
    path = f"/users/{account.id}"
    for turn in range(5):
        expect(_in_time(lambda: edge.me(account.tokens.access), 2.0), 200)
        expect(_in_time(lambda: edge.login(account.email, account.password), 2.0), 200)
        renamed = _in_time(
            lambda turn=turn: edge.call(  # type: ignore[misc]  # bound now
                "PATCH", path, {"name": f"Name {turn}"}, headers=account.bearer
            ),
            2.0,
        )
        expect(renamed, 200)
        assert expect(edge.get(path, headers=account.bearer), 200)["name"] == f"Name {turn}"
    expect(edge.refresh(account.tokens.refresh), 200)
    expect(edge.register(), 201)
    eventually(lambda: _health(world)["status"] == "degraded", 5, "degraded health")
    answer = edge.get("/health")
    health = expect(answer, 200)
    assert health["tiers"] == {
        "controller": "up",
        "service": "up",
        "repository": "up",
        "database": "up",
        "cache": "down",
    }
    assert edge.get("/health/ready").status_code == 200

    world.cache.restore()
    eventually(lambda: _health(world)["status"] == "ok", 5, "good health after Redis is back")
    # Nothing old came out of the cache that missed the writes.
    assert expect(edge.get(path, headers=account.bearer), 200)["name"] == "Name 4"


def test_orders_go_on_without_redis_and_every_event_of_them_arrives_after(
    world: World, account: Account
) -> None:
    shop = Shop(world.edge, Account("", "", "", Tokens(world.admin_token, "")))
    product = shop.product(stock=1000)
    begin = str(uuid_utils.uuid7())
    world.cache.cut()
    ends = time.monotonic() + sized(3, 60)
    body = {"items": [{"product_id": product["id"], "quantity": 1}]}
    placed = []
    while time.monotonic() < ends:
        answer = _in_time(lambda: world.edge.post("/orders", body, headers=account.bearer), 2.0)
        placed.append(expect(answer, 201)["id"])
    assert len(placed) > 10
    world.cache.restore()

    def all_have_come() -> bool:
        headers = world.admin | {"Last-Event-ID": begin}
        answer = world.edge.get("/events", params={"type": "order.created"}, headers=headers)
        assert answer.status_code == 200, answer.text
        come = {each.document["aggregate_id"] for each in sent_events(answer.text)}
        return come >= set(placed)

    eventually(all_have_come, 20, "the events of all orders")


def test_the_end_of_a_session_bites_without_redis_too(world: World, account: Account) -> None:
    world.cache.cut()
    assert world.edge.post("/auth/logout-all", headers=account.bearer).status_code == 204
    eventually(
        lambda: expect_problem(world.edge.me(account.tokens.access), 401, "TOKEN_REVOKED"),
        1.0,
        "the end of the session",
    )


@pytest.mark.parametrize("lose", [TcpRelay.cut, TcpRelay.stall], ids=["gone", "still"])
def test_without_the_database_the_edge_says_so_in_time_and_goes_on_when_it_is_back(
    world: World, account: Account, lose: Callable[[TcpRelay], None]
) -> None:
    edge = world.edge
    lose(world.database)
    allowed = {(503, "SERVICE_UNAVAILABLE"), (504, "DEADLINE_EXCEEDED")}
    calls: list[Callable[[], requests.Response]] = [
        lambda: edge.login(account.email, account.password),
        edge.register,
        lambda: edge.refresh(account.tokens.refresh),
        lambda: edge.get("/users", headers=world.admin),
        lambda: edge.call("PATCH", f"/users/{account.id}", {"name": "A"}, headers=account.bearer),
    ]
    answers = all_at_once(len(calls), lambda number: _in_time(calls[number], DEADLINE_SECONDS))
    for answer in answers:
        told = (answer.status_code, answer.json().get("code"))
        assert told in allowed, answer.text
        expect_problem(answer, *told)
    eventually(lambda: _health(world)["tiers"]["database"] == "down", 10, "bad health")
    answer = edge.get("/health")
    assert answer.status_code == 503
    assert answer.json()["status"] == "down"
    expect(edge.get("/health/live"), 200)
    assert edge.get("/health/ready").status_code == 503

    world.database.restore()
    eventually(
        lambda: edge.login(account.email, account.password).status_code == 200,
        SECONDS_TO_RECOVER,
        "a login after the database is back",
    )
    expect(edge.me(account.tokens.access), 200)


@pytest.mark.parametrize("path", ["/auth/register", "/users"])
def test_a_key_whose_first_request_still_runs_is_told_so_and_works_afterwards(
    world: World, account: Account, path: str
) -> None:
    headers = (world.admin if path == "/users" else {}) | {"Idempotency-Key": secrets.token_hex(8)}
    body = {"name": "Once", "email": new_email("once"), "password": new_password()}
    first = world.edge.post(path, body, headers=headers)
    expect(first, 201)
    engine = create_engine(world.database_url)
    try:
        with engine.begin() as database:
            # As the first request does while it runs.
            database.execute(text("SELECT key_sha256 FROM idempotency_keys FOR UPDATE"))
            answer = _in_time(
                lambda: world.edge.post(path, body, headers=headers), DEADLINE_SECONDS
            )
            expect_problem(answer, 409, "IDEMPOTENCY_IN_PROGRESS")
            committed_document().check("POST", f"/api/v1{path}", answer)
    finally:
        engine.dispose()
    again = world.edge.post(path, body, headers=headers)
    assert expect(again, 201) == first.json()
    assert again.headers["Idempotent-Replay"] == "true"
