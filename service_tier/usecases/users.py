"""Reads users: one, a page, all of them."""

from __future__ import annotations

from collections.abc import Iterator

from arcana.common.v1 import paging_pb2
from arcana.repository.v1 import user_pb2, user_repository_pb2
from service_tier.domain import roles
from service_tier.domain.faults import refuse_faults
from service_tier.domain.permissions import require_admin, require_self_or_admin
from service_tier.repository import Repository
from tier_runtime.call import Call

MAX_SEARCH_LENGTH = 255
STREAM_PAGE_SIZE = 100


class Users:
    """Reads users."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def get(self, call: Call, user_id: str) -> user_pb2.User:
        """Return one user, to itself and to admins.

        Raises:
            AppError: as the contract names them.
        """
        require_self_or_admin(call.actor, user_id)
        answer = self._repository.users.GetUser(user_repository_pb2.GetUserRequest(user_id=user_id))
        return answer.user

    def list(
        self,
        call: Call,
        user_filter: user_repository_pb2.UserFilter,
        page: paging_pb2.PageRequest,
        sort: user_repository_pb2.UserSortField.ValueType,
    ) -> user_repository_pb2.ListUsersResponse:
        """Return one page of users, to admins.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        refuse_faults(_filter_faults(user_filter))
        return self._repository.users.ListUsers(
            user_repository_pb2.ListUsersRequest(filter=user_filter, page=page, sort=sort)
        )

    def stream(
        self, call: Call, user_filter: user_repository_pb2.UserFilter
    ) -> Iterator[user_pb2.User]:
        """Yield every user that matches, in id order, to admins.

        Raises:
            AppError: as the contract names them.
        """
        require_admin(call.actor)
        refuse_faults(_filter_faults(user_filter))
        cursor = ""
        while True:
            # The caller may be gone or late before the list is at its end.
            call.deadline.check()
            answer = self._repository.users.ListUsers(
                user_repository_pb2.ListUsersRequest(
                    filter=user_filter,
                    page=paging_pb2.PageRequest(page_size=STREAM_PAGE_SIZE, cursor=cursor),
                    sort=user_repository_pb2.USER_SORT_FIELD_ID,
                )
            )
            yield from answer.users
            cursor = answer.page.next_cursor
            if not cursor:
                return


def _filter_faults(user_filter: user_repository_pb2.UserFilter) -> dict[str, list[str]]:
    too_long = len(user_filter.search) > MAX_SEARCH_LENGTH
    return {
        "role": roles.role_faults([user_filter.role] if user_filter.role else []),
        "search": [f"Longer than {MAX_SEARCH_LENGTH} characters."] if too_long else [],
    }
