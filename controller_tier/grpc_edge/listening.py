"""Takes the port of the public gRPC API for all workers, before there are any."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tier_runtime.addresses import Address
from tier_runtime.startup import StartupError


@contextmanager
def reserved(address: Address) -> Iterator[Address]:
    """Hold an address for the workers of this process while the block runs.

    Yields it with its actual port. The socket that holds it is bound and does not listen, so that
    no connection ever goes to it: the workers listen, each by itself, on the shared port, and the
    kernel spreads connections among them.

    Raises:
        StartupError: the address is taken, or none of this machine's.
    """
    with _bound(address) as holder:
        host, port = holder.getsockname()[:2]
        yield Address(host, port)


def _bound(address: Address) -> socket.socket:
    try:
        # First without sharing: two programs that both share would both succeed, and each would
        # get a part of the other's calls.
        with address.listener() as alone:
            family, place = alone.family, alone.getsockname()
        try:
            return _holder(family, place, reuse_address=False)
        except OSError:
            # Connections that linger from an earlier run of a program that did not share.
            return _holder(family, place, reuse_address=True)
    except OSError as error:
        reason = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise StartupError(f"Cannot listen on {address}: {reason}.") from error


def _holder(family: int, place: Any, *, reuse_address: bool) -> socket.socket:
    holder = socket.socket(family, socket.SOCK_STREAM)
    try:
        # With it, another could bind the address as well for as long as no worker listens.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse_address)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(place)
    except OSError:
        holder.close()
        raise
    return holder
