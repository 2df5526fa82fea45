"""Finds accounts and says why not, in one way for all use cases."""

from __future__ import annotations

from arcana.repository.v1 import user_repository_pb2
from service_tier.repository import Repository
from tier_runtime.audit import Fact, address_digest
from tier_runtime.errors import AppError, Kind


def find_by_email(
    repository: Repository, email: str
) -> user_repository_pb2.GetCredentialsResponse | None:
    """Return the account with this address and its credentials, None if there is none."""
    try:
        return repository.users.GetCredentials(
            user_repository_pb2.GetCredentialsRequest(email=email)
        )
    except AppError as error:
        if error.kind is Kind.MISSING:
            return None
        raise


def read_own_account(
    repository: Repository, user_id: str
) -> user_repository_pb2.GetCredentialsResponse:
    """Return the actor's own account and its credentials, from the database.

    Raises:
        AppError: UNAUTHENTICATED/TOKEN_REVOKED, when the account is gone: its deletion ended the
            session that the actor still speaks for.
    """
    try:
        return repository.users.GetCredentials(
            user_repository_pb2.GetCredentialsRequest(user_id=user_id)
        )
    except AppError as error:
        if error.kind is Kind.MISSING:
            raise token_revoked() from error
        raise


def account_target(user_id: str | None, email: str) -> dict[str, Fact]:
    """Return what the audit log tells of an account: its id, or the digest of nobody's address."""
    return {"user_id": user_id} if user_id else {"address_sha256": address_digest(email)}


def token_revoked() -> AppError:
    """Return the error for a token whose session has ended."""
    return AppError(Kind.UNAUTHENTICATED, "TOKEN_REVOKED", "The session has ended.")


def invalid_credentials() -> AppError:
    """Return the one answer to a wrong address and to a wrong password."""
    return AppError(
        Kind.UNAUTHENTICATED, "INVALID_CREDENTIALS", "The email address or the password is wrong."
    )


def email_exists() -> AppError:
    """Return the error for an address that another account has."""
    return AppError(Kind.EXISTS, "EMAIL_EXISTS", "Email already registered")
