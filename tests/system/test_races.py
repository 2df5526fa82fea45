"""What must hold when consumers call at the same moment, on each kind of store."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.stores import StoreKind, Stores
from tests.system.client import (
    Edge,
    bearer,
    expect,
    expect_problem,
    new_email,
    new_password,
)
from tests.system.discretion import watched_edge
from tests.system.load import all_at_once
from tests.system.processes import ArcanaProcesses

CROWD = 100
ROUNDS = 20
# Each round of a race has a winner, so none of these runs out of the service tier's five attempts.
WRITERS = 5
# All of the crowd may wait for a turn to hash, where the default would send some of them away.
SETTINGS = {"HASH_QUEUE": str(CROWD)}


@pytest.fixture(scope="module")
def arcana(
    stores: Stores, store_kind: StoreKind, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ArcanaProcesses]:
    home = tmp_path_factory.mktemp("races")
    with ArcanaProcesses(home, stores.new_store(store_kind), SETTINGS) as processes:
        yield processes


@pytest.fixture(scope="module")
def edge(arcana: ArcanaProcesses) -> Iterator[Edge]:
    with watched_edge(arcana) as edge:
        yield edge


def test_of_100_parallel_refreshes_of_one_token_exactly_one_wins(edge: Edge) -> None:
    account = edge.new_account()
    answers = all_at_once(CROWD, lambda _: edge.refresh(account.tokens.refresh))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: CROWD - 1}
    for answer in answers:
        if answer.status_code == 401:
            expect_problem(answer, 401, "TOKEN_REVOKED")
    # The losers used a dead token, which ends the session, the winner's part of it too.
    (won,) = (answer for answer in answers if answer.status_code == 200)
    expect_problem(edge.refresh(won.json()["refresh_token"]), 401, "TOKEN_REVOKED")


def test_of_100_parallel_registers_of_one_address_exactly_one_is_created(edge: Edge) -> None:
    email, password = new_email("race"), new_password()
    # The same address in other letters is the same address.
    spellings = (email, email.upper(), email.title())
    answers = all_at_once(CROWD, lambda n: edge.register(spellings[n % 3], password))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: CROWD - 1}
    for answer in answers:
        if answer.status_code == 409:
            expect_problem(answer, 409, "EMAIL_EXISTS")
    edge.sign_in(email, password)


def test_of_two_racing_patches_with_one_etag_one_wins_and_one_is_stale(edge: Edge) -> None:
    account = edge.new_account()
    path = f"/users/{account.id}"
    etag = edge.get(path, headers=account.bearer).headers["ETag"]
    for turn in range(ROUNDS):
        headers = account.bearer | {"If-Match": etag}
        answers = all_at_once(
            2,
            lambda n, turn=turn, headers=headers: edge.call(  # type: ignore[misc]  # bound now
                "PATCH", path, {"name": f"Name {turn}-{n}"}, headers=headers
            ),
        )
        won, lost = sorted(answers, key=lambda answer: answer.status_code)
        name = expect(won, 200)["name"]
        expect_problem(lost, 412, "PRECONDITION_FAILED")
        now = edge.get(path, headers=account.bearer)
        assert expect(now, 200)["name"] == name
        assert now.headers["ETag"] == won.headers["ETag"] != etag
        etag = won.headers["ETag"]


def test_one_idempotency_key_used_in_parallel_makes_one_user_and_equal_answers(
    arcana: ArcanaProcesses, edge: Edge
) -> None:
    admin = bearer(edge.sign_in(arcana.admin.email, arcana.admin.password).access)
    for path, headers in (("/auth/register", {}), ("/users", admin)):
        for _ in range(3):
            body = {"name": "Once", "email": new_email("once"), "password": new_password()}
            key = headers | {"Idempotency-Key": secrets.token_hex(8)}
            answers = all_at_once(
                8,
                lambda _, path=path, body=body, key=key: edge.post(  # type: ignore[misc]  # bound now
                    path, body, headers=key
                ),
            )
            assert [answer.status_code for answer in answers] == [201] * 8
            assert len({answer.content for answer in answers}) == 1
            assert len({answer.headers["Location"] for answer in answers}) == 1
            replays = Counter(answer.headers.get("Idempotent-Replay") for answer in answers)
            assert replays == {None: 1, "true": 7}


def test_parallel_writes_without_an_etag_lose_none_of_each_other(edge: Edge) -> None:
    account = edge.new_account()
    path = f"/users/{account.id}"
    before = edge.get(path, headers=account.bearer).headers["ETag"]

    def write(number: int) -> int:
        body = {"name": f"Name {number}"} if number % 2 else {"email": new_email("moved")}
        return edge.call("PATCH", path, body, headers=account.bearer).status_code

    statuses = all_at_once(WRITERS, write)
    assert statuses == [200] * WRITERS
    # Each of them changed something, so each made a version of its own.
    after = edge.get(path, headers=account.bearer).headers["ETag"]
    assert _version(after) == _version(before) + WRITERS


def _version(etag: str) -> int:
    return int(etag.strip('"').removeprefix("v"))
