"""gRPC's own view of a process's connections, as grpc.channelz.v1.

https://github.com/grpc/proposal/blob/master/A14-channelz.md
"""

from __future__ import annotations

import grpc

SERVICE = "grpc.channelz.v1.Channelz"


def add_channelz(server: grpc.Server) -> str:
    """Have a server tell of every channel, server and socket of this process; return the service.

    It tells addresses and counts, and no content of any call. It is for operators: no server that
    strangers reach may have it.
    """
    # Few processes ever need it.
    from grpc_channelz.v1 import (  # type: ignore[import-untyped]  # noqa: PLC0415 - see above; it ships no types.
        channelz,
    )

    channelz.add_channelz_servicer(server)
    return SERVICE
