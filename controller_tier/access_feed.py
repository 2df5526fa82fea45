"""What changed about access since tokens were signed: ended sessions and changed roles.

A thread of each worker asks the service tier several times a second, so that requests need not.
While its knowledge is too old, each request asks for its own session, and if that cannot be had
either, the request is refused: nothing is ever served on stale knowledge.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from arcana.service.v1.auth_service_pb2 import (
    CheckSessionRequest,
    EndedSession,
    ListAccessChangesRequest,
    RoleChange,
)
from controller_tier.access_tokens import Claims
from controller_tier.stubs import AuthStub
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import get_logger

# The longest that an access token may live: the maximum of ACCESS_TOKEN_EXPIRES in the service
# tier. The present setting would not do: tokens made under a longer one live on.
MAX_TOKEN_LIFETIME_SECONDS = 86_400
# By how much the clock here may be ahead of the one that ends are written by.
SKEW_SECONDS = 300
# How often what no living token can need any more is dropped.
PRUNE_SECONDS = 60.0
# The longest that a stopping worker waits for an ask that is under way.
STOP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Roles:
    roles: frozenset[str]
    changed_at: float


class AccessFeed:
    """Knows which sessions have ended and whose roles have changed.

    Safe to use from several threads. `start` belongs after the fork.
    """

    def __init__(
        self,
        auth: AuthStub,
        clock: Clock,
        *,
        interval_seconds: float,
        max_age_seconds: float,
    ) -> None:
        self._auth = auth
        self._clock = clock
        self._interval = interval_seconds
        self._max_age = max_age_seconds
        # Values are ends and changes in seconds since 1970. Only the polling thread writes.
        self._ended: dict[str, float] = {}
        self._roles: dict[str, _Roles] = {}
        self._since: Timestamp | None = None
        self._fresh_at: float | None = None
        self._pruned_at = clock.monotonic()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, after_each: Callable[[], None] = lambda: None) -> None:
        """Begin to ask, in a thread of its own.

        What else a worker has to do now and then is done there too: `after_each` is called after
        each ask, also after one that failed.
        """
        self._thread = threading.Thread(
            target=self._run, args=(after_each,), name="access feed", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop asking, and return when the last ask is over."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def is_fresh(self) -> bool:
        """True while the knowledge is young enough to be served on."""
        fresh_at = self._fresh_at
        return fresh_at is not None and self._clock.monotonic() - fresh_at <= self._max_age

    def roles_of(self, claims: Claims) -> frozenset[str]:
        """Return the roles that the holder of a verified token has now.

        Raises:
            AppError: UNAUTHENTICATED/TOKEN_REVOKED when the session has ended;
                UNAVAILABLE/SERVICE_UNAVAILABLE when that cannot be known, DEADLINE when it
                cannot in time.
        """
        if not self.is_fresh():
            return self._asked_roles(claims)
        if claims.session_id in self._ended:
            raise AppError(Kind.UNAUTHENTICATED, "TOKEN_REVOKED", "The session has ended.")
        change = self._roles.get(claims.subject)
        # Also where the token was signed after the change: its `iat` and the change are of
        # different clocks, and its roles may have been read before. The feed is the newer
        # knowledge of the two, to its age.
        return claims.roles if change is None else change.roles

    def poll(self) -> None:
        """Ask once for everything since the last time.

        Raises:
            AppError: it could not be had; what was known stays, and ages.
        """
        asked_at = self._clock.monotonic()
        self._read_all()
        # As old as the question: what ends while the answer is under way is not in it.
        self._fresh_at = asked_at
        if asked_at - self._pruned_at >= PRUNE_SECONDS:
            self._prune()

    def _run(self, after_each: Callable[[], None]) -> None:
        log = get_logger(__name__)
        lost = False
        while not self._stopped.is_set():
            try:
                try:
                    self.poll()
                finally:
                    after_each()
            # The outermost frame of the thread: without it, requests would ask one by one for
            # good after a single surprise.
            except Exception as error:  # noqa: BLE001 - see above.
                # One line when it is lost and one when it is back, not four a second.
                if not lost:
                    log.warning("access_feed_lost", error=str(error))
                lost = True
            else:
                if lost:
                    log.info("access_feed_back")
                lost = False
            self._stopped.wait(self._interval)

    def _read_all(self) -> None:
        page_token = ""
        while True:
            answer = self._auth.ListAccessChanges(
                ListAccessChangesRequest(since_time=self._since, page_token=page_token),
                timeout=self._max_age,
            )
            self._learn(answer.ended_sessions, answer.role_changes)
            page_token = answer.next_page_token
            if not page_token:
                self._since = answer.next_since_time
                return

    def _learn(self, ended: Iterable[EndedSession], changes: Iterable[RoleChange]) -> None:
        for session in ended:
            self._ended[session.session_id] = _seconds(session.end_time)
        for change in changes:
            self._roles[change.user_id] = _Roles(
                frozenset(change.roles), _seconds(change.change_time)
            )

    def _prune(self) -> None:
        """Drop what happened before the oldest living token was signed."""
        self._pruned_at = self._clock.monotonic()
        horizon = self._clock.now().timestamp() - MAX_TOKEN_LIFETIME_SECONDS - SKEW_SECONDS
        self._ended = {key: at for key, at in self._ended.items() if at >= horizon}
        self._roles = {key: each for key, each in self._roles.items() if each.changed_at >= horizon}

    def _asked_roles(self, claims: Claims) -> frozenset[str]:
        try:
            answer = self._auth.CheckSession(CheckSessionRequest(session_id=claims.session_id))
        except AppError as error:
            # A tier that is too slow is told as such, like everywhere else.
            if error.kind in (Kind.UNAUTHENTICATED, Kind.DEADLINE):
                raise
            raise AppError(
                Kind.UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "Whether the session still lives cannot be known now.",
                retry_after=error.retry_after,
            ) from error
        if answer.user_id != claims.subject:
            raise AppError(Kind.UNAUTHENTICATED, "TOKEN_REVOKED", "The session has ended.")
        return frozenset(answer.roles)


def _seconds(timestamp: Timestamp) -> float:
    return timestamp.seconds + timestamp.nanos / 1e9
