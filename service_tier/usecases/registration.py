"""Makes accounts: by everyone for themself, and by an admin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from arcana.repository.v1 import idempotency_pb2, user_pb2, user_repository_pb2
from service_tier.domain import permissions, roles
from service_tier.domain.accounts import email_faults, normalize_email
from service_tier.domain.faults import refuse_faults
from service_tier.domain.names import name_faults, normalize_name
from service_tier.domain.passwords import PasswordPolicy, normalize_password
from service_tier.events import Events
from service_tier.hashing import PasswordHasher
from service_tier.one_time_tokens import OneTimeTokens, Purpose
from service_tier.repository import Repository
from service_tier.usecases.accounts import email_exists, find_by_email
from tier_runtime.call import Call
from tier_runtime.ids import IdSource


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What an account is made from, normalized."""

    email: str
    name: str
    password: str = field(repr=False)

    @classmethod
    def normalized(cls, *, email: str, name: str, password: str) -> NewAccount:
        """Return the account as it is kept."""
        return cls(normalize_email(email), normalize_name(name), normalize_password(password))


class Registration:
    """Makes accounts."""

    def __init__(
        self,
        *,
        repository: Repository,
        policy: PasswordPolicy,
        hasher: PasswordHasher,
        one_time_tokens: OneTimeTokens,
        events: Events,
        ids: IdSource,
    ) -> None:
        self._repository = repository
        self._policy = policy
        self._hasher = hasher
        self._one_time_tokens = one_time_tokens
        self._events = events
        self._ids = ids

    def register(
        self, call: Call, account: NewAccount, key: idempotency_pb2.IdempotencyKey | None
    ) -> user_repository_pb2.CreateUserResponse:
        """Make an account with the role `user` and a verification token for its address.

        Raises:
            AppError: as the contract names them.
        """
        refuse_faults(self._faults(account))
        user_id = self._ids.new_id()
        token = self._one_time_tokens.new(Purpose.EMAIL_VERIFICATION)
        granted = roles.completed_roles(())
        request = user_repository_pb2.CreateUserRequest(
            idempotency_key=key,
            user_id=user_id,
            email=account.email,
            name=account.name,
            roles=granted,
            status=user_pb2.USER_STATUS_ACTIVE,
            verification_token=token,
            events=[
                self._events.user_registered(call, user_id=user_id, token_id=token.id),
                self._events.user_created(call, user_id=user_id, roles=granted),
            ],
        )
        return self._created(call, account, request)

    def create(
        self,
        call: Call,
        account: NewAccount,
        role_names: Iterable[str],
        status: user_pb2.UserStatus.ValueType,
        key: idempotency_pb2.IdempotencyKey | None,
    ) -> user_repository_pb2.CreateUserResponse:
        """Make an account as an admin wants it; `user` is added to the roles.

        Raises:
            AppError: as the contract names them.
        """
        permissions.require_admin(call.actor)
        names = list(role_names)
        refuse_faults(self._faults(account) | {"roles": roles.role_faults(names)})
        user_id = self._ids.new_id()
        granted = roles.completed_roles(names)
        request = user_repository_pb2.CreateUserRequest(
            idempotency_key=key,
            user_id=user_id,
            email=account.email,
            name=account.name,
            roles=granted,
            status=status,
            events=[self._events.user_created(call, user_id=user_id, roles=granted)],
        )
        return self._created(call, account, request)

    def _faults(self, account: NewAccount) -> dict[str, list[str]]:
        return {
            "email": email_faults(account.email),
            "name": name_faults(account.name),
            "password": self._policy.faults(account.password),
        }

    def _created(
        self,
        call: Call,
        account: NewAccount,
        request: user_repository_pb2.CreateUserRequest,
    ) -> user_repository_pb2.CreateUserResponse:
        with self._hasher.slot(call.deadline) as slot:
            # Of many who ask for one address at once, those who come after the winner cost no
            # hash. With an idempotency key the address may be taken by the very call that this
            # one repeats, which only the repository tier can tell.
            has_key = request.HasField("idempotency_key")
            if not has_key and find_by_email(self._repository, account.email) is not None:
                raise email_exists()
            request.password_hash = slot.hash(account.password)
        call.deadline.check()
        return self._repository.users.CreateUser(request)
