"""Who may call a server, by the names in its certificate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import grpc

from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import get_logger
from tier_runtime.tls.files import TlsFiles
from tier_runtime.tls.reading import only_reads
from tier_runtime.tls.refusals import Reason, Refusals

# What gRPC calls the DNS names of a peer's certificate, the subject alternative ones.
PEER_NAMES = "peer_dns"
# What anybody with a certificate may ask. Health has no interceptor at all.
_OPEN = "/grpc.reflection."


@dataclass(frozen=True, slots=True)
class ServerTls:
    """How a server proves who it is, and whom it serves.

    Attributes:
        files: its certificate; peers need one of the same authority.
        callers: the names of peers that may call every method.
        readers: the names of peers that may call the methods that only read.
        refusals: counts who was turned away.
    """

    files: TlsFiles
    callers: frozenset[str]
    readers: frozenset[str] = frozenset()
    refusals: Refusals = field(default_factory=Refusals, compare=False)

    def admit(self, method: str, context: grpc.ServicerContext) -> None:
        """Let an RPC in, if one of its peer's names is on a list that has the method.

        Raises:
            AppError: FORBIDDEN/PEER_NOT_ALLOWED, when none is.
        """
        names = peer_names(context)
        if method.startswith(_OPEN) or not self.callers.isdisjoint(names):
            return
        is_reader = not self.readers.isdisjoint(names)
        if is_reader and only_reads(method):
            return
        reason: Reason = "write" if is_reader else "peer"
        self.refusals.add(reason, method)
        get_logger(__name__).warning(
            "peer_refused", reason=reason, peer=sorted(names), method=method, address=context.peer()
        )
        raise AppError(Kind.FORBIDDEN, "PEER_NOT_ALLOWED", "This peer may not call this method.")


def peer_names(context: grpc.ServicerContext) -> frozenset[str]:
    """Return the DNS names of the peer's certificate; none without TLS."""
    # gRPC's types say that each property has one value.
    known = cast("Mapping[str, Iterable[bytes]]", context.auth_context())
    return frozenset(name.decode("utf-8", "replace") for name in known.get(PEER_NAMES, ()))
