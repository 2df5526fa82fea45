"""Which RPCs are recorded in the audit log, when, and what is told of each.

Every RPC of the contract has its line here, which a test holds: a new one is in the table when
somebody has decided about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

PACKAGE = "arcana.service.v1"


class When(Enum):
    """When an RPC is recorded; what was denied always is."""

    # It is for admins only, or changes an account: however it ends.
    ALWAYS = "always"
    # It is for everybody, and an admin may do it to what is somebody else's.
    BY_ADMINS = "by admins"
    # Nothing but its denials.
    DENIED = "denied"
    # Its use case does it, which alone knows whose account it is about.
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class AuditRule:
    """How an RPC is recorded.

    Attributes:
        asked: fields of the request that say what it is about.
        answered: fields of the answer, as paths such as `user.id`, which is told as `user_id`.
    """

    when: When
    asked: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()


def _always(*asked: str, answered: tuple[str, ...] = ()) -> AuditRule:
    return AuditRule(When.ALWAYS, asked, answered)


def _by_admins(*asked: str) -> AuditRule:
    return AuditRule(When.BY_ADMINS, asked)


def _denied(*asked: str) -> AuditRule:
    return AuditRule(When.DENIED, asked)


_ELSEWHERE = AuditRule(When.ELSEWHERE)
_MADE_JOB = ("job.id",)

# By the RPC's name without its package, which is also what the act is called.
RULES: Mapping[str, AuditRule] = MappingProxyType(
    {
        "AuthService/Register": _always(answered=("user.id",)),
        "AuthService/Login": _ELSEWHERE,
        "AuthService/RefreshSession": _ELSEWHERE,
        "AuthService/Logout": _denied(),
        "AuthService/LogoutAll": _always(),
        "AuthService/ChangePassword": _always(),
        "AuthService/RequestPasswordReset": _ELSEWHERE,
        "AuthService/ConfirmPasswordReset": _ELSEWHERE,
        "AuthService/VerifyEmail": _denied(),
        "AuthService/ResendVerification": _denied(),
        "AuthService/ListSessions": _denied(),
        "AuthService/EndSession": _always("session_id"),
        "AuthService/GetJwks": _denied(),
        "AuthService/ListAccessChanges": _denied(),
        "AuthService/CheckSession": _denied("session_id"),
        "UserService/GetUser": _denied("user_id"),
        # Each of its items is somebody's own read, and recorded as one.
        "UserService/BatchGetUsers": _ELSEWHERE,
        "UserService/ListUsers": _always(),
        "UserService/StreamUsers": _always(),
        "UserService/CreateUser": _always("roles", "status", answered=("user.id",)),
        "UserService/UpdateUser": _by_admins("user_id"),
        "UserService/UpdateUserStatus": _always("user_id", "status"),
        "UserService/ReplaceUserRoles": _always("user_id", "roles"),
        "UserService/DeleteUser": _always("user_id"),
        "UserService/GetUserProfile": _denied("user_id"),
        "UserService/ReplaceUserProfile": _by_admins("user_id"),
        "RateLimitService/TakeRateLimit": _denied(),
        "ProductService/GetProduct": _denied("product_id"),
        "ProductService/BatchGetProducts": _denied(),
        "ProductService/ListProducts": _denied(),
        "ProductService/SearchProducts": _denied(),
        "ProductService/CreateProduct": _always(
            "status", "stock", "price_minor", answered=("product.id",)
        ),
        "ProductService/UpdateProduct": _always("product_id", "status", "price_minor"),
        "ProductService/UpdateStock": _always("product_id", "quantity_change"),
        # Which products those were stands in the ledger, under the request's id.
        "ProductService/BatchUpdateStock": _always(answered=("success_count", "failure_count")),
        "ProductService/ListStockMovements": _always("product_id"),
        "ProductService/DeleteProduct": _always("product_id"),
        "OrderService/PlaceOrder": _denied(),
        "OrderService/GetOrder": _denied("order_id"),
        "OrderService/ListOrders": _denied(),
        "OrderService/CancelOrder": _by_admins("order_id"),
        "OrderService/UpdateOrderStatus": _always("order_id", "status"),
        "JobService/EnqueueBulkEmail": _always("template", answered=_MADE_JOB),
        "JobService/EnqueueUserSync": _always(answered=_MADE_JOB),
        "JobService/EnqueueTokenCleanup": _always(answered=_MADE_JOB),
        "JobService/EnqueueDailyReport": _always("date", answered=_MADE_JOB),
        "JobService/GetJob": _always("job_id"),
        "JobService/ListJobs": _always(),
        "JobService/RetryJob": _always("job_id"),
        "JobService/GetDailyReport": _always("date"),
        # The worker's own, several a second; no admin has a way to them.
        "JobService/RunJob": _denied("job_id"),
        "JobService/ScheduleJob": _denied("name"),
        "EventService/StreamEvents": _always("types"),
        "FileService/UploadFile": _denied(),
        "FileService/GetFile": _denied("file_id"),
        "FileService/ListFiles": _denied(),
        "FileService/GetDownload": _denied("file_id"),
        "FileService/DownloadFile": _denied("file_id"),
        "FileService/DeleteFile": _by_admins("file_id"),
    }
)
