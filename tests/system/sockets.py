"""The TCP sockets that a process holds, also of one in a container."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

import psutil

_SOCKET = re.compile(r"socket:\[(\d+)\]")
_LISTENING = "0A"


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket by its ports; `remote` is 0 where there is no peer."""

    local: int
    remote: int
    is_listening: bool


def sockets_of(process: psutil.Process, *, in_container: bool) -> list[Socket]:
    """Give the TCP sockets of a process.

    psutil looks them up in the table of this machine, where those of containers do not stand.
    """
    if in_container:
        return _in_own_table(process.pid)
    return [
        Socket(each.laddr.port, _port(each.raddr), each.status == psutil.CONN_LISTEN)
        for each in process.net_connections("tcp")
    ]


def _in_own_table(pid: int) -> list[Socket]:
    held = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        # It may be closed meanwhile.
        with contextlib.suppress(FileNotFoundError):
            if found := _SOCKET.fullmatch(str(descriptor.readlink())):
                held.add(found[1])
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    # proc(5): the second and third column are address:port in hexadecimal, the tenth the inode.
    return [
        Socket(_hex_port(row[1]), _hex_port(row[2]), row[3] == _LISTENING)
        for row in rows
        if row[9] in held
    ]


def _hex_port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _port(address: object) -> int:
    """Give the port of a peer; psutil gives an empty tuple where there is none."""
    return int(getattr(address, "port", 0))
