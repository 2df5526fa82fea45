"""What a servicer gets as `context`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Never

import grpc

from tier_runtime.call import Actor, Call
from tier_runtime.deadline import Deadline

if TYPE_CHECKING:
    from grpc import _Metadata


class RpcContext(grpc.ServicerContext):
    """gRPC's own context, plus the call it serves: actor, request id and deadline.

    Business code raises AppError and leaves the aborting to the outermost interceptor. The
    generated servicers promise to take any grpc.ServicerContext, so for a type checker theirs is
    the parameter's type, and `rpc_context(context)` makes it this one.
    """

    def __init__(
        self, inner: grpc.ServicerContext, call: Call, notes: dict[str, object] | None = None
    ) -> None:
        self._inner = inner
        self.call = call
        self._notes = {} if notes is None else notes

    def note(self, **fields: object) -> None:
        """Add fields to the RPC's line in the log, such as how many items it was about."""
        self._notes.update(fields)

    @property
    def actor(self) -> Actor:
        """The one on whose behalf the call is made."""
        return self.call.actor

    @property
    def request_id(self) -> str:
        """The id under which every tier logs this request."""
        return self.call.request_id

    @property
    def deadline(self) -> Deadline:
        """When the caller stops waiting; always finite."""
        return self.call.deadline

    def is_active(self) -> bool:
        """True while the caller is still there."""
        return self._inner.is_active()

    def time_remaining(self) -> float:
        """Return the seconds until the deadline; finite also where the caller set none."""
        return self.call.deadline.remaining()

    def cancel(self) -> bool:
        """Cancel the RPC."""
        return self._inner.cancel()

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Have `callback` called when the RPC is over; False when it already is."""
        return self._inner.add_callback(callback)

    def abort(self, code: grpc.StatusCode, details: str) -> Never:
        """End the RPC with a status. Servicers raise AppError instead."""
        self._inner.abort(code, details)

    def abort_with_status(self, status: grpc.Status) -> Never:
        """End the RPC with a status and its details. Servicers raise AppError instead."""
        self._inner.abort_with_status(status)

    def auth_context(self) -> Mapping[str, bytes]:
        """Return what TLS knows of the peer."""
        return self._inner.auth_context()

    def invocation_metadata(self) -> _Metadata:
        """Return the metadata as it came."""
        return self._inner.invocation_metadata()

    def peer(self) -> str:
        """Return the peer's address as gRPC writes it."""
        return self._inner.peer()

    def peer_identities(self) -> Iterable[bytes] | None:
        """Return the peer's names by TLS."""
        return self._inner.peer_identities()

    def peer_identity_key(self) -> str | None:
        """Return which TLS property names the peer."""
        return self._inner.peer_identity_key()

    def send_initial_metadata(self, initial_metadata: _Metadata) -> None:
        """Send the answer's leading metadata now."""
        self._inner.send_initial_metadata(initial_metadata)

    def set_trailing_metadata(self, trailing_metadata: _Metadata) -> None:
        """Set the answer's trailing metadata."""
        self._inner.set_trailing_metadata(trailing_metadata)

    def trailing_metadata(self) -> _Metadata:
        """Return the trailing metadata set so far."""
        return self._inner.trailing_metadata()

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set the status code. Servicers raise AppError instead."""
        self._inner.set_code(code)

    def set_details(self, details: str) -> None:
        """Set the status text. Servicers raise AppError instead."""
        self._inner.set_details(details)

    def set_compression(self, compression: grpc.Compression) -> None:
        """Choose the compression of the whole answer."""
        self._inner.set_compression(compression)

    def disable_next_message_compression(self) -> None:
        """Send the next message uncompressed."""
        self._inner.disable_next_message_compression()


def rpc_context(context: grpc.ServicerContext) -> RpcContext:
    """Return the context as the RpcContext it is behind a server of `build_server`.

    Raises:
        TypeError: the servicer runs behind a server that was built some other way.
    """
    if not isinstance(context, RpcContext):
        raise TypeError("This servicer needs a server made by tier_runtime.server.build_server.")
    return context
