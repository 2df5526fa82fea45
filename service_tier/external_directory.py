"""The external directory of users: an HTTP API that takes each user under its id."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from arcana.repository.v1 import user_pb2
from tier_runtime.addresses import is_this_machine
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind

# How long it may be silent.
SILENCE_SECONDS = 10.0
_STATUSES = {
    user_pb2.USER_STATUS_ACTIVE: "active",
    user_pb2.USER_STATUS_INACTIVE: "inactive",
    user_pb2.USER_STATUS_SUSPENDED: "suspended",
}
# What a request can hold without being quoted.
_PATH = re.compile(r"[!-~]*")
# What is read of an answer, which is not looked into.
_MOST_BYTES = 65_536
# Refusals that are not about the user: it may be taken another time.
_PASSING = frozenset({401, 403, 404, 405, 408, 425, 429})

# True when the directory has taken the user, False when it refuses it.
Push = Callable[[user_pb2.User], bool]


class Directory(Protocol):
    """Takes users."""

    def connected(self, deadline: Deadline) -> AbstractContextManager[Push]:
        """Give what pushes one user after the other until the deadline."""
        ...


@dataclass(frozen=True, slots=True)
class DirectoryAddress:
    """Where the directory is, and the bearer token that opens it; empty: none is sent."""

    url: str
    token: str = field(default="", repr=False)


def require_directory_url(url: str) -> str:
    """Return the URL of a directory: over TLS, or on this machine.

    Raises:
        ValueError: it is neither, or no URL; the text does not hold it.
    """
    fault = "must be an https:// URL, or an http:// URL of this machine"
    try:
        parts = urlsplit(url)
        has_port = parts.port != 0
    except ValueError:
        raise ValueError(fault) from None
    is_plain = bool(parts.hostname) and has_port and not (parts.query or parts.fragment)
    if not is_plain or parts.username or parts.password or _PATH.fullmatch(parts.path) is None:
        raise ValueError(fault)
    if parts.scheme == "https" or (
        parts.scheme == "http" and is_this_machine(parts.hostname or "")
    ):
        return url
    raise ValueError(fault)


class HttpDirectory:
    """Puts each user as JSON to `URL/<id>`, over one connection for many.

    Redirects are not followed: what is sent is meant for the address that was named.
    """

    def __init__(self, address: DirectoryAddress) -> None:
        parts = urlsplit(address.url)
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/json"}
        if address.token:
            self._headers["Authorization"] = f"Bearer {address.token}"

    @contextmanager
    def connected(self, deadline: Deadline) -> Iterator[Push]:
        """Give what pushes one user after the other until the deadline.

        Pushing raises AppError: UNAVAILABLE/SERVICE_UNAVAILABLE, when the directory cannot be
        reached or does not take anybody now; DEADLINE/DEADLINE_EXCEEDED.
        """
        with closing(self._connection()) as connection:

            def push(user: user_pb2.User) -> bool:
                deadline.check()
                connection.timeout = min(deadline.remaining(), SILENCE_SECONDS)
                if connection.sock is not None:
                    # It has the timeout that it was opened with.
                    connection.sock.settimeout(connection.timeout)
                return self._put(connection, user)

            yield push

    def _connection(self) -> http.client.HTTPConnection:
        if self._is_secure:
            return http.client.HTTPSConnection(
                self._host, self._port, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(self._host, self._port)

    def _put(self, connection: http.client.HTTPConnection, user: user_pb2.User) -> bool:
        try:
            connection.request("PUT", f"{self._path}/{user.id}", _body(user), self._headers)
            with connection.getresponse() as answer:
                answer.read(_MOST_BYTES)
                status = answer.status
                if not answer.isclosed():
                    # Nobody reads on; the next user gets a connection of its own.
                    connection.close()
        except (OSError, http.client.HTTPException) as error:
            raise _unavailable("The directory cannot be reached.") from error
        if 200 <= status < 300:
            return True
        if 400 <= status < 500 and status not in _PASSING:
            return False
        raise _unavailable(f"The directory does not take users now ({status}).")


def _body(user: user_pb2.User) -> bytes:
    return json.dumps(
        {
            "id": user.id,
            "email": user.email,
            "name": user.name,
            "status": _STATUSES[user.status],
            "email_verified": user.email_verified,
            "roles": list(user.roles),
            "version": user.version,
        }
    ).encode()


def _unavailable(message: str) -> AppError:
    return AppError(Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", message)
