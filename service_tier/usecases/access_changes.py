"""Tells the edge what changed about access, so that it need not ask on every request."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta

from arcana.repository.v1 import session_repository_pb2
from service_tier.repository import Repository
from tier_runtime.clock import Clock
from tier_runtime.timestamps import datetime_from, timestamp_from
from tier_runtime.validation import invalid

# How far the next question goes back behind this answer. A change is stamped before its
# transaction begins, and committed at the latest when its request's deadline is over (10 s at
# most) and a silent COMMIT has timed out (3 s); the rest is for clocks that differ.
OVERLAP = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class AccessChanges:
    """One page of changes, and how to go on."""

    page: session_repository_pb2.ListAccessChangesResponse
    next_page_token: str
    next_since: datetime


class AccessFeed:
    """Reads access changes from the repository tier."""

    def __init__(
        self, repository: Repository, clock: Clock, *, longest_access_lifetime: timedelta
    ) -> None:
        self._repository = repository
        self._clock = clock
        # The longest that can be set, not the present one: tokens that are out keep the lifetime
        # they were signed with when the setting is lowered.
        self._longest_access_lifetime = longest_access_lifetime

    def list(self, since: datetime | None, page_token: str) -> AccessChanges:
        """Return changes since a time; None: all that an unexpired access token can meet.

        Raises:
            AppError: INVALID/VALIDATION_FAILED for a page token that is not ours.
        """
        start = _Position.parsed(page_token) if page_token else None
        if start is not None:
            since = start.since
        elif since is None:
            since = self._clock.now() - self._longest_access_lifetime - OVERLAP
        page = self._repository.sessions.ListAccessChanges(
            session_repository_pb2.ListAccessChangesRequest(
                since_time=timestamp_from(since), page_token=start.inner if start else ""
            )
        )
        first_read = start.first_read if start else _moment(page)
        following = ""
        if page.next_page_token:
            following = _Position(since, first_read, page.next_page_token).text()
        return AccessChanges(page, following, first_read - OVERLAP)


@dataclass(frozen=True, slots=True)
class _Position:
    """Where a long list stands: the repository tier's token, and what must not move meanwhile.

    `since` may have been made from the time of the first page, and the next question must reach
    back behind the first page, not the last: reading a long list takes a while.
    """

    since: datetime
    first_read: datetime
    inner: str

    def text(self) -> str:
        """Return the position as an opaque page token."""
        plain = f"{self.since.isoformat()} {self.first_read.isoformat()} {self.inner}"
        return base64.urlsafe_b64encode(plain.encode()).decode()

    @classmethod
    def parsed(cls, text: str) -> _Position:
        """Return the position that a page token stands for."""
        try:
            since, first_read, inner = (
                base64.b64decode(text.encode(), altchars=b"-_", validate=True)
                .decode()
                .split(" ", 2)
            )
            return cls(_aware(since), _aware(first_read), inner)
        except (binascii.Error, ValueError) as error:
            raise invalid({"page_token": ["Not a page token of this list."]}) from error


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("A page token holds times with their zone.")
    return moment


def _moment(page: session_repository_pb2.ListAccessChangesResponse) -> datetime:
    read = datetime_from(page.read_time)
    if read is None:
        raise ValueError("The repository tier did not say when it read the access changes.")
    return read
