"""Reads and replaces what users tell of themselves."""

from __future__ import annotations

from arcana.repository.v1 import user_pb2, user_repository_pb2
from service_tier.domain.faults import refuse_faults
from service_tier.domain.permissions import require_self_or_admin
from service_tier.domain.profiles import Profile
from service_tier.events import Events
from service_tier.repository import Repository
from tier_runtime.call import Call


class Profiles:
    """The profiles of users."""

    def __init__(self, repository: Repository, events: Events) -> None:
        self._repository = repository
        self._events = events

    def get(self, call: Call, user_id: str) -> user_pb2.UserProfile:
        """Return a profile, to its user and to admins.

        Raises:
            AppError: as the contract names them.
        """
        require_self_or_admin(call.actor, user_id)
        answer = self._repository.users.GetUserProfile(
            user_repository_pb2.GetUserProfileRequest(user_id=user_id)
        )
        return answer.profile

    def replace(
        self, call: Call, user_id: str, expected_version: int | None, profile: Profile
    ) -> user_pb2.UserProfile:
        """Replace a profile whole, for its user and for admins.

        Raises:
            AppError: as the contract names them.
        """
        require_self_or_admin(call.actor, user_id)
        refuse_faults(profile.faults())
        answer = self._repository.users.ReplaceUserProfile(
            user_repository_pb2.ReplaceUserProfileRequest(
                user_id=user_id,
                expected_version=expected_version,
                avatar_url=profile.avatar_url,
                bio=profile.bio,
                phone=profile.phone,
                events=[self._events.user_updated(call, user_id=user_id, changed=["profile"])],
            )
        )
        return answer.profile
