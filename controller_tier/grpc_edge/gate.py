"""What is done with the message of a stranger's RPC before it is passed on; mostly nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from google.protobuf.message import DecodeError, Message

from arcana.service.v1 import auth_service_pb2 as auth_pb2
from controller_tier.access_table import Holder, PublicRpc
from controller_tier.clients import shown_address, shown_agent
from controller_tier.denials import Denials
from controller_tier.grpc_edge.callers import client_address, user_agent
from controller_tier.rate_limits import RateLimits, refuse_if_empty, refusing
from tier_runtime.context import RpcContext
from tier_runtime.errors import AppError, Kind

# Takes the message as it came, returns it as it goes on.
Pass = Callable[[bytes, RpcContext], bytes]


def _sign_in(request: auth_pb2.LoginRequest, address: str, agent: str) -> None:
    # What the list of sessions shows is what the edge saw, not what the client would like.
    request.client_address = shown_address(address)
    request.user_agent = shown_agent(agent)


# What the edge writes into a request, by the RPC's short name.
_FILLED: Mapping[str, tuple[type[Message], Callable[[Any, str, str], None]]] = MappingProxyType(
    {"arcana.service.v1.AuthService/Login": (auth_pb2.LoginRequest, _sign_in)}
)
# Where the e-mail address of a limited request stands.
_WITH_EMAIL: Mapping[str, type[Any]] = MappingProxyType(
    {
        "arcana.service.v1.AuthService/Login": auth_pb2.LoginRequest,
        "arcana.service.v1.AuthService/RequestPasswordReset": auth_pb2.RequestPasswordResetRequest,
    }
)


class Gate:
    """Counts RPCs against the limits of their rows, and fills in what only the edge knows."""

    def __init__(
        self, limits: RateLimits | None, denials: Denials, *, trusted_proxies: int
    ) -> None:
        self._limits = limits
        self._denials = denials
        self._trusted_proxies = trusted_proxies

    def of(self, rpc: PublicRpc) -> Pass:
        """Return what is done with the messages of an RPC.

        Raises:
            KeyError: a limit is by the e-mail address, and the message has none.
        """
        by_email = any(rule.holder is Holder.EMAIL for rule in rpc.limits)
        message = _WITH_EMAIL[rpc.name] if by_email else None
        filled, fill = _FILLED.get(rpc.name, (None, None))
        if message is None and fill is None and not rpc.limits:
            return _untouched

        def passed(data: bytes, context: RpcContext) -> bytes:
            address = self._address(context)
            email = "" if message is None else _read(message, data).email
            self._count(rpc, address, email, context)
            if filled is None or fill is None:
                return data
            request = _read(filled, data)
            fill(request, address, user_agent(context.invocation_metadata()))
            filled_in: bytes = request.SerializeToString()
            return filled_in

        return passed

    def count_stream(self, rpc: PublicRpc, context: RpcContext) -> None:
        """Count an RPC whose messages are a stream, before the first of them.

        Raises:
            AppError: THROTTLED/RATE_LIMITED.
        """
        self._count(rpc, self._address(context), "", context)

    def _address(self, context: RpcContext) -> str:
        metadata = context.invocation_metadata()
        return client_address(context.peer(), metadata, self._trusted_proxies)

    def _count(self, rpc: PublicRpc, address: str, email: str, context: RpcContext) -> None:
        if self._limits is None or not rpc.limits:
            return
        buckets = [
            rule.bucket(address=address, email=_as_typed(email), subject=context.actor.subject)
            for rule in rpc.limits
        ]
        states = self._limits.take(buckets)
        try:
            refuse_if_empty(states)
        except AppError as error:
            self._denials.record(
                rpc.path,
                error,
                context.actor,
                request_id=context.request_id,
                client_address=address,
                email=email,
                limits=refusing(states),
            )
            raise


def malformed() -> AppError:
    """Return the error for bytes that are no message."""
    return AppError(Kind.INVALID, "MALFORMED_BODY", "The bytes sent are no message of this RPC.")


def _untouched(data: bytes, _context: RpcContext) -> bytes:
    return data


def _read(message: type[Any], data: bytes) -> Any:
    try:
        return message.FromString(data)
    except DecodeError as error:
        raise malformed() from error


def _as_typed(email: str) -> str:
    # The same form as over HTTP, so that one address has one count, however it is written.
    return unicodedata.normalize("NFC", email).strip()
