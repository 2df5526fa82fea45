"""Goes on with sessions, ends them, and tells which of them live."""

from __future__ import annotations

from datetime import timedelta

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import session_repository_pb2
from service_tier.access_tokens import AccessTokenIssuer
from service_tier.domain.permissions import require_signed_in
from service_tier.refresh_tokens import RandomBytes, new_refresh_token, presented_refresh_token
from service_tier.repository import Repository
from service_tier.usecases.accounts import token_revoked
from service_tier.usecases.token_pairs import TokenPair
from tier_runtime.audit import Act, AuditTrail, Outcome, outcome_of
from tier_runtime.call import Call
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import timestamp_from

# What the repository tier tells of the session that a token ended by coming a second time.
_OF_REUSE = ("user_id", "session_id")


class Sessions:
    """The life of a session after its sign-in."""

    def __init__(
        self,
        repository: Repository,
        access_tokens: AccessTokenIssuer,
        clock: Clock,
        random_bytes: RandomBytes,
        *,
        refresh_lifetime: timedelta,
        audit: AuditTrail,
    ) -> None:
        self._repository = repository
        self._access_tokens = access_tokens
        self._clock = clock
        self._random_bytes = random_bytes
        self._refresh_lifetime = refresh_lifetime
        self._audit = audit

    def refresh(self, call: Call, refresh_token: str) -> TokenPair:
        """Trade a refresh token for a new pair; whoever knows it may.

        Raises:
            AppError: as the contract names them.
        """
        try:
            return self._refreshed(refresh_token)
        except AppError as error:
            if outcome_of(error) is not Outcome.DENIED:
                raise
            ended = {name: error.metadata[name] for name in _OF_REUSE if name in error.metadata}
            self._audit.record(
                Act(
                    "AuthService/RefreshSession",
                    Outcome.DENIED,
                    call.actor,
                    call.request_id,
                    code=error.code,
                    reason="used_twice" if ended else "",
                    target=ended,
                )
            )
            if ended:
                # Whoever holds a stolen token is not told whose it is.
                raise token_revoked() from error
            raise

    def _refreshed(self, refresh_token: str) -> TokenPair:
        presented = presented_refresh_token(refresh_token)
        if presented is None:
            raise AppError(Kind.UNAUTHENTICATED, "INVALID_TOKEN", "The token is not valid.")
        successor = new_refresh_token(self._random_bytes)
        answer = self._repository.sessions.RotateRefreshToken(
            session_repository_pb2.RotateRefreshTokenRequest(
                presented_sha256=presented.sha256,
                successor_sha256=successor.sha256,
                expire_time=timestamp_from(self._clock.now() + self._refresh_lifetime),
            )
        )
        access_token = self._access_tokens.issue(
            user_id=answer.user.id, session_id=answer.session.id, roles=answer.user.roles
        )
        return TokenPair(access_token, successor.text, self._access_tokens.lifetime)

    def logout(self, refresh_token: str) -> None:
        """End the session of a refresh token; one that is not known is no error."""
        presented = presented_refresh_token(refresh_token)
        if presented is not None:
            self._repository.sessions.EndSessionByRefreshToken(
                session_repository_pb2.EndSessionByRefreshTokenRequest(
                    refresh_token_sha256=presented.sha256
                )
            )

    def logout_all(self, call: Call) -> None:
        """End every session of the actor.

        Raises:
            AppError: UNAUTHENTICATED/UNAUTHENTICATED.
        """
        user_id = require_signed_in(call.actor)
        self._repository.sessions.EndUserSessions(
            session_repository_pb2.EndUserSessionsRequest(user_id=user_id)
        )

    def list(
        self, call: Call, page: paging_pb2.PageRequest
    ) -> session_repository_pb2.ListSessionsResponse:
        """Return one page of the actor's living sessions.

        Raises:
            AppError: UNAUTHENTICATED/UNAUTHENTICATED.
        """
        user_id = require_signed_in(call.actor)
        return self._repository.sessions.ListSessions(
            session_repository_pb2.ListSessionsRequest(user_id=user_id, page=page)
        )

    def end(self, call: Call, session_id: str) -> None:
        """End one session of the actor.

        Raises:
            AppError: UNAUTHENTICATED/UNAUTHENTICATED; MISSING/NOT_FOUND, also for a session that
                is somebody else's.
        """
        user_id = require_signed_in(call.actor)
        self._repository.sessions.EndSession(
            session_repository_pb2.EndSessionRequest(user_id=user_id, session_id=session_id)
        )

    def check(self, session_id: str) -> session_repository_pb2.GetSessionResponse:
        """Return a session that lives, with its user's roles of now.

        Raises:
            AppError: UNAUTHENTICATED/TOKEN_REVOKED, when it is unknown or has ended.
        """
        try:
            return self._repository.sessions.GetSession(
                session_repository_pb2.GetSessionRequest(session_id=session_id)
            )
        except AppError as error:
            if error.kind is Kind.MISSING:
                raise token_revoked() from error
            raise
