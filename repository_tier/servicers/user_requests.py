"""Requests of UserRepository, checked and in the terms of this tier.

Every function raises AppError INVALID/VALIDATION_FAILED with all faults of the request's fields.
"""

from __future__ import annotations

from collections.abc import Iterable

from arcana.repository.v1 import user_repository_pb2 as messages
from repository_tier.conversion import purpose_word, status_word
from repository_tier.field_checks import FieldChecks
from repository_tier.one_time_tokens import VERIFICATION_PURPOSE, NewToken, new_token_from_proto
from repository_tier.passwords import PasswordChange
from repository_tier.profiles import ProfileChange
from repository_tier.user_accounts import NewUser, Target, UserChange
from repository_tier.user_directory import Owner
from tier_runtime.errors import AppError
from tier_runtime.validation import REQUIRED, invalid

MAX_NAME_CHARACTERS = 255
MAX_HASH_CHARACTERS = 255
MAX_LOOKUP_CHARACTERS = 1000

_Versioned = (
    messages.UpdateUserRequest
    | messages.UpdateUserStatusRequest
    | messages.ReplaceUserRolesRequest
    | messages.DeleteUserRequest
)


def known_id(field: str, value: str) -> str:
    """Return the id of something that may exist."""
    checks = FieldChecks()
    found = checks.known_id(field, value)
    checks.done()
    return found


def wanted_ids(field: str, values: Iterable[str]) -> list[str | AppError]:
    """Return the ids of things that may exist; a bad one is the fault of that item alone.

    The field is that of the RPC which asks for one of them.
    """
    return [_wanted(field, value) for value in values]


def digest(field: str, value: bytes) -> bytes:
    """Return a SHA-256."""
    checks = FieldChecks()
    found = checks.sha256(field, value)
    checks.done()
    return found


def owner_from_proto(request: messages.GetCredentialsRequest) -> Owner:
    """Return whose credentials are wanted."""
    checks = FieldChecks()
    which = request.WhichOneof("owner")
    if which == "user_id":
        owner = Owner(user_id=checks.known_id("user_id", request.user_id))
    else:
        # Absent is as wrong as empty. What is no address is nobody's, which is no fault.
        owner = Owner(email=checks.name("email", request.email, MAX_LOOKUP_CHARACTERS, shortest=1))
    checks.done()
    return owner


def new_user_from_proto(request: messages.CreateUserRequest) -> NewUser:
    """Return the user to make."""
    checks = FieldChecks()
    user = NewUser(
        id=checks.new_id("user_id", request.user_id),
        email=checks.email("email", request.email),
        name=checks.name("name", request.name, MAX_NAME_CHARACTERS, shortest=1),
        password_hash=checks.word("password_hash", request.password_hash, MAX_HASH_CHARACTERS),
        roles=checks.roles("roles", request.roles),
        status=status_word(checks, "status", request.status),
        verification_token=_verification_token(request),
    )
    checks.done()
    return user


def target_from_proto(request: _Versioned) -> Target:
    """Return which user is to change, and from which version."""
    checks = FieldChecks()
    target = Target(
        checks.known_id("user_id", request.user_id),
        checks.not_negative("expected_version", request.expected_version),
    )
    checks.done()
    return target


def user_change_from_proto(request: messages.UpdateUserRequest) -> UserChange:
    """Return the new values of a user."""
    checks = FieldChecks()
    name = email = None
    if request.HasField("name"):
        name = checks.name("name", request.name, MAX_NAME_CHARACTERS, shortest=1)
    if request.HasField("email"):
        email = checks.email("email", request.email)
    change = UserChange(name, email, _verification_token(request))
    checks.done()
    return change


def status_from_proto(request: messages.UpdateUserStatusRequest) -> str:
    """Return the new status."""
    checks = FieldChecks()
    status = status_word(checks, "status", request.status)
    checks.done()
    return status


def roles_from_proto(request: messages.ReplaceUserRolesRequest) -> frozenset[str]:
    """Return the new roles."""
    checks = FieldChecks()
    roles = checks.roles("roles", request.roles)
    checks.done()
    return roles


def profile_change_from_proto(request: messages.ReplaceUserProfileRequest) -> ProfileChange:
    """Return the new profile."""
    checks = FieldChecks()
    expected = None
    if request.HasField("expected_version"):
        expected = checks.not_negative("expected_version", request.expected_version)
    change = ProfileChange(
        user_id=checks.known_id("user_id", request.user_id),
        expected_version=expected,
        avatar_url=checks.text("avatar_url", request.avatar_url, 500),
        bio=checks.text("bio", request.bio, 1000),
        phone=checks.phone("phone", request.phone),
    )
    checks.done()
    return change


def password_change_from_proto(request: messages.ReplacePasswordRequest) -> PasswordChange:
    """Return the new password of a user who knows the old one."""
    checks = FieldChecks()
    kept = request.kept_session_id
    change = PasswordChange(
        user_id=checks.known_id("user_id", request.user_id),
        expected_credential_version=request.expected_credential_version,
        password_hash=checks.word("password_hash", request.password_hash, MAX_HASH_CHARACTERS),
        kept_session_id=checks.known_id("kept_session_id", kept) if kept else "",
    )
    checks.done()
    return change


def token_from_proto(request: messages.GetOneTimeTokenRequest) -> tuple[bytes, str]:
    """Return a token's digest and purpose."""
    checks = FieldChecks()
    found = checks.sha256("token_sha256", request.token_sha256)
    purpose = purpose_word(checks, "purpose", request.purpose)
    checks.done()
    return found, purpose


def reset_from_proto(request: messages.ResetPasswordRequest) -> tuple[bytes, str]:
    """Return a token's digest and the new password hash."""
    checks = FieldChecks()
    found = checks.sha256("token_sha256", request.token_sha256)
    password_hash = checks.word("password_hash", request.password_hash, MAX_HASH_CHARACTERS)
    checks.done()
    return found, password_hash


def _wanted(field: str, value: str) -> str | AppError:
    try:
        # As the RPC for one of them would say it.
        return known_id(field, value) if value else invalid({field: [REQUIRED]})
    except AppError as error:
        return error


def _verification_token(
    request: messages.CreateUserRequest | messages.UpdateUserRequest,
) -> NewToken | None:
    if not request.HasField("verification_token"):
        return None
    return new_token_from_proto(
        request.verification_token, "verification_token", VERIFICATION_PURPOSE
    )
