"""Rows to messages, and the words that stand for enum values in the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import RowMapping

from arcana.repository.v1 import one_time_token_pb2, session_repository_pb2, user_pb2
from repository_tier.field_checks import FieldChecks
from tier_runtime.timestamps import timestamp_from
from tier_runtime.validation import REQUIRED, invalid

EnumT = TypeVar("EnumT", bound=int)
SortT = TypeVar("SortT")

ACTIVE = "active"
STATUS_WORDS: Mapping[int, str] = MappingProxyType(
    {
        user_pb2.USER_STATUS_ACTIVE: ACTIVE,
        user_pb2.USER_STATUS_INACTIVE: "inactive",
        user_pb2.USER_STATUS_SUSPENDED: "suspended",
    }
)
_STATUSES: Mapping[str, user_pb2.UserStatus.ValueType] = MappingProxyType(
    {word: user_pb2.UserStatus.ValueType(number) for number, word in STATUS_WORDS.items()}
)
PURPOSE_WORDS: Mapping[int, str] = MappingProxyType(
    {
        one_time_token_pb2.ONE_TIME_TOKEN_PURPOSE_PASSWORD_RESET: "password_reset",
        one_time_token_pb2.ONE_TIME_TOKEN_PURPOSE_EMAIL_VERIFICATION: "email_verification",
    }
)


def status_word(checks: FieldChecks, field: str, status: int) -> str:
    """Return how a status is stored; an unspecified or unknown one is a fault."""
    return enum_word(STATUS_WORDS, checks, field, status)


def purpose_word(checks: FieldChecks, field: str, purpose: int) -> str:
    """Return how a token's purpose is stored; an unspecified or unknown one is a fault."""
    return enum_word(PURPOSE_WORDS, checks, field, purpose)


def enum_word(words: Mapping[int, str], checks: FieldChecks, field: str, number: int) -> str:
    """Return how an enum's value is stored; an unspecified or unknown one is a fault."""
    if number not in words:
        checks.fault(field, REQUIRED if number == 0 else "Not a known value.")
        return ""
    return words[number]


def sort_of(sorts: Mapping[EnumT, SortT], sort: EnumT) -> SortT:
    """Return what a list is sorted by for a value of its enum of sort fields.

    Raises:
        AppError: INVALID/VALIDATION_FAILED.
    """
    if sort not in sorts:
        raise invalid({"sort": ["Not a known value."]})
    return sorts[sort]


def user_from_row(row: RowMapping) -> user_pb2.User:
    """Return the user in a row of `user_rows.USER_COLUMNS`."""
    return user_pb2.User(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        status=_STATUSES[row["status"]],
        email_verified=row["email_verified"],
        roles=role_names(row["roles"]),
        version=row["version"],
        created_time=timestamp_from(row["created_time"]),
        updated_time=timestamp_from(row["updated_time"]),
        last_login_time=_optional(row["last_login_time"]),
    )


def role_names(joined: str | None) -> list[str]:
    """Return role names in alphabetical order from how the database joins them."""
    return sorted(joined.split(",")) if joined else []


def profile_from_row(row: RowMapping | Mapping[str, Any]) -> user_pb2.UserProfile:
    """Return the profile in a row of `user_profiles`, read or just written."""
    return user_pb2.UserProfile(
        user_id=row["user_id"],
        avatar_url=row["avatar_url"],
        bio=row["bio"],
        phone=row["phone"],
        version=row["version"],
        updated_time=timestamp_from(row["updated_time"]),
    )


def credentials_from_row(row: RowMapping) -> user_pb2.Credentials:
    """Return the credentials in a row of `users`."""
    return user_pb2.Credentials(
        user_id=row["id"],
        password_hash=row["password_hash"],
        credential_version=row["credential_version"],
    )


def session_from_row(row: RowMapping) -> session_repository_pb2.Session:
    """Return the session in a row of `sessions`."""
    return session_repository_pb2.Session(
        id=row["id"],
        user_id=row["user_id"],
        created_time=timestamp_from(row["created_time"]),
        refreshed_time=timestamp_from(row["refreshed_time"]),
        expire_time=timestamp_from(row["expire_time"]),
        client_address=row["client_address"],
        user_agent=row["user_agent"],
    )


def _optional(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else timestamp_from(moment)
