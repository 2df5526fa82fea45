"""A name server for tests: it gives one list of IPv4 addresses for every name."""

from __future__ import annotations

import socket
import struct
import threading
from types import TracebackType
from typing import Self

# RFC 1035, section 4.1.1: an answer, authoritative, recursion available.
_ANSWER = 0x8480
_TYPE_A, _CLASS_IN = 1, 1
_TTL_SECONDS = 0
_HEADER = struct.Struct("!6H")


class NameServer:
    """Answers on a loopback UDP port. Use as a context manager; `addresses` may change."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.questions = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def address(self) -> str:
        """Where it is asked, as host:port."""
        return "{}:{}".format(*self._socket.getsockname())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # An empty datagram ends the thread; closing the socket would not wake it.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, asker = self._socket.recvfrom(4096)
            if not query:
                return
            self._socket.sendto(self._answer(query), asker)

    def _answer(self, query: bytes) -> bytes:
        number = _HEADER.unpack_from(query)[0]
        question = query[_HEADER.size : _end_of_question(query)]
        wanted, of_class = struct.unpack("!2H", question[-4:])
        addresses: list[str] = []
        # Of everything else there is nothing under the name, which is no error.
        if (wanted, of_class) == (_TYPE_A, _CLASS_IN):
            self.questions += 1
            addresses = list(self.addresses)
        header = _HEADER.pack(number, _ANSWER, 1, len(addresses), 0, 0)
        return header + question + b"".join(_record(address) for address in addresses)


def _end_of_question(query: bytes) -> int:
    """Return where the first question ends: after its labels, its type and its class."""
    position = _HEADER.size
    while query[position]:
        position += query[position] + 1
    return position + 5


def _record(address: str) -> bytes:
    # Its name is a pointer to the one in the question (RFC 1035, section 4.1.4).
    head = struct.pack("!HHHIH", 0xC00C, _TYPE_A, _CLASS_IN, _TTL_SECONDS, 4)
    return head + socket.inet_aton(address)
