"""Reads users: one, a page, all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import user_repository_pb2
from service_tier.domain import roles
from service_tier.domain.faults import refuse_faults
from service_tier.domain.permissions import require_admin, require_self_or_admin
from service_tier.repository import Repository
from tier_runtime.audit import Act, AuditTrail, outcome_of
from tier_runtime.batches import Outcome, batch_from_wire, batch_to_wire
from tier_runtime.call import Actor, Call
from tier_runtime.errors import AppError
from tier_runtime.wire import message_fields

MAX_SEARCH_LENGTH = 255
STREAM_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class WantedUser:
    """A read of a batch: which user, and on whose behalf."""

    actor: Actor
    user_id: str
    request_id: str = ""


class Users:
    """Reads users."""

    def __init__(self, repository: Repository, audit: AuditTrail) -> None:
        self._repository = repository
        self._audit = audit

    def get(self, call: Call, user_id: str) -> bytes:
        """Return one user, to itself and to admins, as the serialized answer of GetUser.

        Raises:
            AppError: as the contract names them.
        """
        require_self_or_admin(call.actor, user_id)
        return self._repository.user_reads.get(call, user_id)

    def batch_get(
        self, wanted: Sequence[WantedUser | AppError], request_ids: Sequence[str]
    ) -> bytes:
        """Return several users as the serialized answer of BatchGetUsers.

        Each is for its own actor, as by `get`; an error among the wanted stays what it is. The
        request ids are those of the requests that ask, for the log.

        Raises:
            AppError: as the contract names them for the whole.
        """
        refusals = [_refusal(one) for one in wanted]
        allowed = [
            one.user_id
            for one, refusal in zip(wanted, refusals, strict=True)
            if isinstance(one, WantedUser) and refusal is None
        ]
        if len(allowed) == len(wanted):
            return self._repository.user_reads.batch_get(allowed, request_ids)
        self._record(wanted, refusals)
        found: Iterator[Outcome] = iter(())
        if allowed:
            answer = self._repository.user_reads.batch_get(allowed, request_ids)
            found = iter(batch_from_wire(answer, len(allowed)))
        return batch_to_wire([refusal or next(found) for refusal in refusals])

    def _record(
        self, wanted: Sequence[WantedUser | AppError], refusals: Sequence[AppError | None]
    ) -> None:
        """Record each read that was denied, as if it had come by itself."""
        for one, refusal in zip(wanted, refusals, strict=True):
            if isinstance(one, WantedUser) and refusal is not None:
                self._audit.record(
                    Act(
                        "UserService/GetUser",
                        outcome_of(refusal),
                        one.actor,
                        one.request_id,
                        code=refusal.code,
                        target={"user_id": one.user_id},
                    )
                )

    def list(
        self,
        call: Call,
        user_filter: user_repository_pb2.UserFilter,
        page: paging_pb2.PageRequest,
        sort: user_repository_pb2.UserSortField.ValueType,
    ) -> bytes:
        """Return one page of users, to admins, as the serialized answer of ListUsers.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        refuse_faults(_filter_faults(user_filter))
        return self._repository.user_reads.list(
            user_repository_pb2.ListUsersRequest(filter=user_filter, page=page, sort=sort)
        )

    def stream(self, call: Call, user_filter: user_repository_pb2.UserFilter) -> Iterator[bytes]:
        """Yield every user that matches, serialized, in id order, to admins.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        refuse_faults(_filter_faults(user_filter))
        cursor = ""
        while True:
            # The caller may be gone or late before the list is at its end.
            call.deadline.check()
            answer = self._repository.user_reads.list(
                user_repository_pb2.ListUsersRequest(
                    filter=user_filter,
                    page=paging_pb2.PageRequest(page_size=STREAM_PAGE_SIZE, cursor=cursor),
                    sort=user_repository_pb2.USER_SORT_FIELD_ID,
                )
            )
            cursor = ""
            for number, part in message_fields(answer):
                if number == user_repository_pb2.ListUsersResponse.USERS_FIELD_NUMBER:
                    yield part
                else:
                    cursor = paging_pb2.PageResult.FromString(part).next_cursor
            if not cursor:
                return


def _refusal(wanted: WantedUser | AppError) -> AppError | None:
    if isinstance(wanted, AppError):
        return wanted
    try:
        require_self_or_admin(wanted.actor, wanted.user_id)
    except AppError as error:
        return error
    return None


def _filter_faults(user_filter: user_repository_pb2.UserFilter) -> dict[str, list[str]]:
    too_long = len(user_filter.search) > MAX_SEARCH_LENGTH
    return {
        "role": roles.role_faults([user_filter.role] if user_filter.role else []),
        "search": [f"Longer than {MAX_SEARCH_LENGTH} characters."] if too_long else [],
    }
