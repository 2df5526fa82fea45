"""Password hashing that cannot eat the machine: few at once, few waiting, none in vain.

One scrypt hash at OWASP strength (password storage cheat sheet: N=2^17, r=8, p=1) takes some
tenths of a second of one processor and 128 MiB. Whoever hashes first takes a slot.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from werkzeug.security import check_password_hash, generate_password_hash

from tier_runtime.clock import Clock
from tier_runtime.deadline import Deadline, deadline_exceeded
from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import get_logger

BUSY_RETRY_SECONDS = 1.0

# How much a new measurement moves the expected time of a hash.
_SMOOTHING = 0.2

# For how long what a hash took refuses others. Older than that it says nothing about the machine as
# it is now, and one caller finds out.
TRUSTED_SECONDS = 2.0

# Who has more time left than this may find out even where no hash has been as fast yet: all of them
# may have been made on a busy machine.
TRIAL_SECONDS = 1.0

# By what share a trial must miss the expected time to be worth a line in the log.
_NEWS = 0.5


class PasswordFunction(Protocol):
    """Makes and checks password hashes; the slow part, without any rule about when."""

    @property
    def method(self) -> str:
        """The method and parameters that new hashes are made with."""
        ...

    def hash(self, password: str) -> str:
        """Return a new salted hash."""
        ...

    def verify(self, password_hash: str, password: str) -> bool:
        """True if the password is the one that was hashed."""
        ...


class WerkzeugFunction:
    """werkzeug.security, which writes method, salt and hash into one text."""

    def __init__(self, method: str) -> None:
        self._method = method

    @property
    def method(self) -> str:
        """The method and parameters that new hashes are made with, such as `scrypt:131072:8:1`."""
        return self._method

    def hash(self, password: str) -> str:
        """Return a new salted hash."""
        return generate_password_hash(password, method=self._method)

    def verify(self, password_hash: str, password: str) -> bool:
        """True if the password is the one that was hashed."""
        return check_password_hash(password_hash, password)


class HashSlots:
    """Lets `concurrency` callers hash, `queue` wait for their turn, and turns away the others."""

    def __init__(self, *, concurrency: int, queue: int) -> None:
        self._free = threading.Semaphore(concurrency)
        self._queue = queue
        self._waiting = 0
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many wait for a slot now."""
        with self._lock:
            return self._waiting

    @contextmanager
    def taken(self, timeout: float) -> Iterator[None]:
        """Hold a slot for the block; wait for one at most `timeout` seconds.

        Raises:
            AppError: UNAVAILABLE/SERVICE_UNAVAILABLE with a delay, when too many wait already or
                the wait was in vain.
        """
        if not (self._free.acquire(blocking=False) or self._wait(timeout)):
            raise AppError(
                Kind.UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                "Too many passwords are being checked at the moment.",
                retry_after=BUSY_RETRY_SECONDS,
            )
        try:
            yield
        finally:
            self._free.release()

    def _wait(self, timeout: float) -> bool:
        with self._lock:
            if self._waiting >= self._queue:
                return False
            self._waiting += 1
        try:
            return self._free.acquire(timeout=timeout)
        finally:
            with self._lock:
                self._waiting -= 1


class PasswordHasher:
    """Hashes and checks passwords within slots, and not for a caller who will be gone by then.

    Making one costs one hash: the dummy that unknown accounts are checked against, which also
    tells how long a hash takes here. How long it takes while the machine is busy others tell, each
    by its own; when there is none that would be begun, one at a time is a trial: see `slot`.
    """

    def __init__(self, function: PasswordFunction, slots: HashSlots, clock: Clock) -> None:
        self._function = function
        self._slots = slots
        self._clock = clock
        self._lock = threading.Lock()
        start = clock.monotonic()
        # Of a password that nobody has: its text is thrown away, and what matters is its price.
        self._dummy_hash = function.hash("no account has this one")
        self._measured_at = clock.monotonic()
        self._expected_seconds = self._least_seconds = self._measured_at - start
        self._is_trying = False
        get_logger(__name__).info("hash_measured", seconds=round(self._expected_seconds, 3))

    @property
    def expected_seconds(self) -> float:
        """How long one hash takes, by the latest ones."""
        with self._lock:
            return self._expected_seconds

    def needs_rehash(self, password_hash: str) -> bool:
        """True when the hash was made with other parameters than new ones are."""
        return password_hash.partition("$")[0] != self._function.method

    @contextmanager
    def slot(self, deadline: Deadline) -> Iterator[HashSlot]:
        """Give the right to hash, for the block.

        When by the latest hashes there is no time for one, but those were a while ago, one caller
        at a time has it nevertheless, if the fastest hash so far would end in time or there is
        more than TRIAL_SECONDS left: what its first hash takes is what is expected from then on.

        Raises:
            AppError: DEADLINE/DEADLINE_EXCEEDED, when not even one hash would end in time;
                UNAVAILABLE/SERVICE_UNAVAILABLE with a delay, when too many wait.
        """
        is_trial = not self._has_time(deadline)
        if is_trial:
            self._begin_trial(deadline)
        try:
            with self._slots.taken(max(deadline.remaining() - self.expected_seconds, 0.0)):
                yield HashSlot(self, deadline, is_trial=is_trial)
        finally:
            # Whether or not it came to a hash: without one, the next caller tries.
            if is_trial:
                with self._lock:
                    self._is_trying = False

    def _has_time(self, deadline: Deadline) -> bool:
        return deadline.remaining() > self.expected_seconds

    def _begin_trial(self, deadline: Deadline) -> None:
        with self._lock:
            is_trusted = self._clock.monotonic() - self._measured_at < TRUSTED_SECONDS
            is_vain = deadline.remaining() <= min(self._least_seconds, TRIAL_SECONDS)
            if self._is_trying or is_trusted or is_vain:
                raise deadline_exceeded()
            self._is_trying = True

    def _hash(self, password: str, *, is_trial: bool) -> str:
        start = self._clock.monotonic()
        password_hash = self._function.hash(password)
        self._learn(start, is_trial)
        return password_hash

    def _verify(self, password_hash: str | None, password: str, *, is_trial: bool) -> bool:
        checked = password_hash or self._dummy_hash
        start = self._clock.monotonic()
        right = self._function.verify(checked, password)
        # One of other parameters tells nothing about those that are expected.
        if not self.needs_rehash(checked):
            self._learn(start, is_trial)
        return right and password_hash is not None

    def _learn(self, start: float, is_trial: bool) -> None:
        with self._lock:
            self._measured_at = self._clock.monotonic()
            seconds, expected = self._measured_at - start, self._expected_seconds
            self._expected_seconds += (1 if is_trial else _SMOOTHING) * (seconds - expected)
            self._least_seconds = min(self._least_seconds, seconds)
        if is_trial and abs(seconds - expected) > _NEWS * expected:
            get_logger(__name__).warning(
                "hash_measured_again", seconds=round(seconds, 3), expected=round(expected, 3)
            )


class HashSlot:
    """The right to hash, until the block that gave it ends."""

    def __init__(self, hasher: PasswordHasher, deadline: Deadline, *, is_trial: bool) -> None:
        self._hasher = hasher
        self._deadline = deadline
        self._is_trial = is_trial

    def has_time(self) -> bool:
        """True while one more hash can end before the deadline."""
        return self._hasher._has_time(self._deadline)  # noqa: SLF001 - a slot is its other half.

    def hash(self, password: str) -> str:
        """Return a new hash of the password.

        Raises:
            AppError: DEADLINE/DEADLINE_EXCEEDED, when it would not end in time.
        """
        is_trial = self._may_begin()
        return self._hasher._hash(password, is_trial=is_trial)  # noqa: SLF001 - as above.

    def verify(self, password_hash: str | None, password: str) -> bool:
        """True if the password is the one that was hashed; None is an account that is not there.

        Checking for one that is not there costs the same, and is never true.

        Raises:
            AppError: DEADLINE/DEADLINE_EXCEEDED, when it would not end in time.
        """
        is_trial = self._may_begin()
        return self._hasher._verify(password_hash, password, is_trial=is_trial)  # noqa: SLF001

    def _may_begin(self) -> bool:
        """Return whether the hash that begins is the trial, which needs no time by the latest."""
        is_trial, self._is_trial = self._is_trial, False
        if not is_trial and not self.has_time():
            raise deadline_exceeded()
        return is_trial
