"""Who calls the public gRPC API, by what came beside the message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]  # ships no types

from controller_tier.access_table import Access, PublicRpc
from controller_tier.admission import Admission
from controller_tier.denials import Denials
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.errors import AppError, Kind
from tier_runtime.metadata import Metadata

AUTHORIZATION_KEY = "authorization"
USER_AGENT_KEY = "user-agent"
FORWARDED_FOR_KEY = "x-forwarded-for"

# It has no row, since the service tier has no part in it.
REFLECTION_METHOD = f"/{reflection.SERVICE_NAME}/ServerReflectionInfo"

# As gRPC writes a peer: `ipv4:192.0.2.1:4711`, `ipv6:%5B2001:db8::1%5D:4711`.
_PEER = re.compile(r"(?:ipv4:(?P<four>[^:]+)|ipv6:\[(?P<six>[^\]]+)\]):\d+")


class Doorkeeper:
    """Says on whose behalf an RPC is served, by the table and the token alone.

    What a tier believes its peer, the typed actor beside the message, is not even looked at: here
    everybody could send one.
    """

    def __init__(
        self,
        rpcs: Iterable[PublicRpc],
        admission: Admission,
        denials: Denials,
        *,
        trusted_proxies: int,
    ) -> None:
        self._access: Mapping[str, Access] = {
            REFLECTION_METHOD: Access.EVERYONE,
            **{rpc.path: rpc.access for rpc in rpcs},
        }
        self._admission = admission
        self._denials = denials
        self._trusted_proxies = trusted_proxies

    def find_actor(self, method: str, metadata: Metadata, call: Call) -> Actor:
        """Return the actor of an RPC of this method ("/package.Service/Method").

        Raises:
            AppError: the caller may not come in; FORBIDDEN/FORBIDDEN for a method that is not in
                the table, whoever calls.
        """

        def refused(error: AppError, actor: Actor) -> None:
            # Before the call is admitted only proxies tell where it comes from.
            self._denials.record(
                method,
                error,
                actor,
                request_id=call.request_id,
                client_address=client_address("", metadata, self._trusted_proxies),
            )

        access = self._access.get(method)
        if access is None:
            closed = AppError(Kind.FORBIDDEN, "FORBIDDEN", "This is not for the public.")
            refused(closed, Actor())
            raise closed
        # Whatever has to be asked about the token is asked as a part of this call.
        with call_scope(call):
            return self._admission.admit(access, _joined(metadata, AUTHORIZATION_KEY), refused)


def client_address(peer: str, metadata: Metadata, trusted_proxies: int) -> str:
    """Return the client's IP address, "" where it cannot be told.

    `trusted_proxies` is how many proxies stand in front; each has added the address that it was
    called from to `x-forwarded-for`, and what the client itself wrote there comes before those and
    is not even looked at.
    """
    if trusted_proxies:
        hops = [part.strip() for part in _joined(metadata, FORWARDED_FOR_KEY).split(",")]
        if len(hops) >= trusted_proxies and (hop := hops[-trusted_proxies]):
            return hop
    match = _PEER.fullmatch(unquote(peer))
    return "" if match is None else match["four"] or match["six"]


def user_agent(metadata: Metadata) -> str:
    """Return what the client says of itself."""
    return _joined(metadata, USER_AGENT_KEY)


def _joined(metadata: Metadata, key: str) -> str:
    # Several are one list, as in HTTP; of a token that makes a bad one.
    values = [value for name, value in metadata if name == key and isinstance(value, str)]
    return ", ".join(values)
