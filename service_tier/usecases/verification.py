"""Confirms that an e-mail address is its account's."""

from __future__ import annotations

from arcana.repository.v1 import user_repository_pb2
from service_tier.domain.permissions import require_signed_in
from service_tier.events import Events
from service_tier.one_time_tokens import OneTimeTokens, Purpose, message_purpose
from service_tier.repository import Repository
from service_tier.usecases.accounts import read_own_account, token_revoked
from tier_runtime.call import Call
from tier_runtime.errors import AppError, Kind


class Verification:
    """Verifies addresses by mailed tokens."""

    def __init__(
        self, repository: Repository, one_time_tokens: OneTimeTokens, events: Events
    ) -> None:
        self._repository = repository
        self._one_time_tokens = one_time_tokens
        self._events = events

    def verify(self, call: Call, token: str) -> None:
        """Mark the address that a token was made for as verified.

        Raises:
            AppError: as the contract names them.
        """
        digest = self._one_time_tokens.presented_digest(Purpose.EMAIL_VERIFICATION, token)
        owner = self._repository.users.GetOneTimeToken(
            user_repository_pb2.GetOneTimeTokenRequest(
                token_sha256=digest, purpose=message_purpose(Purpose.EMAIL_VERIFICATION)
            )
        )
        self._repository.users.VerifyEmail(
            user_repository_pb2.VerifyEmailRequest(
                token_sha256=digest,
                events=[
                    self._events.user_updated(
                        call, user_id=owner.user_id, changed=["email_verified"]
                    )
                ],
            )
        )

    def resend(self, call: Call) -> None:
        """Make another token for the actor's address, unless that is verified already.

        Raises:
            AppError: UNAUTHENTICATED/UNAUTHENTICATED; UNAUTHENTICATED/TOKEN_REVOKED, when the
                actor's account is gone.
        """
        user_id = require_signed_in(call.actor)
        if read_own_account(self._repository, user_id).user.email_verified:
            return
        token = self._one_time_tokens.new(Purpose.EMAIL_VERIFICATION)
        event = self._events.verification_requested(call, user_id=user_id, token_id=token.id)
        try:
            self._repository.users.CreateOneTimeToken(
                user_repository_pb2.CreateOneTimeTokenRequest(
                    user_id=user_id, token=token, events=[event]
                )
            )
        except AppError as error:
            if error.kind is Kind.MISSING:
                raise token_revoked() from error
            raise
