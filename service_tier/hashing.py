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

BUSY_RETRY_SECONDS = 1.0

# How much a new measurement moves the expected time of a hash.
_SMOOTHING = 0.2


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
    """Hashes and checks passwords within slots, and never for a caller who will be gone by then.

    Making one costs one hash: the dummy that unknown accounts are checked against, which also
    tells how long a hash takes here.
    """

    def __init__(self, function: PasswordFunction, slots: HashSlots, clock: Clock) -> None:
        self._function = function
        self._slots = slots
        self._clock = clock
        self._lock = threading.Lock()
        start = clock.monotonic()
        # Of a password that nobody has: its text is thrown away, and what matters is its price.
        self._dummy_hash = function.hash("no account has this one")
        self._expected_seconds = clock.monotonic() - start

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

        Raises:
            AppError: DEADLINE/DEADLINE_EXCEEDED, when not even one hash would end in time;
                UNAVAILABLE/SERVICE_UNAVAILABLE with a delay, when too many wait.
        """
        self.refuse_in_vain(deadline)
        with self._slots.taken(max(deadline.remaining() - self.expected_seconds, 0.0)):
            yield HashSlot(self, deadline)

    def has_time(self, deadline: Deadline) -> bool:
        """True while one more hash can end before the deadline."""
        return deadline.remaining() > self.expected_seconds

    def refuse_in_vain(self, deadline: Deadline) -> None:
        """Do nothing while one more hash can end before the deadline.

        Each call that is refused lowers the expectation a little. A machine that was busy for a
        while would otherwise never hash again, and so never learn that it is faster now than its
        callers' deadlines.

        Raises:
            AppError: DEADLINE/DEADLINE_EXCEEDED.
        """
        if self.has_time(deadline):
            return
        if deadline.remaining() > 0:
            with self._lock:
                self._expected_seconds *= 1 - _SMOOTHING
        raise deadline_exceeded()

    def _hash(self, password: str) -> str:
        start = self._clock.monotonic()
        password_hash = self._function.hash(password)
        self._learn(self._clock.monotonic() - start)
        return password_hash

    def _verify(self, password_hash: str | None, password: str) -> bool:
        start = self._clock.monotonic()
        right = self._function.verify(password_hash or self._dummy_hash, password)
        self._learn(self._clock.monotonic() - start)
        return right and password_hash is not None

    def _learn(self, seconds: float) -> None:
        with self._lock:
            self._expected_seconds += _SMOOTHING * (seconds - self._expected_seconds)


class HashSlot:
    """The right to hash, until the block that gave it ends."""

    def __init__(self, hasher: PasswordHasher, deadline: Deadline) -> None:
        self._hasher = hasher
        self._deadline = deadline

    def has_time(self) -> bool:
        """True while one more hash can end before the deadline."""
        return self._hasher.has_time(self._deadline)

    def hash(self, password: str) -> str:
        """Return a new hash of the password.

        Raises:
            AppError: DEADLINE/DEADLINE_EXCEEDED, when it would not end in time.
        """
        self._hasher.refuse_in_vain(self._deadline)
        return self._hasher._hash(password)  # noqa: SLF001 - a slot is the hasher's other half.

    def verify(self, password_hash: str | None, password: str) -> bool:
        """True if the password is the one that was hashed; None is an account that is not there.

        Checking for one that is not there costs the same, and is never true.

        Raises:
            AppError: DEADLINE/DEADLINE_EXCEEDED, when it would not end in time.
        """
        self._hasher.refuse_in_vain(self._deadline)
        return self._hasher._verify(password_hash, password)  # noqa: SLF001 - as above.
