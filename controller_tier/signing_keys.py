"""The public keys that access tokens are verified with: the service tier's, remembered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from jwt import PyJWK, PyJWTError

from arcana.service.v1 import auth_service_pb2
from controller_tier.conversion.keys import jwk_document
from controller_tier.stubs import AuthStub
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import get_logger

EDDSA = "EdDSA"
HS256 = "HS256"

# A token with an unknown key id makes us ask again, but a flood of them no more often than this.
MIN_REFETCH_SECONDS = 1.0
# Of a request's deadline, what waiting for the keys may take.
ASK_SECONDS = 1.0


class SigningKeys(Protocol):
    """Finds the key for a token."""

    @property
    def algorithm(self) -> str:
        """The one algorithm that is accepted."""
        ...

    def find(self, kid: str | None) -> Any | None:
        """Return the key of that id as PyJWT takes it, or None where there is none.

        Raises:
            AppError: UNAVAILABLE or DEADLINE, when no keys are known and none can be had.
        """
        ...

    def documents(self) -> tuple[dict[str, str], ...]:
        """Return the public keys as JSON Web Keys, the signing one first."""
        ...


class SharedSecret:
    """The key of HS256: one secret, which has no id."""

    algorithm = HS256

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def find(self, kid: str | None) -> Any | None:
        """Return the secret, unless the token names a key."""
        return None if kid else self._secret

    def documents(self) -> tuple[dict[str, str], ...]:
        """Return nothing: a secret is not published."""
        return ()


class PublishedKeys:
    """The keys that the service tier publishes, read again when they are too old or lack one.

    Safe to use from several threads; while one of them asks the service tier, the others go on
    with the keys that are known.
    """

    algorithm = EDDSA

    def __init__(self, auth: AuthStub, clock: Clock, *, max_age_seconds: float) -> None:
        self._auth = auth
        self._clock = clock
        self._max_age = max_age_seconds
        self._lock = threading.Lock()
        self._keys: Mapping[str, PyJWK] = MappingProxyType({})
        self._documents: tuple[dict[str, str], ...] = ()
        self._asked: float | None = None
        self._failure: AppError | None = None
        self._known_since: float | None = None

    def find(self, kid: str | None) -> Any | None:
        """Return the key of that id, asking the service tier if it may have a newer one."""
        if not kid:
            return None
        self._refresh(self._is_old)
        if kid not in self._keys:
            self._refresh(lambda: True)
        found = self._keys.get(kid)
        return found.key if found else None

    def documents(self) -> tuple[dict[str, str], ...]:
        """Return the keys as JSON Web Keys, the signing one first."""
        self._refresh(self._is_old)
        return self._documents

    def _is_old(self) -> bool:
        since = self._known_since
        return since is None or self._clock.monotonic() - since >= self._max_age

    def _refresh(self, wanted: Callable[[], bool]) -> None:
        if not wanted():
            return
        # Whoever has keys does not wait for the one who asks for newer ones.
        if not self._lock.acquire(blocking=self._known_since is None):
            return
        try:
            if wanted():
                self._ask()
        finally:
            self._lock.release()

    def _ask(self) -> None:
        """Read the keys, unless that was done a moment ago.

        Keys do not expire by themselves: while no newer ones can be had, those of before are as
        good as they were.
        """
        if self._asked is None or self._clock.monotonic() - self._asked >= MIN_REFETCH_SECONDS:
            self._failure = None
            try:
                self._read()
            except AppError as error:
                get_logger(__name__).warning("signing_keys_not_refreshed", code=error.code)
                self._failure = error
            # Its end counts: those who waited for it in vain must not each wait as long again.
            self._asked = self._clock.monotonic()
        if self._known_since is None:
            raise _no_keys(self._failure) from self._failure

    def _read(self) -> None:
        asked_at = self._clock.monotonic()
        answer = self._auth.GetJwks(auth_service_pb2.GetJwksRequest(), timeout=ASK_SECONDS)
        documents = tuple(jwk_document(key) for key in answer.keys)
        self._keys = MappingProxyType(_usable(documents))
        self._documents = documents
        self._known_since = asked_at


def _no_keys(failure: AppError | None) -> AppError:
    if failure is not None and failure.kind is Kind.DEADLINE:
        return AppError(failure.kind, failure.code, failure.message)
    return AppError(
        Kind.UNAVAILABLE,
        "SERVICE_UNAVAILABLE",
        "The keys that tokens are verified with cannot be had now.",
    )


def _usable(documents: tuple[dict[str, str], ...]) -> dict[str, PyJWK]:
    keys = {}
    for document in documents:
        # A key of another algorithm must not verify anything here.
        if document["alg"] != EDDSA or not document["kid"]:
            continue
        try:
            keys[document["kid"]] = PyJWK(document, algorithm=EDDSA)
        except PyJWTError:
            get_logger(__name__).error("signing_key_unusable", kid=document["kid"])
    return keys
