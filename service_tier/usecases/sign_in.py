"""Checks passwords and starts sessions."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from arcana.repository.v1 import (
    event_repository_pb2,
    session_repository_pb2,
    user_pb2,
    user_repository_pb2,
)
from service_tier.access_tokens import AccessTokenIssuer
from service_tier.domain.accounts import email_faults, normalize_email
from service_tier.domain.faults import refuse_faults
from service_tier.domain.passwords import compared_password_faults, normalize_password
from service_tier.events import Events
from service_tier.hashing import HashSlot, PasswordHasher
from service_tier.refresh_tokens import RandomBytes, new_refresh_token
from service_tier.repository import Repository
from service_tier.usecases.accounts import account_target, find_by_email, invalid_credentials
from service_tier.usecases.token_pairs import TokenPair
from tier_runtime.audit import Act, AuditTrail, Outcome
from tier_runtime.call import Call
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import IdSource
from tier_runtime.logs import get_logger
from tier_runtime.timestamps import timestamp_from

MAX_ADDRESS_LENGTH = 45
MAX_USER_AGENT_LENGTH = 255

# How long a failed sign-in may wait for its note in the outbox.
NOTE_TIMEOUT_SECONDS = 1.0

# What it is called in the audit log.
ACT = "AuthService/Login"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a client signs in with, normalized and cut to what is kept."""

    email: str
    password: str = field(repr=False)
    client_address: str = ""
    user_agent: str = ""

    @classmethod
    def normalized(
        cls, *, email: str, password: str, client_address: str = "", user_agent: str = ""
    ) -> Attempt:
        """Return the attempt as it is checked."""
        return cls(
            normalize_email(email),
            normalize_password(password),
            _shown(client_address, MAX_ADDRESS_LENGTH),
            _shown(user_agent, MAX_USER_AGENT_LENGTH),
        )


def _shown(text: str, length: int) -> str:
    """Return the text as it can be kept and shown; nobody is refused for an odd header."""
    printable = "".join(character for character in text if character.isprintable())
    return unicodedata.normalize("NFC", printable)[:length].strip()


@dataclass(frozen=True, slots=True)
class _CheckedAccount:
    user_id: str
    credential_version: int
    rehashed: str = field(repr=False)


class SignIn:
    """Checks passwords and starts sessions."""

    def __init__(
        self,
        *,
        repository: Repository,
        hasher: PasswordHasher,
        access_tokens: AccessTokenIssuer,
        events: Events,
        clock: Clock,
        ids: IdSource,
        random_bytes: RandomBytes,
        refresh_lifetime: timedelta,
        audit: AuditTrail,
        count: Callable[[str], None] = lambda _outcome: None,
    ) -> None:
        self._repository = repository
        self._hasher = hasher
        self._access_tokens = access_tokens
        self._events = events
        self._clock = clock
        self._ids = ids
        self._random_bytes = random_bytes
        self._refresh_lifetime = refresh_lifetime
        # Is told how each attempt ended.
        self._count = count
        self._audit = audit

    def login(self, call: Call, attempt: Attempt) -> TokenPair:
        """Start a session for whoever knows the account's password.

        Raises:
            AppError: as the contract names them.
        """
        refuse_faults(
            {
                "email": email_faults(attempt.email),
                "password": compared_password_faults(attempt.password),
            }
        )
        try:
            pair = self._tried(call, attempt)
        except AppError as error:
            if error.kind not in {Kind.UNAUTHENTICATED, Kind.FORBIDDEN}:
                self._count("not_decided")
            raise
        self._count("success")
        return pair

    def _tried(self, call: Call, attempt: Attempt) -> TokenPair:
        pair = self._try_once(call, attempt)
        if pair is None:
            # The password or the status changed between the check and the start of the session:
            # what was checked is no longer true, so it is checked again, once.
            pair = self._try_once(call, attempt)
        if pair is None:
            raise AppError(
                Kind.UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "The account is being changed at the moment.",
                retry_after=1.0,
            )
        return pair

    def _try_once(self, call: Call, attempt: Attempt) -> TokenPair | None:
        account = self._checked(call, attempt)
        call.deadline.check()
        try:
            return self._started(call, attempt, account)
        except AppError as error:
            if error.kind is Kind.STALE:
                return None
            if error.kind is Kind.MISSING:
                # Deleted since the check; the same answer as if it had been before.
                self._note_failure(call, attempt, None, "unknown_account")
                raise invalid_credentials() from error
            if error.code == "ACCOUNT_NOT_ACTIVE":
                self._note_failure(call, attempt, account.user_id, "account_not_active")
            raise

    def _checked(self, call: Call, attempt: Attempt) -> _CheckedAccount:
        with self._hasher.slot(call.deadline) as slot:
            found = find_by_email(self._repository, attempt.email)
            stored = found.credentials.password_hash if found is not None else None
            right = slot.verify(stored, attempt.password)
            rehashed = ""
            if found is not None and right:
                rehashed = self._rehashed(slot, found.credentials.password_hash, attempt.password)
        # A slot is for hashing; notes are written to the outbox without one.
        if found is not None and right:
            return self._admitted(call, attempt, found, rehashed)
        user_id = found.user.id if found is not None else None
        reason = "wrong_password" if found is not None else "unknown_account"
        self._note_failure(call, attempt, user_id, reason)
        raise invalid_credentials()

    def _admitted(
        self,
        call: Call,
        attempt: Attempt,
        found: user_repository_pb2.GetCredentialsResponse,
        rehashed: str,
    ) -> _CheckedAccount:
        if found.user.status != user_pb2.USER_STATUS_ACTIVE:
            self._note_failure(call, attempt, found.user.id, "account_not_active")
            raise AppError(Kind.FORBIDDEN, "ACCOUNT_NOT_ACTIVE", "The account is not active.")
        return _CheckedAccount(found.user.id, found.credentials.credential_version, rehashed)

    def _rehashed(self, slot: HashSlot, password_hash: str, password: str) -> str:
        # Nice to have: it waits for the next sign-in rather than costing this one its deadline.
        if self._hasher.needs_rehash(password_hash) and slot.has_time():
            return slot.hash(password)
        return ""

    def _started(self, call: Call, attempt: Attempt, account: _CheckedAccount) -> TokenPair:
        session_id = self._ids.new_id()
        refresh_token = new_refresh_token(self._random_bytes)
        answer = self._repository.sessions.CreateSession(
            session_repository_pb2.CreateSessionRequest(
                session_id=session_id,
                user_id=account.user_id,
                expected_credential_version=account.credential_version,
                refresh_token_sha256=refresh_token.sha256,
                expire_time=timestamp_from(self._clock.now() + self._refresh_lifetime),
                client_address=attempt.client_address,
                user_agent=attempt.user_agent,
                rehashed_password_hash=account.rehashed,
                events=[
                    self._events.login_success(call, user_id=account.user_id, session_id=session_id)
                ],
            )
        )
        access_token = self._access_tokens.issue(
            user_id=answer.user.id, session_id=session_id, roles=answer.user.roles
        )
        self._audit.record(
            Act(
                ACT,
                Outcome.DONE,
                call.actor,
                call.request_id,
                target={"user_id": answer.user.id, "session_id": session_id},
                client_address=attempt.client_address,
            )
        )
        return TokenPair(access_token, refresh_token.text, self._access_tokens.lifetime)

    def _note_failure(self, call: Call, attempt: Attempt, user_id: str | None, reason: str) -> None:
        self._count(reason)
        refused = "ACCOUNT_NOT_ACTIVE" if reason == "account_not_active" else "INVALID_CREDENTIALS"
        self._audit.record(
            Act(
                ACT,
                Outcome.DENIED,
                call.actor,
                call.request_id,
                code=refused,
                reason=reason,
                target=account_target(user_id, attempt.email),
                client_address=attempt.client_address,
            )
        )
        event = self._events.login_failed(call, user_id=user_id, reason=reason)
        try:
            self._repository.events.AppendEvents(
                event_repository_pb2.AppendEventsRequest(events=[event]),
                # The client must still be there to hear why it was refused.
                timeout=min(NOTE_TIMEOUT_SECONDS, call.deadline.remaining() / 2),
            )
        except AppError as error:
            # The client was refused for a reason that stands whether or not it could be noted:
            # an outbox that is down must not turn a 401 into a 503. The log keeps what is lost.
            _log.warning(
                "login_failure_not_noted",
                code=error.code,
                reason=reason,
                user_id=user_id or "",
            )
