"""Replaces passwords: by whoever knows the present one, and by token."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from arcana.repository.v1 import user_repository_pb2
from service_tier.domain.accounts import email_faults, normalize_email
from service_tier.domain.faults import refuse_faults
from service_tier.domain.passwords import (
    PasswordPolicy,
    compared_password_faults,
    normalize_password,
)
from service_tier.domain.permissions import require_signed_in
from service_tier.events import Events
from service_tier.hashing import PasswordHasher
from service_tier.one_time_tokens import OneTimeTokens, Purpose, message_purpose
from service_tier.repository import Repository
from service_tier.usecases.accounts import (
    account_target,
    find_by_email,
    invalid_credentials,
    read_own_account,
    token_revoked,
)
from tier_runtime.audit import Act, AuditTrail, Fact, Outcome, outcome_of
from tier_runtime.call import Call
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import IdSource


class Passwords:
    """Replaces passwords."""

    def __init__(
        self,
        *,
        repository: Repository,
        policy: PasswordPolicy,
        hasher: PasswordHasher,
        one_time_tokens: OneTimeTokens,
        events: Events,
        ids: IdSource,
        audit: AuditTrail,
    ) -> None:
        self._repository = repository
        self._policy = policy
        self._hasher = hasher
        self._one_time_tokens = one_time_tokens
        self._events = events
        self._ids = ids
        self._audit = audit

    def change(self, call: Call, *, current: str, new: str) -> None:
        """Replace the actor's password and end all its other sessions.

        Raises:
            AppError: as the contract names them.
        """
        user_id = require_signed_in(call.actor)
        current, new = normalize_password(current), normalize_password(new)
        refuse_faults(
            {
                "current_password": compared_password_faults(current),
                "new_password": self._policy.faults(new),
            }
        )
        with self._hasher.slot(call.deadline) as slot:
            credentials = read_own_account(self._repository, user_id).credentials
            if not slot.verify(credentials.password_hash, current):
                raise invalid_credentials()
            password_hash = slot.hash(new)
        call.deadline.check()
        try:
            self._repository.users.ReplacePassword(
                user_repository_pb2.ReplacePasswordRequest(
                    user_id=user_id,
                    expected_credential_version=credentials.credential_version,
                    password_hash=password_hash,
                    kept_session_id=call.actor.session_id,
                    events=[self._events.password_changed(call, user_id=user_id, reason="change")],
                )
            )
        except AppError as error:
            if error.kind is Kind.MISSING:
                raise token_revoked() from error
            raise

    def request_reset(self, call: Call, email: str) -> None:
        """Make a reset token if an account has this address; do the same work if none has.

        Raises:
            AppError: INVALID/VALIDATION_FAILED.
        """
        email = normalize_email(email)
        refuse_faults({"email": email_faults(email)})
        found = find_by_email(self._repository, email)
        token = self._one_time_tokens.new(Purpose.PASSWORD_RESET)
        # A decoy belongs to nobody; its event is made, and dropped by the repository tier, so
        # that both cases send a message of the same size and shape.
        user_id = found.user.id if found is not None else ""
        event = self._events.password_reset_requested(
            call, user_id=user_id or self._ids.new_id(), token_id=token.id
        )
        try:
            self._repository.users.CreateOneTimeToken(
                user_repository_pb2.CreateOneTimeTokenRequest(
                    user_id=user_id, token=token, events=[event]
                )
            )
        except AppError as error:
            # Deleted since it was found: the answer is that of an address nobody has.
            if error.kind is not Kind.MISSING:
                raise
        self._record(
            call, "AuthService/RequestPasswordReset", target=account_target(user_id, email)
        )

    def confirm_reset(self, call: Call, *, token: str, new: str) -> None:
        """Set a new password by a reset token and end every session of its user.

        Raises:
            AppError: as the contract names them.
        """
        act = "AuthService/ConfirmPasswordReset"
        try:
            user_id = self._reset(call, token, new)
        except AppError as error:
            if outcome_of(error) is Outcome.DENIED:
                self._record(call, act, error)
            raise
        self._record(call, act, target={"user_id": user_id})

    def _reset(self, call: Call, token: str, new: str) -> str:
        """Set the password, and return whose it is."""
        new = normalize_password(new)
        refuse_faults({"new_password": self._policy.faults(new)})
        digest = self._one_time_tokens.presented_digest(Purpose.PASSWORD_RESET, token)
        # Who has no living token gets no hash out of us.
        owner = self._repository.users.GetOneTimeToken(
            user_repository_pb2.GetOneTimeTokenRequest(
                token_sha256=digest, purpose=message_purpose(Purpose.PASSWORD_RESET)
            )
        )
        with self._hasher.slot(call.deadline) as slot:
            password_hash = slot.hash(new)
        call.deadline.check()
        self._repository.users.ResetPassword(
            user_repository_pb2.ResetPasswordRequest(
                token_sha256=digest,
                password_hash=password_hash,
                events=[self._events.password_changed(call, user_id=owner.user_id, reason="reset")],
            )
        )
        return owner.user_id

    def _record(
        self,
        call: Call,
        name: str,
        error: AppError | None = None,
        *,
        target: Mapping[str, Fact] = MappingProxyType({}),
    ) -> None:
        outcome, code = (Outcome.DONE, "") if error is None else (outcome_of(error), error.code)
        self._audit.record(
            Act(name, outcome, call.actor, call.request_id, code=code, target=target)
        )
