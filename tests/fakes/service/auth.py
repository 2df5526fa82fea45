"""AuthService in memory."""

from __future__ import annotations

from datetime import timedelta

from arcana.service.v1 import auth_service_pb2 as pb
from arcana.service.v1.user_pb2 import USER_STATUS_ACTIVE
from tests.fakes.service.memory import FakeServiceTier, require_signed_in
from tests.fakes.service.pages import page_of
from tier_runtime.errors import AppError, Kind
from tier_runtime.timestamps import datetime_from, timestamp_from
from tier_runtime.validation import invalid, require

PAGE = 2


class FakeAuth:
    def __init__(self, tier: FakeServiceTier) -> None:
        self._tier = tier

    def Register(self, request: pb.RegisterRequest) -> pb.RegisterResponse:
        tier = self._tier
        tier.enter("Register", request)
        require(request, "email", "name", "password")
        answer: pb.RegisterResponse = tier.once("Register", request, lambda: self._made(request))
        return answer

    def _made(self, request: pb.RegisterRequest) -> pb.RegisterResponse:
        if request.password.islower():
            raise invalid({"password": ["Must hold at least one upper case letter."]})
        with self._tier.lock:
            if self._tier.by_email(request.email):
                raise AppError(Kind.EXISTS, "EMAIL_EXISTS", "Email already registered")
            user = self._tier.add_user(request.email, name=request.name, password=request.password)
        return pb.RegisterResponse(user=user)

    def Login(self, request: pb.LoginRequest) -> pb.LoginResponse:
        tier = self._tier
        tier.enter("Login", request)
        account = tier.by_email(request.email)
        if account is None or account.password != request.password:
            raise _wrong_credentials()
        if account.user.status != USER_STATUS_ACTIVE:
            raise AppError(Kind.FORBIDDEN, "ACCOUNT_NOT_ACTIVE", "The account is not active.")
        account.user.last_login_time.CopyFrom(timestamp_from(tier.clock.now()))
        return pb.LoginResponse(tokens=tier.start_session(account.user))

    def RefreshSession(self, request: pb.RefreshSessionRequest) -> pb.RefreshSessionResponse:
        tier = self._tier
        tier.enter("RefreshSession", request)
        with tier.lock:
            dead = tier.dead_refresh_tokens.get(request.refresh_token)
            if dead is not None:
                tier.end_session(dead)
                raise AppError(Kind.UNAUTHENTICATED, "TOKEN_REVOKED", "The token was used.")
            session_id = tier.refresh_tokens.pop(request.refresh_token, None)
            if session_id is None:
                raise _bad_token()
            tier.dead_refresh_tokens[request.refresh_token] = session_id
            if session_id not in tier.sessions:
                raise AppError(Kind.UNAUTHENTICATED, "TOKEN_REVOKED", "The session has ended.")
            return pb.RefreshSessionResponse(tokens=tier.pair(session_id))

    def Logout(self, request: pb.LogoutRequest) -> pb.LogoutResponse:
        self._tier.enter("Logout", request)
        session_id = self._tier.refresh_tokens.get(request.refresh_token)
        if session_id is not None:
            self._tier.end_session(session_id)
        return pb.LogoutResponse()

    def LogoutAll(self, request: pb.LogoutAllRequest) -> pb.LogoutAllResponse:
        actor = self._tier.enter("LogoutAll", request)
        self._tier.end_sessions_of(require_signed_in(actor))
        return pb.LogoutAllResponse()

    def ChangePassword(self, request: pb.ChangePasswordRequest) -> pb.ChangePasswordResponse:
        actor = self._tier.enter("ChangePassword", request)
        account = self._tier.account(require_signed_in(actor))
        if account.password != request.current_password:
            raise _wrong_credentials()
        account.password = request.new_password
        self._tier.end_sessions_of(account.user.id, but=actor.session_id)
        return pb.ChangePasswordResponse()

    def RequestPasswordReset(
        self, request: pb.RequestPasswordResetRequest
    ) -> pb.RequestPasswordResetResponse:
        self._tier.enter("RequestPasswordReset", request)
        account = self._tier.by_email(request.email)
        if account is not None:
            self._tier.one_time_tokens[f"reset-{self._tier.new_id()}"] = account.user.id
        return pb.RequestPasswordResetResponse()

    def ConfirmPasswordReset(
        self, request: pb.ConfirmPasswordResetRequest
    ) -> pb.ConfirmPasswordResetResponse:
        self._tier.enter("ConfirmPasswordReset", request)
        user_id = self._tier.one_time_tokens.pop(request.token, None)
        if user_id is None:
            raise _bad_token()
        self._tier.account(user_id).password = request.new_password
        self._tier.end_sessions_of(user_id)
        return pb.ConfirmPasswordResetResponse()

    def VerifyEmail(self, request: pb.VerifyEmailRequest) -> pb.VerifyEmailResponse:
        self._tier.enter("VerifyEmail", request)
        user_id = self._tier.one_time_tokens.pop(request.token, None)
        if user_id is None:
            raise _bad_token()
        self._tier.account(user_id).user.email_verified = True
        return pb.VerifyEmailResponse()

    def ResendVerification(
        self, request: pb.ResendVerificationRequest
    ) -> pb.ResendVerificationResponse:
        actor = self._tier.enter("ResendVerification", request)
        user_id = require_signed_in(actor)
        self._tier.one_time_tokens[f"verify-{self._tier.new_id()}"] = user_id
        return pb.ResendVerificationResponse()

    def ListSessions(self, request: pb.ListSessionsRequest) -> pb.ListSessionsResponse:
        actor = self._tier.enter("ListSessions", request)
        user_id = require_signed_in(actor)
        own = [each for each in self._tier.sessions.values() if each.user_id == user_id]
        items, result = page_of(list(reversed(own)), request.page)
        return pb.ListSessionsResponse(sessions=items, page=result)

    def EndSession(self, request: pb.EndSessionRequest) -> pb.EndSessionResponse:
        actor = self._tier.enter("EndSession", request)
        user_id = require_signed_in(actor)
        session = self._tier.sessions.get(request.session_id)
        if session is None or session.user_id != user_id:
            raise AppError(Kind.MISSING, "NOT_FOUND", "There is no such session.")
        self._tier.end_session(session.id)
        return pb.EndSessionResponse()

    def GetJwks(
        self, request: pb.GetJwksRequest, timeout: float | None = None
    ) -> pb.GetJwksResponse:
        self._tier.enter("GetJwks", request, timeout)
        return pb.GetJwksResponse(keys=[self._tier.mint.key.jwk()])

    def ListAccessChanges(
        self, request: pb.ListAccessChangesRequest, timeout: float | None = None
    ) -> pb.ListAccessChangesResponse:
        """Give `PAGE` ended sessions at a time, and all role changes with the first page."""
        tier = self._tier
        tier.enter("ListAccessChanges", request, timeout)
        since = datetime_from(request.since_time)
        ended = [
            each
            for each in tier.ended
            if since is None or (datetime_from(each.end_time) or since) >= since
        ]
        start = int(request.page_token or 0)
        more = len(ended) > start + PAGE
        return pb.ListAccessChangesResponse(
            ended_sessions=ended[start : start + PAGE],
            role_changes=tier.role_changes if start == 0 else [],
            next_page_token=str(start + PAGE) if more else "",
            next_since_time=timestamp_from(tier.clock.now() - timedelta(seconds=10)),
        )

    def CheckSession(self, request: pb.CheckSessionRequest) -> pb.CheckSessionResponse:
        self._tier.enter("CheckSession", request)
        session = self._tier.sessions.get(request.session_id)
        if session is None:
            raise AppError(Kind.UNAUTHENTICATED, "TOKEN_REVOKED", "The session has ended.")
        user = self._tier.account(session.user_id).user
        return pb.CheckSessionResponse(user_id=user.id, roles=user.roles)


def _wrong_credentials() -> AppError:
    return AppError(
        Kind.UNAUTHENTICATED, "INVALID_CREDENTIALS", "The address or the password is wrong."
    )


def _bad_token() -> AppError:
    return AppError(Kind.UNAUTHENTICATED, "INVALID_TOKEN", "The token is not valid.")
