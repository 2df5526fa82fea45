"""`python -m benchmarks.json_codec`: what JSON costs on a REST hop.

Compares the codec of REST hops with code that a careful person writes by hand for one message, and
with protobuf's own json_format, for one user and for a list of 50. Rounds are interleaved; the
figure of each is its best round, which is the one that the machine disturbed least.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp

from arcana.service.v1 import user_pb2, user_service_pb2
from tier_runtime.rest.codec import codec_of

ROUNDS = 15
SECONDS_A_ROUND = 0.02

User = user_pb2.User
ListUsersResponse = user_service_pb2.ListUsersResponse

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STATUS_NAMES: Mapping[int, str] = MappingProxyType(
    {number: name for name, number in user_pb2.UserStatus.items()}
)


def sample_user(number: int) -> User:
    """Return a user with every field set."""
    return User(
        id=f"0192f7c5-7b7a-7c3e-b1de-{number:012x}",
        email=f"user-{number}@example.org",
        name=f"User Number {number}",
        status=user_pb2.USER_STATUS_ACTIVE,
        email_verified=True,
        roles=["user"],
        version=7,
        created_time=Timestamp(seconds=1_790_000_000 + number, nanos=123_456_000),
        updated_time=Timestamp(seconds=1_790_000_100 + number, nanos=654_321_000),
        last_login_time=Timestamp(seconds=1_790_000_200 + number, nanos=111_111_000),
    )


def sample_list() -> ListUsersResponse:
    """Return a page of 50 users."""
    page = ListUsersResponse(users=[sample_user(number) for number in range(50)])
    page.page.total = 1234
    page.page.next_cursor = "eyJzIjoiY3JlYXRlZCJ9"
    return page


def moment(timestamp: Timestamp) -> datetime:
    """Return a timestamp as orjson writes it."""
    return EPOCH + timedelta(0, timestamp.seconds, timestamp.nanos // 1000)


def moment_fields(text: str) -> dict[str, int]:
    """Return the fields of the timestamp that the text stands for."""
    since = datetime.fromisoformat(text) - EPOCH
    return {
        "seconds": since.days * 86_400 + since.seconds,
        "nanos": since.microseconds * 1000,
    }


def user_by_hand(user: User) -> dict[str, Any]:
    """Return a user as a dict."""
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "status": STATUS_NAMES[user.status],
        "email_verified": user.email_verified,
        "roles": list(user.roles),
        "version": user.version,
        "created_time": moment(user.created_time),
        "updated_time": moment(user.updated_time),
        "last_login_time": moment(user.last_login_time)
        if user.HasField("last_login_time")
        else None,
    }


def user_fields_by_hand(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what a user is constructed from."""
    for name in ("created_time", "updated_time", "last_login_time"):
        if fields.get(name) is not None:
            fields[name] = moment_fields(fields[name])
    return fields


def encode_user_by_hand(user: User) -> bytes:
    return orjson.dumps(user_by_hand(user), option=orjson.OPT_UTC_Z)


def decode_user_by_hand(text: bytes) -> User:
    return User(**user_fields_by_hand(orjson.loads(text)))


def encode_list_by_hand(page: ListUsersResponse) -> bytes:
    return orjson.dumps(
        {
            "users": [user_by_hand(user) for user in page.users],
            "page": {"total": page.page.total, "next_cursor": page.page.next_cursor},
        },
        option=orjson.OPT_UTC_Z,
    )


def decode_list_by_hand(text: bytes) -> ListUsersResponse:
    fields = orjson.loads(text)
    # A message takes dicts for its messages, which its type hints do not know.
    users: Any = [user_fields_by_hand(user) for user in fields["users"]]
    return ListUsersResponse(users=users, page=fields["page"])


def encode_by_protobuf(message: Any) -> bytes:
    return orjson.dumps(json_format.MessageToDict(message, preserving_proto_field_name=True))


def decode_by_protobuf(text: bytes, message: Any) -> Any:
    return json_format.ParseDict(orjson.loads(text), message)


def best_times(ways: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Return the microseconds of each way."""
    best = dict.fromkeys(ways, float("inf"))
    repeats = {}
    for name, way in ways.items():
        once = timeit.timeit(way, number=20) / 20
        repeats[name] = max(int(SECONDS_A_ROUND / once), 1)
    for _ in range(ROUNDS):
        for name, way in ways.items():
            seconds = timeit.timeit(way, number=repeats[name]) / repeats[name]
            best[name] = min(best[name], seconds * 1e6)
    return best


def main() -> int:
    """Measure, and print a table."""
    user, page = sample_user(1), sample_list()
    user_codec, page_codec = codec_of(User), codec_of(ListUsersResponse)
    user_text, page_text = user_codec.encode(user), page_codec.encode(page)
    read_back = (
        (user, decode_user_by_hand(encode_user_by_hand(user)), user_codec.decode(user_text)),
        (page, decode_list_by_hand(encode_list_by_hand(page)), page_codec.decode(page_text)),
    )
    if any(by_hand != message or by_codec != message for message, by_hand, by_codec in read_back):
        raise ValueError("One of the ways loses something.")
    cases: dict[str, dict[str, Callable[[], Any]]] = {
        "encode 1 user": {
            "codec": lambda: user_codec.encode(user),
            "by hand": lambda: encode_user_by_hand(user),
            "json_format": lambda: encode_by_protobuf(user),
        },
        "decode 1 user": {
            "codec": lambda: user_codec.decode(user_text),
            "by hand": lambda: decode_user_by_hand(user_text),
            "json_format": lambda: decode_by_protobuf(user_text, User()),
        },
        "encode 50 users": {
            "codec": lambda: page_codec.encode(page),
            "by hand": lambda: encode_list_by_hand(page),
            "json_format": lambda: encode_by_protobuf(page),
        },
        "decode 50 users": {
            "codec": lambda: page_codec.decode(page_text),
            "by hand": lambda: decode_list_by_hand(page_text),
            "json_format": lambda: decode_by_protobuf(page_text, ListUsersResponse()),
        },
    }
    lines = [
        f"{'microseconds':18}{'codec':>10}{'by hand':>10}{'json_format':>13}{'codec/hand':>12}"
    ]
    for case, ways in cases.items():
        times = best_times(ways)
        lines.append(
            f"{case:18}{times['codec']:10.2f}{times['by hand']:10.2f}{times['json_format']:13.2f}"
            f"{times['codec'] / times['by hand']:12.2f}"
        )
    sys.stdout.write("\n".join([*lines, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
