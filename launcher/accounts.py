"""Accounts that an operator makes: the first admin, more admins, and demo users.

All of them are made through the service tier's contract, so its rules hold for them too.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from arcana.common.v1 import paging_pb2
from arcana.service.v1 import user_pb2, user_service_pb2, user_service_pb2_grpc
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.ids import Uuid7Source
from tier_runtime.startup import StartupError
from tier_runtime.tls.files import TlsFiles

CALL_SECONDS = 10.0
PASSWORD_LETTERS = 20
SYSTEM = Actor(subject="system", roles=frozenset({"admin"}))
# Where the fields of the first admin come from.
_ADMIN_SETTINGS = {"email": "ARCANA_ADMIN_EMAIL", "password": "ARCANA_ADMIN_PASSWORD"}

# Deterministic: whoever writes a tutorial or a benchmark may rely on these.
DEMO_PASSWORD = "Demo-Passw0rd"  # noqa: S105 - of accounts for trying things out
DEMO_USERS = (
    ("ada@demo.example", "Ada Lovelace", ("premium",)),
    ("alan@demo.example", "Alan Turing", ()),
    ("barbara@demo.example", "Barbara Liskov", ("premium",)),
    ("donald@demo.example", "Donald Knuth", ()),
    ("edsger@demo.example", "Edsger Dijkstra", ()),
    ("frances@demo.example", "Frances Allen", ()),
    ("grace@demo.example", "Grace Hopper", ("premium",)),
    ("john@demo.example", "John Backus", ()),
    ("katherine@demo.example", "Katherine Johnson", ()),
    ("leslie@demo.example", "Leslie Lamport", ()),
)


@dataclass(frozen=True, slots=True)
class NewAdmin:
    """An admin just made; the password is here only if it was made up."""

    email: str
    made_up_password: str = ""


class Accounts:
    """Makes accounts as the system itself.

    Args:
        users: a stub of the service tier whose calls raise AppError.
    """

    def __init__(self, users: user_service_pb2_grpc.UserServiceStub) -> None:
        self._users = users

    def ensure_admin(self, email: str, password: str) -> NewAdmin | None:
        """Make the admin unless there is an admin already; None then.

        An empty password means that one is made up.

        Raises:
            StartupError: as `create_admin`.
        """
        if self._there_is_an_admin():
            return None
        try:
            return self.create_admin(email, password)
        except StartupError:
            # Another launcher on the same database may have made it since we asked.
            if self._there_is_an_admin():
                return None
            raise

    def create_admin(self, email: str, password: str) -> NewAdmin:
        """Make an admin; as `ensure_admin` otherwise.

        Raises:
            StartupError: when the address belongs to somebody, or a rule forbids it.
        """
        made_up = "" if password else make_password()
        try:
            self._create(email, "Administrator", password or made_up, ("admin",))
        except AppError as error:
            if error.code == "EMAIL_EXISTS":
                raise StartupError(f"There is a user with the address {email} already.") from error
            faults = _setting_faults(error)
            if faults:
                raise StartupError(f"The admin cannot be made: {faults}") from error
            raise
        return NewAdmin(email, made_up)

    def seed(self) -> tuple[int, int]:
        """Make the demo users.

        Returns:
            how many were made, and how many were there already.
        """
        made = 0
        for email, name, roles in DEMO_USERS:
            try:
                self._create(email, name, DEMO_PASSWORD, roles)
            except AppError as error:
                if error.code != "EMAIL_EXISTS":
                    raise
            else:
                made += 1
        return made, len(DEMO_USERS) - made

    def _create(self, email: str, name: str, password: str, roles: tuple[str, ...]) -> None:
        request = user_service_pb2.CreateUserRequest(
            request_id=Uuid7Source().new_id(),
            email=email,
            name=name,
            password=password,
            roles=roles,
            status=user_pb2.USER_STATUS_ACTIVE,
        )
        try:
            self._create_once(request)
        except AppError as error:
            if error.kind not in (Kind.DEADLINE, Kind.UNAVAILABLE):
                raise
            # It may have been made although no answer came: the same id makes it no second time.
            self._create_once(request)

    def _create_once(self, request: user_service_pb2.CreateUserRequest) -> None:
        with system_call():
            self._users.CreateUser(request)

    def _there_is_an_admin(self) -> bool:
        request = user_service_pb2.ListUsersRequest(
            filter=user_service_pb2.UserFilter(role="admin"),
            page=paging_pb2.PageRequest(page_size=1),
        )
        with system_call():
            return bool(self._users.ListUsers(request).users)


@contextmanager
def accounts_at(service_url: str, tls: TlsFiles | None = None) -> Iterator[Accounts]:
    """Give the accounts of the service tier at a URL.

    Raises:
        StartupError: in one line, when that tier refuses or does not answer.
    """
    with open_channel(service_url, ChannelSettings(tls=tls)) as channel:
        try:
            yield Accounts(user_service_pb2_grpc.UserServiceStub(channel))
        except AppError as error:
            raise StartupError(_in_words(error, service_url)) from error


@contextmanager
def system_call() -> Iterator[None]:
    """Make the RPCs inside the block in the system's own name."""
    deadline = Deadline.after(CALL_SECONDS)
    with call_scope(Call(SYSTEM, Uuid7Source().new_id(), deadline)):
        yield


def make_password() -> str:
    """Make up a password that satisfies the password policy."""
    letters = string.ascii_letters + string.digits
    while True:
        password = "".join(secrets.choice(letters) for _ in range(PASSWORD_LETTERS))
        kinds = (str.isupper, str.islower, str.isdigit)
        if all(any(map(kind, password)) for kind in kinds):
            return password


def _setting_faults(error: AppError) -> str:
    """Say in one line what is wrong with the settings of the first admin; empty if not that."""
    return "; ".join(
        f"{_ADMIN_SETTINGS[field]}: {' '.join(messages)}"
        for field, messages in error.field_errors.items()
        if field in _ADMIN_SETTINGS
    )


def _in_words(error: AppError, url: str) -> str:
    if error.kind in (Kind.UNAVAILABLE, Kind.DEADLINE):
        return f"The service tier at {url} does not serve ({error.code}); is `arcana up` running?"
    faults = "; ".join(
        f"{field}: {' '.join(messages)}" for field, messages in error.field_errors.items()
    )
    return f"The service tier refuses: {error.message}" + (f" ({faults})" if faults else "")
