"""The part of the user repository that is about one-time tokens."""

from __future__ import annotations

import grpc

from arcana.repository.v1 import one_time_token_pb2, user_repository_pb2
from tests.fakes.repository.state import KeptToken, State, invalid_token, token_expired
from tier_runtime.timestamps import datetime_from

RESET = one_time_token_pb2.ONE_TIME_TOKEN_PURPOSE_PASSWORD_RESET
VERIFICATION = one_time_token_pb2.ONE_TIME_TOKEN_PURPOSE_EMAIL_VERIFICATION


class OneTimeTokensPart:
    _state: State

    def CreateOneTimeToken(
        self,
        request: user_repository_pb2.CreateOneTimeTokenRequest,
        context: grpc.ServicerContext,
    ) -> user_repository_pb2.CreateOneTimeTokenResponse:
        with self._state.lock:
            # A decoy is kept as a token of nobody, and its events are dropped.
            if request.user_id:
                self._state.account(request.user_id)
                self._state.events.extend(request.events)
            self.keep_token(request.token, request.user_id)
            return user_repository_pb2.CreateOneTimeTokenResponse()

    def GetOneTimeToken(
        self, request: user_repository_pb2.GetOneTimeTokenRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.GetOneTimeTokenResponse:
        with self._state.lock:
            kept = self._usable(request.token_sha256, request.purpose)
            return user_repository_pb2.GetOneTimeTokenResponse(user_id=kept.user_id)

    def ResetPassword(
        self, request: user_repository_pb2.ResetPasswordRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.ResetPasswordResponse:
        with self._state.lock:
            kept = self._usable(request.token_sha256, RESET)
            self.kill_tokens(kept.user_id, RESET)
            account = self._state.account(kept.user_id)
            account.password_hash = request.password_hash
            account.credential_version += 1
            account.touch(self._state.now())
            self._state.end_sessions(kept.user_id)
            self._state.events.extend(request.events)
            return user_repository_pb2.ResetPasswordResponse()

    def VerifyEmail(
        self, request: user_repository_pb2.VerifyEmailRequest, context: grpc.ServicerContext
    ) -> user_repository_pb2.VerifyEmailResponse:
        with self._state.lock:
            kept = self._usable(request.token_sha256, VERIFICATION)
            self.kill_tokens(kept.user_id, VERIFICATION)
            account = self._state.account(kept.user_id)
            account.user.email_verified = True
            account.touch(self._state.now())
            self._state.events.extend(request.events)
            return user_repository_pb2.VerifyEmailResponse()

    def keep_token(self, token: one_time_token_pb2.NewOneTimeToken, user_id: str) -> None:
        self._state.tokens.setdefault(token.token_sha256, KeptToken(token, user_id))

    def kill_tokens(
        self, user_id: str, purpose: one_time_token_pb2.OneTimeTokenPurpose.ValueType
    ) -> None:
        for kept in self._state.tokens.values():
            if kept.user_id == user_id and kept.token.purpose == purpose:
                kept.used = True

    def _usable(
        self, sha256: bytes, purpose: one_time_token_pb2.OneTimeTokenPurpose.ValueType
    ) -> KeptToken:
        kept = self._state.tokens.get(sha256)
        if kept is None or kept.used or kept.token.purpose != purpose or not kept.user_id:
            raise invalid_token()
        expires = datetime_from(kept.token.expire_time)
        if expires is None or expires <= self._state.clock.now():
            raise token_expired()
        return kept
