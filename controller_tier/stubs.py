"""The service tier as the edge sees it: the stubs' methods, so that a fake can stand in."""

# Method names come from the contract.
# ruff: noqa: N802

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import grpc
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health_pb2,
    health_pb2_grpc,
)

from arcana.service.v1 import (
    auth_service_pb2 as auth_pb2,
)
from arcana.service.v1 import (
    auth_service_pb2_grpc,
    rate_limit_service_pb2_grpc,
    user_service_pb2_grpc,
)
from arcana.service.v1 import (
    rate_limit_service_pb2 as limits_pb2,
)
from arcana.service.v1 import (
    user_service_pb2 as users_pb2,
)
from tier_runtime.errors import AppError

# Only these may be sent twice: they change nothing.
READ_METHODS = (
    "arcana.service.v1.AuthService/CheckSession",
    "arcana.service.v1.AuthService/GetJwks",
    "arcana.service.v1.AuthService/ListSessions",
    "arcana.service.v1.UserService/GetUser",
    "arcana.service.v1.UserService/GetUserProfile",
    "arcana.service.v1.UserService/ListUsers",
)


class AuthStub(Protocol):
    """The methods of arcana.service.v1.AuthService. All raise AppError."""

    def Register(self, request: auth_pb2.RegisterRequest) -> auth_pb2.RegisterResponse: ...
    def Login(self, request: auth_pb2.LoginRequest) -> auth_pb2.LoginResponse: ...
    def RefreshSession(
        self, request: auth_pb2.RefreshSessionRequest
    ) -> auth_pb2.RefreshSessionResponse: ...
    def Logout(self, request: auth_pb2.LogoutRequest) -> auth_pb2.LogoutResponse: ...
    def LogoutAll(self, request: auth_pb2.LogoutAllRequest) -> auth_pb2.LogoutAllResponse: ...
    def ChangePassword(
        self, request: auth_pb2.ChangePasswordRequest
    ) -> auth_pb2.ChangePasswordResponse: ...
    def RequestPasswordReset(
        self, request: auth_pb2.RequestPasswordResetRequest
    ) -> auth_pb2.RequestPasswordResetResponse: ...
    def ConfirmPasswordReset(
        self, request: auth_pb2.ConfirmPasswordResetRequest
    ) -> auth_pb2.ConfirmPasswordResetResponse: ...
    def VerifyEmail(self, request: auth_pb2.VerifyEmailRequest) -> auth_pb2.VerifyEmailResponse: ...
    def ResendVerification(
        self, request: auth_pb2.ResendVerificationRequest
    ) -> auth_pb2.ResendVerificationResponse: ...
    def ListSessions(
        self, request: auth_pb2.ListSessionsRequest
    ) -> auth_pb2.ListSessionsResponse: ...
    def EndSession(self, request: auth_pb2.EndSessionRequest) -> auth_pb2.EndSessionResponse: ...
    def GetJwks(
        self, request: auth_pb2.GetJwksRequest, timeout: float | None = None
    ) -> auth_pb2.GetJwksResponse: ...
    def ListAccessChanges(
        self, request: auth_pb2.ListAccessChangesRequest, timeout: float | None = None
    ) -> auth_pb2.ListAccessChangesResponse: ...
    def CheckSession(
        self, request: auth_pb2.CheckSessionRequest
    ) -> auth_pb2.CheckSessionResponse: ...


class UserStub(Protocol):
    """The unary methods of arcana.service.v1.UserService. All raise AppError."""

    def GetUser(self, request: users_pb2.GetUserRequest) -> users_pb2.GetUserResponse: ...
    def ListUsers(self, request: users_pb2.ListUsersRequest) -> users_pb2.ListUsersResponse: ...
    def CreateUser(self, request: users_pb2.CreateUserRequest) -> users_pb2.CreateUserResponse: ...
    def UpdateUser(self, request: users_pb2.UpdateUserRequest) -> users_pb2.UpdateUserResponse: ...
    def UpdateUserStatus(
        self, request: users_pb2.UpdateUserStatusRequest
    ) -> users_pb2.UpdateUserStatusResponse: ...
    def ReplaceUserRoles(
        self, request: users_pb2.ReplaceUserRolesRequest
    ) -> users_pb2.ReplaceUserRolesResponse: ...
    def DeleteUser(self, request: users_pb2.DeleteUserRequest) -> users_pb2.DeleteUserResponse: ...
    def GetUserProfile(
        self, request: users_pb2.GetUserProfileRequest
    ) -> users_pb2.GetUserProfileResponse: ...
    def ReplaceUserProfile(
        self, request: users_pb2.ReplaceUserProfileRequest
    ) -> users_pb2.ReplaceUserProfileResponse: ...


class RateLimitStub(Protocol):
    """The methods of arcana.service.v1.RateLimitService. All raise AppError."""

    def TakeRateLimit(
        self, request: limits_pb2.TakeRateLimitRequest, timeout: float | None = None
    ) -> limits_pb2.TakeRateLimitResponse: ...


class HealthStub(Protocol):
    """Says whether the service tier, or something it depends on, serves. Never raises."""

    def is_serving(self, name: str) -> bool:
        """Return whether the board of the service tier says so about this name."""
        ...


@dataclass(frozen=True, slots=True)
class ServiceTier:
    """Everything the edge asks of the service tier."""

    auth: AuthStub
    users: UserStub
    rate_limits: RateLimitStub
    health: HealthStub


class GrpcHealth:
    """grpc.health.v1 over a channel of `open_channel`."""

    def __init__(self, channel: grpc.Channel, timeout_seconds: float = 0.5) -> None:
        self._stub = health_pb2_grpc.HealthStub(channel)
        self._timeout = timeout_seconds

    def is_serving(self, name: str) -> bool:
        """Return whether the board of the service tier says so about this name."""
        try:
            answer = self._stub.Check(
                health_pb2.HealthCheckRequest(service=name), timeout=self._timeout
            )
        except AppError:
            return False
        return cast(bool, answer.status == health_pb2.HealthCheckResponse.SERVING)


def stubs_of(channel: grpc.Channel) -> ServiceTier:
    """Return the service tier behind a channel of `open_channel`."""
    return ServiceTier(
        auth=auth_service_pb2_grpc.AuthServiceStub(channel),
        users=user_service_pb2_grpc.UserServiceStub(channel),
        rate_limits=rate_limit_service_pb2_grpc.RateLimitServiceStub(channel),
        health=GrpcHealth(channel),
    )
