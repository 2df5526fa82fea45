"""Who may call what, and how often: one table for HTTP and for the public gRPC API.

A row is an RPC of the service tier. Routes name the row that they stand on, and have no rule of
their own; the public gRPC API serves the rows as they are. What has no row is not public.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum

from controller_tier.rate_limits import Bucket, Rate, hashed, network_of
from controller_tier.settings import ControllerSettings

PACKAGE = "arcana.service.v1"

# What the edge itself asks, or the worker, and nobody else may. A test holds this list and the
# table together to the contract: a new RPC is in neither until somebody decides.
INTERNAL_RPCS = frozenset(
    {
        f"{PACKAGE}.AuthService/CheckSession",
        f"{PACKAGE}.AuthService/ListAccessChanges",
        f"{PACKAGE}.JobService/RunJob",
        f"{PACKAGE}.JobService/ScheduleJob",
        f"{PACKAGE}.RateLimitService/TakeRateLimit",
        f"{PACKAGE}.UserService/BatchGetUsers",
    }
)


class Access(Enum):
    """Who may call."""

    EVERYONE = "everyone"
    OPTIONAL = "optional"
    SIGNED_IN = "signed in"
    ADMIN = "admin"


class Holder(StrEnum):
    """By what the requests of a limited RPC are told apart."""

    ADDRESS = "ip"
    EMAIL = "email"
    USER = "user"


@dataclass(frozen=True, slots=True)
class LimitRule:
    """One limit of an RPC; RPCs with a rule of the same name share it."""

    name: str
    rate: Rate
    holder: Holder

    def bucket(self, *, address: str | None, email: str, subject: str) -> Bucket:
        """Return what a request counts against, of which this is known."""
        if self.holder is Holder.EMAIL:
            return Bucket(self.name, self.rate, hashed(email))
        if self.holder is Holder.USER:
            return Bucket(self.name, self.rate, subject)
        return Bucket(self.name, self.rate, network_of(address))


@dataclass(frozen=True, slots=True)
class PublicRpc:
    """One row: an RPC that the edge offers, as `package.Service/Method`.

    `unbounded` says that its stream may be of any length, and so take longer than a request.
    """

    name: str
    access: Access
    limits: tuple[LimitRule, ...] = ()
    unbounded: bool = False

    @property
    def service(self) -> str:
        """The full name of its service."""
        return self.name.partition("/")[0]

    @property
    def path(self) -> str:
        """Its name as gRPC writes it."""
        return f"/{self.name}"


class AccessTable:
    """The rows, found by their short names, such as `AuthService/Login`."""

    def __init__(self, rpcs: Iterable[PublicRpc]) -> None:
        self._rpcs = {rpc.name: rpc for rpc in rpcs}

    def __iter__(self) -> Iterator[PublicRpc]:
        return iter(self._rpcs.values())

    def of(self, short_name: str) -> PublicRpc:
        """Return the row of an RPC.

        Raises:
            KeyError: the RPC is not public.
        """
        return self._rpcs[f"{PACKAGE}.{short_name}"]

    def services(self) -> tuple[str, ...]:
        """Return the full names of the services that have a row, each once, in order."""
        return tuple(dict.fromkeys(rpc.service for rpc in self))


def access_table(settings: ControllerSettings) -> AccessTable:
    """Return the table, with the rates that the settings name."""
    return AccessTable(
        (
            *_account_rpcs(settings),
            *_password_rpcs(settings),
            *_user_rpcs(),
            *_product_rpcs(),
            *_order_rpcs(),
            *_job_rpcs(),
            *_event_rpcs(),
            *_file_rpcs(),
        )
    )


def _account_rpcs(settings: ControllerSettings) -> Iterator[PublicRpc]:
    yield _auth("Register", Access.EVERYONE, _rule("register-ip", settings.rate_limit_register_ip))
    yield _auth(
        "Login",
        Access.EVERYONE,
        _rule("login-email", settings.rate_limit_login_email, Holder.EMAIL),
        _rule("login-ip", settings.rate_limit_login_ip),
    )
    yield _auth(
        "RefreshSession", Access.EVERYONE, _rule("refresh-ip", settings.rate_limit_refresh_ip)
    )
    yield _auth("Logout", Access.EVERYONE)
    yield _auth("LogoutAll", Access.SIGNED_IN)
    yield _auth("ListSessions", Access.SIGNED_IN)
    yield _auth("EndSession", Access.SIGNED_IN)
    yield _auth("GetJwks", Access.EVERYONE)


def _password_rpcs(settings: ControllerSettings) -> Iterator[PublicRpc]:
    reset_by_address = _rule("password-reset-ip", settings.rate_limit_password_reset_ip)
    verify_by_address = _rule("verify-email-ip", settings.rate_limit_verify_email_ip)
    yield _auth(
        "ChangePassword",
        Access.SIGNED_IN,
        _rule("change-password-user", settings.rate_limit_change_password_user, Holder.USER),
    )
    yield _auth(
        "RequestPasswordReset",
        Access.EVERYONE,
        _rule("password-reset-email", settings.rate_limit_password_reset_email, Holder.EMAIL),
        reset_by_address,
    )
    yield _auth("ConfirmPasswordReset", Access.EVERYONE, reset_by_address)
    yield _auth("VerifyEmail", Access.EVERYONE, verify_by_address)
    yield _auth("ResendVerification", Access.SIGNED_IN, verify_by_address)


def _user_rpcs() -> Iterator[PublicRpc]:
    # Whether the one signed in is the one that the RPC is about is the service tier's to say.
    for method in ("GetUser", "UpdateUser", "GetUserProfile", "ReplaceUserProfile"):
        yield _users(method, Access.SIGNED_IN)
    yield _users("StreamUsers", Access.ADMIN, unbounded=True)
    for method in (
        "ListUsers",
        "CreateUser",
        "UpdateUserStatus",
        "ReplaceUserRoles",
        "DeleteUser",
    ):
        yield _users(method, Access.ADMIN)


def _product_rpcs() -> Iterator[PublicRpc]:
    # Who is no admin sees the active products only; the service tier sees to that.
    for method in ("GetProduct", "BatchGetProducts", "ListProducts", "SearchProducts"):
        yield _products(method, Access.OPTIONAL)
    yield _products("BatchUpdateStock", Access.ADMIN, unbounded=True)
    for method in (
        "CreateProduct",
        "UpdateProduct",
        "UpdateStock",
        "ListStockMovements",
        "DeleteProduct",
    ):
        yield _products(method, Access.ADMIN)


def _order_rpcs() -> Iterator[PublicRpc]:
    # An order of somebody else does not exist, says the service tier.
    for method in ("PlaceOrder", "GetOrder", "ListOrders", "CancelOrder"):
        yield _orders(method, Access.SIGNED_IN)
    yield _orders("UpdateOrderStatus", Access.ADMIN)


def _job_rpcs() -> Iterator[PublicRpc]:
    for method in (
        "EnqueueBulkEmail",
        "EnqueueUserSync",
        "EnqueueTokenCleanup",
        "EnqueueDailyReport",
        "GetJob",
        "ListJobs",
        "RetryJob",
        "GetDailyReport",
    ):
        yield PublicRpc(f"{PACKAGE}.JobService/{method}", Access.ADMIN)


def _event_rpcs() -> Iterator[PublicRpc]:
    yield PublicRpc(f"{PACKAGE}.EventService/StreamEvents", Access.ADMIN, unbounded=True)


def _file_rpcs() -> Iterator[PublicRpc]:
    # A file of somebody else does not exist, says the service tier.
    for method in ("UploadFile", "DownloadFile"):
        yield _files(method, unbounded=True)
    for method in ("GetFile", "ListFiles", "GetDownload", "DeleteFile"):
        yield _files(method)


def _auth(method: str, access: Access, *limits: LimitRule) -> PublicRpc:
    return PublicRpc(f"{PACKAGE}.AuthService/{method}", access, limits)


def _users(method: str, access: Access, *, unbounded: bool = False) -> PublicRpc:
    return PublicRpc(f"{PACKAGE}.UserService/{method}", access, unbounded=unbounded)


def _products(method: str, access: Access, *, unbounded: bool = False) -> PublicRpc:
    return PublicRpc(f"{PACKAGE}.ProductService/{method}", access, unbounded=unbounded)


def _orders(method: str, access: Access) -> PublicRpc:
    return PublicRpc(f"{PACKAGE}.OrderService/{method}", access)


def _files(method: str, *, unbounded: bool = False) -> PublicRpc:
    return PublicRpc(f"{PACKAGE}.FileService/{method}", Access.SIGNED_IN, unbounded=unbounded)


def _rule(name: str, rate: str, holder: Holder = Holder.ADDRESS) -> LimitRule:
    return LimitRule(name, Rate.parse(rate), holder)
