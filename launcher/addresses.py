"""Listen addresses: reading them, turning them into URLs, and telling whether they are free."""

from __future__ import annotations

import socket
from dataclasses import dataclass

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - read, not bound


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, bind: str) -> Address:
        """Read `host:port` or `[host]:port`.

        Raises:
            ValueError: when it is neither.
        """
        host, colon, port = bind.rpartition(":")
        if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"{bind!r} is not of the form host:port with a port of 1..65535")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def url(self, scheme: str) -> str:
        """Give the URL by which a process of this machine reaches it."""
        host = _ANY.get(self.host, self.host)
        return (
            f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"
        )

    def is_free(self) -> bool:
        """Tell whether it can be listened on now; False also for a host of another machine."""
        try:
            found = socket.getaddrinfo(self.host or None, self.port, type=socket.SOCK_STREAM)
            with socket.socket(found[0][0], socket.SOCK_STREAM) as probe:
                # As servers do: connections that linger from an earlier run are no hindrance.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(found[0][4])
                probe.listen(1)
        except OSError:
            return False
        return True
