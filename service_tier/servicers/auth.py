"""AuthService over its use cases."""

from __future__ import annotations

import grpc

from arcana.service.v1 import auth_service_pb2 as pb
from arcana.service.v1 import auth_service_pb2_grpc
from service_tier.conversion.auth import (
    changes_to_proto,
    key_to_proto,
    session_to_proto,
    token_pair_to_proto,
)
from service_tier.conversion.moments import moment_from_proto
from service_tier.conversion.paging import page_from_request
from service_tier.conversion.users import user_to_proto
from service_tier.idempotency import IdempotencyKeys
from service_tier.keys import PublicKey
from service_tier.usecases.access_changes import AccessFeed
from service_tier.usecases.passwords import Passwords
from service_tier.usecases.registration import NewAccount, Registration
from service_tier.usecases.sessions import Sessions
from service_tier.usecases.sign_in import Attempt, SignIn
from service_tier.usecases.verification import Verification
from tier_runtime.context import rpc_context
from tier_runtime.validation import require


class AuthServicer(auth_service_pb2_grpc.AuthServiceServicer):
    """Accounts, sign-in and sessions."""

    def __init__(
        self,
        *,
        registration: Registration,
        sign_in: SignIn,
        sessions: Sessions,
        passwords: Passwords,
        verification: Verification,
        access_feed: AccessFeed,
        idempotency: IdempotencyKeys,
        published_keys: tuple[PublicKey, ...],
    ) -> None:
        self._registration = registration
        self._sign_in = sign_in
        self._sessions = sessions
        self._passwords = passwords
        self._verification = verification
        self._access_feed = access_feed
        self._idempotency = idempotency
        self._published_keys = published_keys

    def Register(
        self, request: pb.RegisterRequest, context: grpc.ServicerContext
    ) -> pb.RegisterResponse:
        """Make an account."""
        require(request, "email", "name", "password")
        call = rpc_context(context).call
        key = self._idempotency.key_for(call.actor, "Register", request.request_id, request)
        account = NewAccount.normalized(
            email=request.email, name=request.name, password=request.password
        )
        created = self._registration.register(call, account, key)
        return pb.RegisterResponse(user=user_to_proto(created.user), replayed=created.replayed)

    def Login(self, request: pb.LoginRequest, context: grpc.ServicerContext) -> pb.LoginResponse:
        """Check a password and start a session."""
        require(request, "email", "password")
        attempt = Attempt.normalized(
            email=request.email,
            password=request.password,
            client_address=request.client_address,
            user_agent=request.user_agent,
        )
        pair = self._sign_in.login(rpc_context(context).call, attempt)
        return pb.LoginResponse(tokens=token_pair_to_proto(pair))

    def RefreshSession(
        self, request: pb.RefreshSessionRequest, context: grpc.ServicerContext
    ) -> pb.RefreshSessionResponse:
        """Trade a refresh token for a new pair."""
        require(request, "refresh_token")
        pair = self._sessions.refresh(rpc_context(context).call, request.refresh_token)
        return pb.RefreshSessionResponse(tokens=token_pair_to_proto(pair))

    def Logout(self, request: pb.LogoutRequest, context: grpc.ServicerContext) -> pb.LogoutResponse:
        """End the session of a refresh token."""
        require(request, "refresh_token")
        self._sessions.logout(request.refresh_token)
        return pb.LogoutResponse()

    def LogoutAll(
        self, request: pb.LogoutAllRequest, context: grpc.ServicerContext
    ) -> pb.LogoutAllResponse:
        """End every session of the actor."""
        self._sessions.logout_all(rpc_context(context).call)
        return pb.LogoutAllResponse()

    def ChangePassword(
        self, request: pb.ChangePasswordRequest, context: grpc.ServicerContext
    ) -> pb.ChangePasswordResponse:
        """Replace the actor's password."""
        require(request, "current_password", "new_password")
        self._passwords.change(
            rpc_context(context).call, current=request.current_password, new=request.new_password
        )
        return pb.ChangePasswordResponse()

    def RequestPasswordReset(
        self, request: pb.RequestPasswordResetRequest, context: grpc.ServicerContext
    ) -> pb.RequestPasswordResetResponse:
        """Make a reset token if there is such an account."""
        require(request, "email")
        self._passwords.request_reset(rpc_context(context).call, request.email)
        return pb.RequestPasswordResetResponse()

    def ConfirmPasswordReset(
        self, request: pb.ConfirmPasswordResetRequest, context: grpc.ServicerContext
    ) -> pb.ConfirmPasswordResetResponse:
        """Set a new password by token."""
        require(request, "token", "new_password")
        self._passwords.confirm_reset(
            rpc_context(context).call, token=request.token, new=request.new_password
        )
        return pb.ConfirmPasswordResetResponse()

    def VerifyEmail(
        self, request: pb.VerifyEmailRequest, context: grpc.ServicerContext
    ) -> pb.VerifyEmailResponse:
        """Mark an address as verified by token."""
        require(request, "token")
        self._verification.verify(rpc_context(context).call, request.token)
        return pb.VerifyEmailResponse()

    def ResendVerification(
        self, request: pb.ResendVerificationRequest, context: grpc.ServicerContext
    ) -> pb.ResendVerificationResponse:
        """Make another verification token for the actor."""
        self._verification.resend(rpc_context(context).call)
        return pb.ResendVerificationResponse()

    def ListSessions(
        self, request: pb.ListSessionsRequest, context: grpc.ServicerContext
    ) -> pb.ListSessionsResponse:
        """List the actor's living sessions."""
        page = page_from_request(request.page)
        listed = self._sessions.list(rpc_context(context).call, page)
        return pb.ListSessionsResponse(
            sessions=[session_to_proto(session) for session in listed.sessions], page=listed.page
        )

    def EndSession(
        self, request: pb.EndSessionRequest, context: grpc.ServicerContext
    ) -> pb.EndSessionResponse:
        """End one session of the actor."""
        require(request, "session_id")
        self._sessions.end(rpc_context(context).call, request.session_id)
        return pb.EndSessionResponse()

    def GetJwks(
        self, request: pb.GetJwksRequest, context: grpc.ServicerContext
    ) -> pb.GetJwksResponse:
        """Give the public keys."""
        return pb.GetJwksResponse(keys=[key_to_proto(key) for key in self._published_keys])

    def ListAccessChanges(
        self, request: pb.ListAccessChangesRequest, context: grpc.ServicerContext
    ) -> pb.ListAccessChangesResponse:
        """List what changed about access since a time."""
        since = moment_from_proto("since_time", request.since_time)
        changes = self._access_feed.list(since, request.page_token)
        return changes_to_proto(changes)

    def CheckSession(
        self, request: pb.CheckSessionRequest, context: grpc.ServicerContext
    ) -> pb.CheckSessionResponse:
        """Say whether a session lives."""
        require(request, "session_id")
        found = self._sessions.check(request.session_id)
        return pb.CheckSessionResponse(user_id=found.session.user_id, roles=found.roles)
