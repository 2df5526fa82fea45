"""The job `sync-users`: users that wait are pushed to the external directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arcana.repository.v1 import user_pb2, user_sync_repository_pb2
from service_tier.external_directory import Directory
from service_tier.jobs.work import JobWork
from service_tier.repository import Repository
from tier_runtime.deadline import Deadline

# So few that a page usually fits into a lease.
PAGE_SIZE = 50


class SyncUsers:
    """Pushes users page by page. Without a directory none is pushed, and all go on waiting."""

    def __init__(self, repository: Repository, directory: Directory | None) -> None:
        self._repository = repository
        self._directory = directory

    def run(self, work: JobWork) -> Mapping[str, str]:
        """Push all that wait, and say how many the directory took and how many it refused.

        Raises:
            AppError: UNAVAILABLE/SERVICE_UNAVAILABLE, when the directory cannot be reached; who
                has been pushed until then is noted. Or the repository tier cannot be used.
            LeaseLostError: the job is no longer ours.
        """
        if self._directory is None:
            return {"skipped": "No directory is named (USER_SYNC_URL)."}
        synced, refused, behind = 0, 0, ""
        while True:
            with work.step() as call:
                waiting = self._repository.user_syncs.ListPendingUsers(
                    user_sync_repository_pb2.ListPendingUsersRequest(
                        page_size=PAGE_SIZE, after_user_id=behind
                    )
                )
                outcomes = self._pushed(self._directory, waiting.users, call.deadline)
            # Not all of them, where the directory is slow: the others are those of the next step.
            users = waiting.users[: len(outcomes)]
            synced += outcomes.count(user_sync_repository_pb2.USER_SYNC_STATUS_SYNCED)
            refused += outcomes.count(user_sync_repository_pb2.USER_SYNC_STATUS_FAILED)
            done = synced + refused
            work.report(done, max(done, done + waiting.pending - len(outcomes)))
            if len(users) == len(waiting.users) < PAGE_SIZE:
                return {"synced": str(synced), "failed": str(refused)}
            behind = users[-1].id

    def _pushed(
        self, directory: Directory, users: Sequence[user_pb2.User], deadline: Deadline
    ) -> list[user_sync_repository_pb2.UserSyncStatus.ValueType]:
        """Push users, note what the directory said to each, and return that.

        The first half of the time is for beginning with a user, the last quarter for noting what
        was said: also when the directory is lost in the middle.
        """
        syncs: list[user_sync_repository_pb2.UserSync] = []
        seconds = deadline.remaining()
        beginning, pushing = deadline.shrunk(seconds / 2), deadline.shrunk(seconds / 4)
        try:
            with directory.connected(pushing) as push:
                for user in users:
                    if syncs and not beginning.remaining():
                        break
                    is_taken = push(user)
                    status = (
                        user_sync_repository_pb2.USER_SYNC_STATUS_SYNCED
                        if is_taken
                        else user_sync_repository_pb2.USER_SYNC_STATUS_FAILED
                    )
                    syncs.append(
                        user_sync_repository_pb2.UserSync(
                            user_id=user.id, version=user.version, status=status
                        )
                    )
        finally:
            if syncs:
                self._repository.user_syncs.RecordUserSyncs(
                    user_sync_repository_pb2.RecordUserSyncsRequest(syncs=syncs)
                )
        return [sync.status for sync in syncs]
