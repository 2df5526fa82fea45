"""Accounts, sign-in and sessions: the rows below /auth, and the keys of the tokens."""

from __future__ import annotations

from flask import Response, request

from arcana.service.v1 import auth_service_pb2 as auth_pb2
from arcana.service.v1.user_service_pb2 import GetUserRequest
from controller_tier.authentication import current_actor
from controller_tier.clients import shown_address, shown_agent
from controller_tier.conversion.paging import page_document, page_request
from controller_tier.conversion.sessions import session_document, token_document
from controller_tier.conversion.users import user_document
from controller_tier.documents import (
    conditional_answer,
    created_answer,
    empty_answer,
    json_answer,
)
from controller_tier.idempotency import idempotency_key
from controller_tier.operations import Fields
from controller_tier.signing_keys import SigningKeys
from controller_tier.stubs import AuthStub, UserStub
from tier_runtime.errors import AppError, Kind


class AuthViews:
    """The views of accounts, sign-in and sessions."""

    def __init__(self, auth: AuthStub, users: UserStub, keys: SigningKeys) -> None:
        self._auth = auth
        self._users = users
        self._keys = keys

    def register(self, body: Fields) -> Response:
        """Make an account."""
        made = self._auth.Register(
            auth_pb2.RegisterRequest(
                request_id=idempotency_key(),
                email=body["email"],
                name=body["name"],
                password=body["password"],
            )
        )
        return created_answer(
            user_document(made.user),
            made.user.version,
            f"/api/v1/users/{made.user.id}",
            replayed=made.replayed,
        )

    def login(self, body: Fields) -> Response:
        """Start a session."""
        started = self._auth.Login(
            auth_pb2.LoginRequest(
                email=body["email"],
                password=body["password"],
                client_address=shown_address(request.remote_addr or ""),
                user_agent=shown_agent(request.headers.get("User-Agent", "")),
            )
        )
        return json_answer(token_document(started.tokens))

    def refresh(self, body: Fields) -> Response:
        """Trade a refresh token for a new pair."""
        refreshed = self._auth.RefreshSession(
            auth_pb2.RefreshSessionRequest(refresh_token=body["refresh_token"])
        )
        return json_answer(token_document(refreshed.tokens))

    def logout(self, body: Fields) -> Response:
        """End the session of a refresh token."""
        self._auth.Logout(auth_pb2.LogoutRequest(refresh_token=body["refresh_token"]))
        return empty_answer()

    def logout_all(self) -> Response:
        """End every session of the caller."""
        self._auth.LogoutAll(auth_pb2.LogoutAllRequest())
        return empty_answer()

    def change_password(self, body: Fields) -> Response:
        """Replace the caller's password."""
        change = auth_pb2.ChangePasswordRequest(
            current_password=body["current_password"], new_password=body["new_password"]
        )
        try:
            self._auth.ChangePassword(change)
        except AppError as error:
            if error.kind is not Kind.STALE:
                raise
            # Another change came first, though the client has named no version that could be
            # stale. Asked again, the service tier compares with the password of now.
            self._change_password_again(change)
        return empty_answer()

    def _change_password_again(self, change: auth_pb2.ChangePasswordRequest) -> None:
        try:
            self._auth.ChangePassword(change)
        except AppError as error:
            if error.kind is not Kind.STALE:
                raise
            raise AppError(
                Kind.UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "The account is being changed by others; try again.",
            ) from error

    def request_password_reset(self, body: Fields) -> Response:
        """Have a reset token mailed, if there is such an account."""
        self._auth.RequestPasswordReset(auth_pb2.RequestPasswordResetRequest(email=body["email"]))
        return empty_answer(202)

    def confirm_password_reset(self, body: Fields) -> Response:
        """Set a new password by a mailed token."""
        self._auth.ConfirmPasswordReset(
            auth_pb2.ConfirmPasswordResetRequest(
                token=body["token"], new_password=body["new_password"]
            )
        )
        return empty_answer()

    def verify_email(self, body: Fields) -> Response:
        """Mark an address as verified by a mailed token."""
        self._auth.VerifyEmail(auth_pb2.VerifyEmailRequest(token=body["token"]))
        return empty_answer()

    def resend_verification(self) -> Response:
        """Have another verification token mailed."""
        self._auth.ResendVerification(auth_pb2.ResendVerificationRequest())
        return empty_answer(202)

    def own_user(self) -> Response:
        """Show the caller's account."""
        try:
            found = self._users.GetUser(GetUserRequest(user_id=current_actor().subject))
        except AppError as error:
            if error.kind is not Kind.MISSING:
                raise
            # Deleted a moment ago, and the news of its sessions' end are still on their way.
            raise AppError(
                Kind.UNAUTHENTICATED, "TOKEN_REVOKED", "The session has ended."
            ) from error
        return conditional_answer(user_document(found.user), found.user.version)

    def list_sessions(self, query: Fields) -> Response:
        """Show one page of the caller's sessions."""
        found = self._auth.ListSessions(auth_pb2.ListSessionsRequest(page=page_request(query)))
        own = current_actor().session_id
        items = [session_document(session, own) for session in found.sessions]
        return json_answer(page_document(items, found.page, query))

    def end_session(self, session_id: str) -> Response:
        """End one session of the caller."""
        self._auth.EndSession(auth_pb2.EndSessionRequest(session_id=session_id))
        return empty_answer()

    def signing_keys(self) -> Response:
        """Show the public keys of access tokens."""
        return json_answer(
            {"keys": list(self._keys.documents())},
            headers={"Cache-Control": "public, max-age=60"},
        )
