"""grpc.health.v1 by itself, in plaintext on a port of its own, for those who cannot do mTLS.

kubelet and a container's health check have no certificate. They learn here how a process is, and
reach nothing else.
"""

from __future__ import annotations

from concurrent import futures

import grpc

from tier_runtime.addresses import Address
from tier_runtime.health import HealthBoard
from tier_runtime.logs import get_logger
from tier_runtime.startup import StartupError

# Checks take no time, and a Watch gives its thread back.
_THREADS = 2
# The listener is open to whoever reaches its port.
_MAX_RPCS = 64


class HealthListener:
    """Tells a board's health at an address of its own, from `start` to `stop`.

    The board's owner starts and stops the board. With an empty address nothing listens. Several
    processes may share the address where `is_shared`: the kernel asks any of them then.
    """

    def __init__(self, bind: str, health: HealthBoard, *, is_shared: bool = False) -> None:
        self._bind = bind
        self._health = health
        self._is_shared = is_shared
        self._server: grpc.Server | None = None
        self.port = 0

    def start(self) -> None:
        """Begin to listen.

        Raises:
            StartupError: the address cannot be listened on.
        """
        if not self._bind:
            return
        address = Address.parse(self._bind)
        if not self._is_shared:
            address.require_usable("HEALTH_BIND")
        server = grpc.server(
            futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="health rpc"),
            maximum_concurrent_rpcs=_MAX_RPCS,
            options=(("grpc.so_reuseport", int(self._is_shared)),),
        )
        self._health.add_to(server)
        try:
            self.port = server.add_insecure_port(self._bind)
        except RuntimeError as error:
            raise StartupError(
                f"Cannot listen on {address}, which HEALTH_BIND names: gRPC refuses the address."
            ) from error
        server.start()
        self._server = server
        shown = Address(address.host, self.port)
        get_logger(__name__).info("serving_health", address=str(shown))

    def stop(self) -> None:
        """Listen no more, and end what is in flight."""
        if self._server is not None:
            self._server.stop(0.0).wait()
