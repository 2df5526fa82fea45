"""The users that are in every store before the first turn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from werkzeug.security import generate_password_hash

from arcana.common.v1 import domain_event_pb2
from arcana.repository.v1 import user_pb2, user_repository_pb2
from arcana.repository.v1.user_repository_pb2_grpc import UserRepositoryStub
from tier_runtime.channel import open_channel
from tier_runtime.ids import Uuid7Source

PASSWORD = "Benchmark-Passw0rd-1"  # noqa: S105 - of users that live for one run.
# Quick to verify: signing in is not what is measured.
HASH_METHOD = "scrypt:1024:8:1"
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Person:
    """One user of the benchmark."""

    user_id: str
    email: str


def create(url: str, count: int) -> list[Person]:
    """Write users through a repository tier; all are admins, so that all may read all."""
    password_hash = generate_password_hash(PASSWORD, HASH_METHOD)
    ids = Uuid7Source()
    people = [Person(ids.new_id(), f"person.{n:05}@people.example") for n in range(count)]
    with open_channel(url) as channel, ThreadPoolExecutor(_THREADS) as pool:
        stub = UserRepositoryStub(channel)

        def write(numbered: tuple[int, Person]) -> None:
            number, person = numbered
            stub.CreateUser(new_user(person, f"Person Number {number}", password_hash))

        list(pool.map(write, enumerate(people)))
    return people


def new_user(
    person: Person, name: str, password_hash: str, roles: Sequence[str] = ("user", "admin")
) -> user_repository_pb2.CreateUserRequest:
    """Return what makes a user."""
    return user_repository_pb2.CreateUserRequest(
        user_id=person.user_id,
        email=person.email,
        name=name,
        password_hash=password_hash,
        roles=roles,
        status=user_pb2.USER_STATUS_ACTIVE,
        events=[event("user.registered", person.user_id)],
    )


def event(kind: str, user_id: str) -> domain_event_pb2.DomainEvent:
    """Return the event that a write of a user takes along."""
    made = domain_event_pb2.DomainEvent(
        id=Uuid7Source().new_id(),
        type=kind,
        aggregate_type="user",
        aggregate_id=user_id,
        actor_subject=user_id,
        request_id="benchmark",
    )
    made.occurred_time.GetCurrentTime()
    return made


def save(people: Sequence[Person], file: Path) -> None:
    """Write them down for other processes."""
    file.write_text(json.dumps([asdict(person) for person in people]))


def read(file: Path) -> list[Person]:
    """Read what `save` wrote."""
    return [Person(**known) for known in json.loads(file.read_text())]
