"""The session repository."""

from __future__ import annotations

from datetime import datetime

import grpc

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import (
    session_repository_pb2,
    session_repository_pb2_grpc,
    user_pb2,
)
from tests.fakes.repository.state import (
    KeptSession,
    State,
    invalid_token,
    not_active,
    stale,
    token_expired,
)
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import datetime_from, timestamp_from
from tier_runtime.validation import invalid

CHANGES_PER_PAGE = 1000


class FakeSessions(session_repository_pb2_grpc.SessionRepositoryServicer):
    def __init__(self, state: State, changes_per_page: int) -> None:
        self._state = state
        self._changes_per_page = changes_per_page

    def CreateSession(
        self, request: session_repository_pb2.CreateSessionRequest, context: grpc.ServicerContext
    ) -> session_repository_pb2.CreateSessionResponse:
        with self._state.lock:
            account = self._state.account(request.user_id)
            kept = self._state.sessions.get(request.session_id)
            if kept is None:
                if account.credential_version != request.expected_credential_version:
                    raise stale()
                if account.user.status != user_pb2.USER_STATUS_ACTIVE:
                    raise not_active()
                kept = self._started(request)
                if request.rehashed_password_hash:
                    account.password_hash = request.rehashed_password_hash
                # A sign-in moves the version, but is no change of what the user is.
                account.user.version += 1
                account.user.last_login_time.CopyFrom(self._state.now())
                self._state.events.extend(request.events)
            return session_repository_pb2.CreateSessionResponse(
                session=kept.session, user=account.user
            )

    def RotateRefreshToken(
        self,
        request: session_repository_pb2.RotateRefreshTokenRequest,
        context: grpc.ServicerContext,
    ) -> session_repository_pb2.RotateRefreshTokenResponse:
        with self._state.lock:
            kept = self._by_token(request.presented_sha256)
            if kept is None:
                raise invalid_token()
            if kept.ended is not None:
                raise _revoked()
            if kept.living_sha256 != request.presented_sha256:
                kept.ended = self._state.clock.now()
                raise AppError(
                    Kind.UNAUTHENTICATED,
                    "TOKEN_REVOKED",
                    "Ended.",
                    user_id=kept.session.user_id,
                    session_id=kept.session.id,
                )
            if not self._state.lives(kept):
                raise token_expired()
            account = self._state.account(kept.session.user_id)
            if account.user.status != user_pb2.USER_STATUS_ACTIVE:
                raise not_active()
            kept.living_sha256 = request.successor_sha256
            self._state.session_of_token[request.successor_sha256] = kept.session.id
            kept.session.refreshed_time.CopyFrom(self._state.now())
            kept.session.expire_time.CopyFrom(request.expire_time)
            return session_repository_pb2.RotateRefreshTokenResponse(
                session=kept.session, user=account.user
            )

    def EndSessionByRefreshToken(
        self,
        request: session_repository_pb2.EndSessionByRefreshTokenRequest,
        context: grpc.ServicerContext,
    ) -> session_repository_pb2.EndSessionByRefreshTokenResponse:
        with self._state.lock:
            kept = self._by_token(request.refresh_token_sha256)
            if kept is not None and kept.ended is None:
                kept.ended = self._state.clock.now()
            return session_repository_pb2.EndSessionByRefreshTokenResponse()

    def EndSession(
        self, request: session_repository_pb2.EndSessionRequest, context: grpc.ServicerContext
    ) -> session_repository_pb2.EndSessionResponse:
        with self._state.lock:
            kept = self._living(request.session_id)
            if kept.session.user_id != request.user_id:
                raise _not_found()
            kept.ended = self._state.clock.now()
            return session_repository_pb2.EndSessionResponse()

    def EndUserSessions(
        self, request: session_repository_pb2.EndUserSessionsRequest, context: grpc.ServicerContext
    ) -> session_repository_pb2.EndUserSessionsResponse:
        with self._state.lock:
            self._state.end_sessions(request.user_id)
            return session_repository_pb2.EndUserSessionsResponse()

    def ListSessions(
        self, request: session_repository_pb2.ListSessionsRequest, context: grpc.ServicerContext
    ) -> session_repository_pb2.ListSessionsResponse:
        with self._state.lock:
            living = [
                kept.session
                for kept in self._state.sessions.values()
                if kept.session.user_id == request.user_id and self._state.lives(kept)
            ]
        living.sort(
            key=lambda one: (one.created_time.seconds, one.created_time.nanos, one.id),
            reverse=True,
        )
        size = request.page.page_size or 10
        total: int | None = None
        if request.page.cursor:
            start = [one.id for one in living].index(request.page.cursor) + 1
        else:
            total, start = len(living), request.page.page * size
        page = living[start : start + size]
        following = page[-1].id if len(living) > start + size else ""
        return session_repository_pb2.ListSessionsResponse(
            sessions=page, page=paging_pb2.PageResult(total=total, next_cursor=following)
        )

    def GetSession(
        self, request: session_repository_pb2.GetSessionRequest, context: grpc.ServicerContext
    ) -> session_repository_pb2.GetSessionResponse:
        with self._state.lock:
            kept = self._living(request.session_id)
            roles = self._state.account(kept.session.user_id).user.roles
            return session_repository_pb2.GetSessionResponse(session=kept.session, roles=roles)

    def ListAccessChanges(
        self,
        request: session_repository_pb2.ListAccessChangesRequest,
        context: grpc.ServicerContext,
    ) -> session_repository_pb2.ListAccessChangesResponse:
        since = datetime_from(request.since_time)
        if since is None:
            raise invalid({"since_time": ["Required."]})
        with self._state.lock:
            start = int(request.page_token or "0")
            changes = self._changes(since)
            page = changes[start : start + self._changes_per_page]
            end = start + len(page)
            return session_repository_pb2.ListAccessChangesResponse(
                ended_sessions=[
                    session_repository_pb2.EndedSession(
                        session_id=subject, end_time=timestamp_from(moment)
                    )
                    for moment, kind, subject in page
                    if kind == "session"
                ],
                role_changes=[
                    session_repository_pb2.RoleChange(
                        user_id=subject,
                        roles=self._state.accounts[subject].user.roles,
                        change_time=timestamp_from(moment),
                    )
                    for moment, kind, subject in page
                    if kind == "roles"
                ],
                next_page_token=str(end) if end < len(changes) else "",
                read_time=self._state.now(),
            )

    def _changes(self, since: datetime) -> list[tuple[datetime, str, str]]:
        ended = [
            (kept.ended, "session", kept.session.id)
            for kept in self._state.sessions.values()
            if kept.ended is not None and kept.ended >= since
        ]
        roles = [
            (moment, "roles", user_id)
            for user_id, moment in self._state.role_changes.items()
            if moment >= since and user_id in self._state.accounts
        ]
        return sorted(ended + roles)

    def _started(self, request: session_repository_pb2.CreateSessionRequest) -> KeptSession:
        now = self._state.now()
        session = session_repository_pb2.Session(
            id=request.session_id,
            user_id=request.user_id,
            created_time=now,
            refreshed_time=now,
            expire_time=request.expire_time,
            client_address=request.client_address,
            user_agent=request.user_agent,
        )
        kept = KeptSession(session, request.refresh_token_sha256)
        self._state.sessions[request.session_id] = kept
        self._state.session_of_token[request.refresh_token_sha256] = request.session_id
        return kept

    def _by_token(self, sha256: bytes) -> KeptSession | None:
        session_id = self._state.session_of_token.get(sha256)
        return self._state.sessions[session_id] if session_id is not None else None

    def _living(self, session_id: str) -> KeptSession:
        kept = self._state.sessions.get(session_id)
        if kept is None or not self._state.lives(kept):
            raise _not_found()
        return kept


def _revoked() -> AppError:
    return AppError(Kind.UNAUTHENTICATED, "TOKEN_REVOKED", "Ended.")


def _not_found() -> AppError:
    return AppError(Kind.MISSING, "NOT_FOUND", "No such living session.")
