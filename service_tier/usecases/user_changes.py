"""Changes users: name and address, status, roles, and their end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from arcana.repository.v1 import user_pb2, user_repository_pb2
from service_tier.domain import roles
from service_tier.domain.accounts import email_faults, is_same_address, normalize_email
from service_tier.domain.faults import refuse_faults
from service_tier.domain.names import name_faults, normalize_name
from service_tier.domain.permissions import require_admin, require_self_or_admin
from service_tier.events import Events
from service_tier.one_time_tokens import OneTimeTokens, Purpose
from service_tier.repository import Repository
from service_tier.usecases.versions import change_latest
from tier_runtime.call import Call


@dataclass(frozen=True, slots=True)
class AccountChange:
    """New name and address, normalized; None stays."""

    name: str | None = None
    email: str | None = None

    @classmethod
    def normalized(cls, *, name: str | None, email: str | None) -> AccountChange:
        """Return the change as it is kept."""
        return cls(
            normalize_name(name) if name is not None else None,
            normalize_email(email) if email is not None else None,
        )

    def faults(self) -> dict[str, list[str]]:
        """Return what is wrong with each field."""
        return {
            "name": name_faults(self.name) if self.name is not None else [],
            "email": email_faults(self.email) if self.email is not None else [],
        }

    def besides(self, user: user_pb2.User) -> AccountChange:
        """Return the part of the change that the user is not yet like."""
        return AccountChange(
            self.name if self.name != user.name else None,
            self.email if self.email != user.email else None,
        )

    def fields(self) -> list[str]:
        """Return the names of the fields that change."""
        values = (("email", self.email), ("name", self.name))
        return [name for name, value in values if value is not None]


class UserChanges:
    """Changes users."""

    def __init__(
        self, repository: Repository, one_time_tokens: OneTimeTokens, events: Events
    ) -> None:
        self._repository = repository
        self._one_time_tokens = one_time_tokens
        self._events = events

    def update(
        self, call: Call, user_id: str, expected_version: int, change: AccountChange
    ) -> user_pb2.User:
        """Change name and address; a new address is unverified and gets a verification token.

        An address that differs in letter case only is not new.

        Raises:
            AppError: as the contract names them.
        """
        require_self_or_admin(call.actor, user_id)
        refuse_faults(change.faults())

        def apply(user: user_pb2.User) -> user_pb2.User:
            rest = change.besides(user)
            if not rest.fields():
                return user
            token = None
            if rest.email is not None and not is_same_address(rest.email, user.email):
                token = self._one_time_tokens.new(Purpose.EMAIL_VERIFICATION)
            event = self._events.user_updated(
                call,
                user_id=user.id,
                changed=rest.fields(),
                token_id=token.id if token is not None else "",
            )
            return self._repository.users.UpdateUser(
                user_repository_pb2.UpdateUserRequest(
                    user_id=user.id,
                    expected_version=user.version,
                    name=rest.name,
                    email=rest.email,
                    verification_token=token,
                    events=[event],
                )
            ).user

        return self._applied(call, user_id, expected_version, apply)

    def update_status(
        self,
        call: Call,
        user_id: str,
        expected_version: int,
        status: user_pb2.UserStatus.ValueType,
    ) -> user_pb2.User:
        """Set the status; leaving `active` ends the user's sessions.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)

        def apply(user: user_pb2.User) -> user_pb2.User:
            if user.status == status:
                return user
            event = self._events.user_status_changed(
                call,
                user_id=user.id,
                status=_status_name(status),
                previous=_status_name(user.status),
            )
            return self._repository.users.UpdateUserStatus(
                user_repository_pb2.UpdateUserStatusRequest(
                    user_id=user.id, expected_version=user.version, status=status, events=[event]
                )
            ).user

        return self._applied(call, user_id, expected_version, apply)

    def replace_roles(
        self, call: Call, user_id: str, expected_version: int, names: Iterable[str]
    ) -> user_pb2.User:
        """Replace the roles; `user` is among them in any case.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        wanted = list(names)
        refuse_faults({"roles": roles.role_faults(wanted)})
        granted = roles.completed_roles(wanted)

        def apply(user: user_pb2.User) -> user_pb2.User:
            if tuple(user.roles) == granted:
                return user
            event = self._events.user_roles_changed(
                call, user_id=user.id, roles=granted, previous=user.roles
            )
            return self._repository.users.ReplaceUserRoles(
                user_repository_pb2.ReplaceUserRolesRequest(
                    user_id=user.id, expected_version=user.version, roles=granted, events=[event]
                )
            ).user

        return self._applied(call, user_id, expected_version, apply)

    def delete(self, call: Call, user_id: str, expected_version: int) -> None:
        """Delete a user for good.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        self._repository.users.DeleteUser(
            user_repository_pb2.DeleteUserRequest(
                user_id=user_id,
                expected_version=expected_version,
                events=[self._events.user_deleted(call, user_id=user_id)],
            )
        )

    def _applied(
        self,
        call: Call,
        user_id: str,
        expected_version: int,
        apply: Callable[[user_pb2.User], user_pb2.User],
    ) -> user_pb2.User:
        return change_latest(call, expected_version, lambda: self._read(user_id), apply)

    def _read(self, user_id: str) -> user_pb2.User:
        # Not GetUser: a cached user may be older than a change that is already committed, and a
        # change computed from it could wrongly find that there is nothing to do.
        answer = self._repository.users.GetCredentials(
            user_repository_pb2.GetCredentialsRequest(user_id=user_id)
        )
        return answer.user


def _status_name(status: user_pb2.UserStatus.ValueType) -> str:
    return user_pb2.UserStatus.Name(status).removeprefix("USER_STATUS_").lower()
