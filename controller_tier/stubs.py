"""The service tier as the edge sees it: the stubs' methods, so that a fake can stand in."""

# Method names come from the contract.
# ruff: noqa: N802

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
    event_service_pb2_grpc,
    file_service_pb2_grpc,
    job_service_pb2_grpc,
    order_service_pb2_grpc,
    product_service_pb2_grpc,
    rate_limit_service_pb2_grpc,
    user_service_pb2_grpc,
)
from arcana.service.v1 import (
    event_service_pb2 as events_pb2,
)
from arcana.service.v1 import (
    file_service_pb2 as files_pb2,
)
from arcana.service.v1 import (
    job_service_pb2 as jobs_pb2,
)
from arcana.service.v1 import (
    order_service_pb2 as orders_pb2,
)
from arcana.service.v1 import (
    product_service_pb2 as products_pb2,
)
from arcana.service.v1 import (
    rate_limit_service_pb2 as limits_pb2,
)
from arcana.service.v1 import (
    user_service_pb2 as users_pb2,
)
from controller_tier.service_channels import SERVICE_NAMES, ServiceChannels
from tier_runtime.errors import AppError
from tier_runtime.upstream import TakesStream


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


class ProductStub(Protocol):
    """The methods of arcana.service.v1.ProductService. All raise AppError."""

    def GetProduct(
        self, request: products_pb2.GetProductRequest
    ) -> products_pb2.GetProductResponse: ...
    def ListProducts(
        self, request: products_pb2.ListProductsRequest
    ) -> products_pb2.ListProductsResponse: ...
    def SearchProducts(
        self, request: products_pb2.SearchProductsRequest
    ) -> Iterator[products_pb2.SearchProductsResponse]: ...
    def CreateProduct(
        self, request: products_pb2.CreateProductRequest
    ) -> products_pb2.CreateProductResponse: ...
    def UpdateProduct(
        self, request: products_pb2.UpdateProductRequest
    ) -> products_pb2.UpdateProductResponse: ...
    def UpdateStock(
        self, request: products_pb2.UpdateStockRequest
    ) -> products_pb2.UpdateStockResponse: ...
    def BatchUpdateStock(
        self, request_iterator: Iterator[products_pb2.BatchUpdateStockRequest]
    ) -> products_pb2.BatchUpdateStockResponse: ...
    def ListStockMovements(
        self, request: products_pb2.ListStockMovementsRequest
    ) -> products_pb2.ListStockMovementsResponse: ...
    def DeleteProduct(
        self, request: products_pb2.DeleteProductRequest
    ) -> products_pb2.DeleteProductResponse: ...


class OrderStub(Protocol):
    """The methods of arcana.service.v1.OrderService. All raise AppError."""

    def PlaceOrder(
        self, request: orders_pb2.PlaceOrderRequest
    ) -> orders_pb2.PlaceOrderResponse: ...
    def GetOrder(self, request: orders_pb2.GetOrderRequest) -> orders_pb2.GetOrderResponse: ...
    def ListOrders(
        self, request: orders_pb2.ListOrdersRequest
    ) -> orders_pb2.ListOrdersResponse: ...
    def CancelOrder(
        self, request: orders_pb2.CancelOrderRequest
    ) -> orders_pb2.CancelOrderResponse: ...
    def UpdateOrderStatus(
        self, request: orders_pb2.UpdateOrderStatusRequest
    ) -> orders_pb2.UpdateOrderStatusResponse: ...


class JobStub(Protocol):
    """The public methods of arcana.service.v1.JobService. All raise AppError."""

    def EnqueueBulkEmail(
        self, request: jobs_pb2.EnqueueBulkEmailRequest
    ) -> jobs_pb2.EnqueueBulkEmailResponse: ...
    def EnqueueUserSync(
        self, request: jobs_pb2.EnqueueUserSyncRequest
    ) -> jobs_pb2.EnqueueUserSyncResponse: ...
    def EnqueueTokenCleanup(
        self, request: jobs_pb2.EnqueueTokenCleanupRequest
    ) -> jobs_pb2.EnqueueTokenCleanupResponse: ...
    def EnqueueDailyReport(
        self, request: jobs_pb2.EnqueueDailyReportRequest
    ) -> jobs_pb2.EnqueueDailyReportResponse: ...
    def GetJob(self, request: jobs_pb2.GetJobRequest) -> jobs_pb2.GetJobResponse: ...
    def ListJobs(self, request: jobs_pb2.ListJobsRequest) -> jobs_pb2.ListJobsResponse: ...
    def RetryJob(self, request: jobs_pb2.RetryJobRequest) -> jobs_pb2.RetryJobResponse: ...
    def GetDailyReport(
        self, request: jobs_pb2.GetDailyReportRequest
    ) -> jobs_pb2.GetDailyReportResponse: ...


class EventStub(Protocol):
    """The methods of arcana.service.v1.EventService. All raise AppError."""

    def StreamEvents(
        self, request: events_pb2.StreamEventsRequest
    ) -> Iterator[events_pb2.StreamEventsResponse]: ...


class Downloading(Protocol):
    """The bytes of a file on their way. Iterating raises AppError."""

    def __next__(self) -> files_pb2.DownloadFileResponse: ...
    def __iter__(self) -> Iterator[files_pb2.DownloadFileResponse]: ...
    def cancel(self) -> bool: ...


class FileStub(Protocol):
    """The methods of arcana.service.v1.FileService. All raise AppError."""

    @property
    def UploadFile(
        self,
    ) -> TakesStream[files_pb2.UploadFileRequest, files_pb2.UploadFileResponse]: ...
    def GetFile(self, request: files_pb2.GetFileRequest) -> files_pb2.GetFileResponse: ...
    def ListFiles(self, request: files_pb2.ListFilesRequest) -> files_pb2.ListFilesResponse: ...
    def GetDownload(
        self, request: files_pb2.GetDownloadRequest
    ) -> files_pb2.GetDownloadResponse: ...
    def DownloadFile(self, request: files_pb2.DownloadFileRequest) -> Downloading: ...
    def DeleteFile(self, request: files_pb2.DeleteFileRequest) -> files_pb2.DeleteFileResponse: ...


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
    """Everything the edge asks of the service tier.

    `breakers` says how each breaker towards it stands, `open` or `closed`, by the neighbour's
    name.
    """

    auth: AuthStub
    users: UserStub
    products: ProductStub
    orders: OrderStub
    jobs: JobStub
    events: EventStub
    files: FileStub
    rate_limits: RateLimitStub
    health: HealthStub
    breakers: Callable[[], Mapping[str, str]] = dict


class GrpcHealth:
    """grpc.health.v1 over channels of `open_channel`; what all of them say serves does."""

    def __init__(self, channels: Sequence[grpc.Channel], timeout_seconds: float = 0.5) -> None:
        self._stubs = [health_pb2_grpc.HealthStub(channel) for channel in channels]
        self._timeout = timeout_seconds

    def is_serving(self, name: str) -> bool:
        """Return whether the boards of the service tier say so about this name."""
        return all(self._says_so(stub, name) for stub in self._stubs)

    def _says_so(self, stub: health_pb2_grpc.HealthStub, name: str) -> bool:
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=self._timeout)
        except AppError:
            return False
        return cast(bool, answer.status == health_pb2.HealthCheckResponse.SERVING)


def stubs_of(channels: ServiceChannels) -> ServiceTier:
    """Return the service tier behind its channels."""
    return ServiceTier(
        auth=auth_service_pb2_grpc.AuthServiceStub(channels.of(SERVICE_NAMES["auth"])),
        users=user_service_pb2_grpc.UserServiceStub(channels.of(SERVICE_NAMES["users"])),
        products=product_service_pb2_grpc.ProductServiceStub(
            channels.of(SERVICE_NAMES["products"])
        ),
        orders=order_service_pb2_grpc.OrderServiceStub(channels.of(SERVICE_NAMES["orders"])),
        jobs=job_service_pb2_grpc.JobServiceStub(channels.of(SERVICE_NAMES["jobs"])),
        events=event_service_pb2_grpc.EventServiceStub(channels.of(SERVICE_NAMES["events"])),
        files=file_service_pb2_grpc.FileServiceStub(channels.of(SERVICE_NAMES["files"])),
        rate_limits=rate_limit_service_pb2_grpc.RateLimitServiceStub(
            channels.of(SERVICE_NAMES["rate_limits"])
        ),
        health=GrpcHealth([neighbour.channel for neighbour in channels.neighbours]),
        breakers=channels.breakers,
    )
