"""Several replicas of each tier: calls reach all of them, and one by one they can be replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.containers.balancing import BalancedLoad, Rotation
from tests.stores.waiting import eventually
from tests.system.client import Account, Edge, bearer
from tests.system.composed import UP, Composed
from tests.system.load import Question, Record
from tests.system.plan import Tier

# Containers start one after the other, and each is awaited.
pytestmark = pytest.mark.timeout(600)

THREADS = 4
# Of a machine that starts containers meanwhile.
SECONDS_TO_ANSWER = 60.0
REPLICAS: dict[Tier, int] = {"repository": 2, "service": 2, "controller": 2}
# A connection lives for 20 s, and then its channel sees who has come.
SECONDS_TO_SPREAD = 60.0


@pytest.fixture(scope="module")
def scale(system: Composed) -> Iterator[Callable[..., None]]:
    """Scale tiers, and back when the module is done: `scale(service=3)`."""

    def to(**replicas: int) -> None:
        words = [f"--scale={tier}={count}" for tier, count in replicas.items()]
        system.compose(*UP, *words, *replicas)

    yield to
    to(**dict.fromkeys(REPLICAS, 1))


@pytest.fixture
def questions(system: Composed, edge: Edge, account: Account) -> list[Question]:
    """Give reads and writes of several services, those that change something among them."""
    admin = bearer(edge.sign_in(system.admin.email, system.admin.password).access)
    token = tuple(account.bearer.items())
    login = f'{{"email": "{account.email}", "password": "{account.password}"}}'
    return [
        Question("GET", "/auth/me", token),
        Question("GET", "/users?size=5", tuple(admin.items())),
        Question("PUT", f"/users/{account.id}/profile", token, '{"bio": "under load"}'),
        Question("POST", "/auth/login", (), login),
        Question("GET", "/products"),
        Question("GET", "/orders", token),
    ]


def _failed(records: list[Record]) -> list[Record]:
    return [record for record in records if record.status != 200]


def _served(system: Composed, tier: Tier) -> list[int]:
    """Give how many RPCs each replica of a tier has logged."""
    return [each.logs().count(b'"event":"rpc"') for each in system.containers(tier)]


def test_calls_are_spread_over_all_replicas_while_tiers_grow_and_shrink(
    system: Composed, questions: list[Question], scale: Callable[..., None]
) -> None:
    with Rotation(system) as rotation, BalancedLoad(rotation, questions, THREADS) as load:
        scale(service=3, repository=2)
        counts = {
            "service": _served(system, "service"),
            "repository": _served(system, "repository"),
        }

        def all_serve() -> bool:
            tiers: tuple[Tier, ...] = ("service", "repository")
            return all(
                now > before + 50
                for tier in tiers
                for before, now in zip(counts[tier], _served(system, tier), strict=True)
            )

        eventually(all_serve, SECONDS_TO_SPREAD, "calls at every replica", interval=1.0)
        scale(service=1, repository=1)
        load.wait_for(100, SECONDS_TO_ANSWER)
        records = load.end()
    assert _failed(records) == []
    print(f"{len(records)} requests, {load.sent_again} sent again")


def test_an_operator_is_told_where_each_of_several_edges_is(
    system: Composed, scale: Callable[..., None]
) -> None:
    scale(**REPLICAS)
    urls = {line.removeprefix("Up: ").split("/docs")[0] for line in system.addresses()}
    published = {each.ports["5000/tcp"][0]["HostPort"] for each in system.containers("controller")}
    assert urls == {f"http://127.0.0.1:{port}" for port in published}
    assert len(urls) == REPLICAS["controller"]
    for url in urls:
        with Edge(url) as each:
            assert each.get("/health/ready").status_code == 200


@pytest.mark.parametrize("tier", REPLICAS)
def test_a_rolling_restart_of_a_tier_with_two_replicas_loses_no_request(
    system: Composed, questions: list[Question], scale: Callable[..., None], tier: Tier
) -> None:
    scale(**REPLICAS)
    before = {each.id for each in system.containers(tier)}
    with Rotation(system) as rotation, BalancedLoad(rotation, questions, THREADS) as load:
        load.wait_for(100, SECONDS_TO_ANSWER)
        system.roll(tier)
        load.wait_for(100, SECONDS_TO_ANSWER)
        records = load.end()
    after = {each.id for each in system.containers(tier)}
    assert len(after) == REPLICAS[tier]
    assert before.isdisjoint(after)
    assert _failed(records) == []
    assert len(records) > 300
    print(f"{tier}: {len(records)} requests, {load.sent_again} sent again")
