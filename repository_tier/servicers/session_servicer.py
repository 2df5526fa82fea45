"""SessionRepository: sessions, refresh tokens, the feed of access changes."""

from __future__ import annotations

from grpc import ServicerContext

from arcana.repository.v1 import session_repository_pb2 as messages
from arcana.repository.v1.session_repository_pb2_grpc import SessionRepositoryServicer
from repository_tier.field_checks import FieldChecks
from repository_tier.outbox import events_from_proto
from repository_tier.paging import page_from_proto
from repository_tier.servicers.user_requests import MAX_HASH_CHARACTERS, digest, known_id
from repository_tier.session_lists import SessionLists
from repository_tier.sessions import NewSession, Rotation, Sessions
from tier_runtime.context import rpc_context
from tier_runtime.timestamps import timestamp_from
from tier_runtime.validation import require


class SessionServicer(SessionRepositoryServicer):
    """Each method checks presence, converts in, makes one call, and converts out."""

    def __init__(self, sessions: Sessions, lists: SessionLists) -> None:
        self._sessions = sessions
        self._lists = lists

    def CreateSession(
        self, request: messages.CreateSessionRequest, context: ServicerContext
    ) -> messages.CreateSessionResponse:
        require(
            request,
            "session_id",
            "user_id",
            "expected_credential_version",
            "refresh_token_sha256",
            "expire_time",
        )
        new = _new_session_from_proto(request)
        events = events_from_proto(request.events)
        session, user = self._sessions.create(new, events, rpc_context(context).deadline)
        return messages.CreateSessionResponse(session=session, user=user)

    def RotateRefreshToken(
        self, request: messages.RotateRefreshTokenRequest, context: ServicerContext
    ) -> messages.RotateRefreshTokenResponse:
        require(request, "presented_sha256", "successor_sha256", "expire_time")
        rotation = _rotation_from_proto(request)
        session, user = self._sessions.rotate(rotation, rpc_context(context).deadline)
        return messages.RotateRefreshTokenResponse(session=session, user=user)

    def EndSessionByRefreshToken(
        self, request: messages.EndSessionByRefreshTokenRequest, context: ServicerContext
    ) -> messages.EndSessionByRefreshTokenResponse:
        require(request, "refresh_token_sha256")
        token = digest("refresh_token_sha256", request.refresh_token_sha256)
        self._sessions.end_by_refresh_token(token, rpc_context(context).deadline)
        return messages.EndSessionByRefreshTokenResponse()

    def EndSession(
        self, request: messages.EndSessionRequest, context: ServicerContext
    ) -> messages.EndSessionResponse:
        require(request, "user_id", "session_id")
        user_id = known_id("user_id", request.user_id)
        session_id = known_id("session_id", request.session_id)
        self._sessions.end(user_id, session_id, rpc_context(context).deadline)
        return messages.EndSessionResponse()

    def EndUserSessions(
        self, request: messages.EndUserSessionsRequest, context: ServicerContext
    ) -> messages.EndUserSessionsResponse:
        require(request, "user_id")
        user_id = known_id("user_id", request.user_id)
        self._sessions.end_all(user_id, rpc_context(context).deadline)
        return messages.EndUserSessionsResponse()

    def ListSessions(
        self, request: messages.ListSessionsRequest, context: ServicerContext
    ) -> messages.ListSessionsResponse:
        require(request, "user_id")
        user_id = known_id("user_id", request.user_id)
        page = page_from_proto(request.page)
        found, place = self._lists.list_living(user_id, page, rpc_context(context).deadline)
        return messages.ListSessionsResponse(sessions=found, page=place)

    def GetSession(
        self, request: messages.GetSessionRequest, context: ServicerContext
    ) -> messages.GetSessionResponse:
        require(request, "session_id")
        session_id = known_id("session_id", request.session_id)
        session, roles = self._lists.get_living(session_id, rpc_context(context).deadline)
        return messages.GetSessionResponse(session=session, roles=roles)

    def ListAccessChanges(
        self, request: messages.ListAccessChangesRequest, context: ServicerContext
    ) -> messages.ListAccessChangesResponse:
        require(request, "since_time")
        checks = FieldChecks()
        since = checks.required_moment("since_time", request.since_time)
        changes = self._lists.changes_since(
            since, request.page_token, rpc_context(context).deadline
        )
        return messages.ListAccessChangesResponse(
            ended_sessions=changes.ended,
            role_changes=changes.roles,
            next_page_token=changes.next_page_token,
            read_time=timestamp_from(changes.read_time),
        )


def _new_session_from_proto(request: messages.CreateSessionRequest) -> NewSession:
    checks = FieldChecks()
    rehashed = request.rehashed_password_hash
    if rehashed:
        checks.word("rehashed_password_hash", rehashed, MAX_HASH_CHARACTERS)
    new = NewSession(
        id=checks.new_id("session_id", request.session_id),
        user_id=checks.known_id("user_id", request.user_id),
        expected_credential_version=request.expected_credential_version,
        refresh_token_sha256=checks.sha256("refresh_token_sha256", request.refresh_token_sha256),
        expire_time=checks.required_moment("expire_time", request.expire_time),
        client_address=checks.text("client_address", request.client_address, 45),
        user_agent=checks.text("user_agent", request.user_agent, 255),
        rehashed_password_hash=rehashed,
    )
    checks.done()
    return new


def _rotation_from_proto(request: messages.RotateRefreshTokenRequest) -> Rotation:
    checks = FieldChecks()
    rotation = Rotation(
        presented_sha256=checks.sha256("presented_sha256", request.presented_sha256),
        successor_sha256=checks.sha256("successor_sha256", request.successor_sha256),
        expire_time=checks.required_moment("expire_time", request.expire_time),
    )
    if rotation.presented_sha256 == rotation.successor_sha256:
        checks.fault("successor_sha256", "Must differ from the token presented.")
    checks.done()
    return rotation
