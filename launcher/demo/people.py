"""Demo users."""

from __future__ import annotations

from arcana.repository.v1 import user_pb2
from launcher.demo.draws import YEAR_OF_GOODS, id_at, moment_of, random_of, timestamp_at
from launcher.demo.words import FIRST_NAMES, LAST_NAMES


def make_user(number: int) -> user_pb2.User:
    """Return the user with this number, from 0: `user0000001@demo.example` is the first."""
    random = random_of("user", number)
    moment = moment_of(YEAR_OF_GOODS, number, random)
    created = timestamp_at(moment)
    return user_pb2.User(
        id=id_at(moment, random),
        email=f"user{number + 1:07d}@demo.example",
        name=f"{random.choice(FIRST_NAMES)} {random.choice(LAST_NAMES)}",
        status=user_pb2.USER_STATUS_ACTIVE,
        email_verified=random.random() < 0.9,
        roles=["premium", "user"] if random.random() < 0.1 else ["user"],
        version=1,
        created_time=created,
        updated_time=created,
    )
