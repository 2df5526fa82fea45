"""Listen addresses: reading them, turning them into URLs, and telling whether they are free."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from tier_runtime.startup import StartupError

# An IPv6 address stands in brackets, or its last part would pass for the port.
_WRITTEN = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>[0-9]{1,5})"
)
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


def is_this_machine(host: str) -> bool:
    """True for a host that nobody but this machine answers under: `localhost`, or loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Address:
    """A host, without brackets, and a port; port 0 stands for a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, bind: str) -> Address:
        """Read `host:port` or `[host]:port`.

        Raises:
            ValueError: when it is neither.
        """
        match = _WRITTEN.fullmatch(bind)
        if match is None or int(match["port"]) > 65535:
            raise ValueError(f"{bind!r} is not of the form host:port with a port of 0..65535")
        return cls(match["six"] or match["host"], int(match["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def url(self, scheme: str) -> str:
        """Return the URL by which a process of this machine reaches it."""
        return f"{scheme}://{Address(_ANY.get(self.host, self.host), self.port)}"

    def listener(self) -> socket.socket:
        """Return a bound socket; the caller listens on it and closes it.

        Raises:
            OSError: the address is taken, or none of this machine's.
        """
        found = socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, resolved = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            # As servers do: connections that linger from an earlier run are no hindrance.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(resolved)
        except OSError:
            listener.close()
            raise
        return listener

    def is_free(self) -> bool:
        """Tell whether it can be listened on now; False also for a host of another machine."""
        try:
            with self.listener() as probe:
                probe.listen(1)
        except OSError:
            return False
        return True

    def require_usable(self, variable: str = "") -> None:
        """Refuse an address that cannot be bound, in the operating system's words.

        gRPC says only "failed to bind". `variable` is the setting that names the address.

        Raises:
            StartupError: it is taken, or none of this machine's.
        """
        try:
            self.listener().close()
        except OSError as error:
            named = f", which {variable} names" if variable else ""
            raise StartupError(f"Cannot listen on {self}{named}: {error.strerror}.") from error


def _checked(bind: str) -> str:
    Address.parse(bind)
    return bind


def _checked_unless_off(bind: str) -> str:
    return "" if bind in {"", OFF} else _checked(bind)


# The type of a setting that holds a listen address.
Bind = Annotated[str, AfterValidator(_checked)]

# What an optional address is set to where nothing shall listen although `.env` names one.
OFF = "off"

# The same where nothing listens by default: the empty text then.
OptionalBind = Annotated[str, AfterValidator(_checked_unless_off)]
