"""Asks one process how it is, for health checks in images without a shell.

`python -m tier_runtime.probe URL` exits with 0 when it is well, and else with 1 and one line on
standard error. The URL is `grpc://host:port` of a listener that HEALTH_BIND names, or an
`http://host:port/path` that answers 200 then. It takes no longer than two seconds, and imports
little: it runs every few seconds for as long as the container does.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from urllib.parse import urlsplit

LIMIT_SECONDS = 2.0
# HealthCheckResponse (grpc.health.v1) with status = SERVING, as it is on the wire. Reading it with
# the generated code would cost more than the whole probe.
_SERVING = b"\x08\x01"
_NO_URL = "is neither grpc://host:port nor http://host:port/path"
_CHECK = "/grpc.health.v1.Health/Check"


def main(arguments: Sequence[str]) -> int:
    """Ask at the URL among the arguments and return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tier_runtime.probe URL\n")
        return 1
    # A peer that sends a byte now and then would keep the sockets' own timeouts from ending it.
    signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS + 0.1)
    try:
        fault = fault_at(arguments[0])
    except TimeoutError as error:
        # Where no one expects it: in the middle of an import, or of gRPC.
        fault = f"does not answer ({type(error).__name__})"
    if fault is None:
        return 0
    sys.stderr.write(f"{arguments[0]} {fault}\n")
    return 1


def fault_at(url: str) -> str | None:
    """Say why what is at the URL is not well; None when it is."""
    try:
        parts = urlsplit(url)
        is_complete = bool(parts.hostname and parts.port)
    except ValueError:
        return _NO_URL
    if is_complete and parts.scheme == "grpc":
        return _grpc_fault(parts.netloc)
    if is_complete and parts.scheme == "http":
        return _http_fault(parts.netloc, parts.path or "/")
    return _NO_URL


def _grpc_fault(target: str) -> str | None:
    import grpc  # noqa: PLC0415 - the probe of the edge does without.

    # No proxy that the environment names lies between a container and itself.
    options = (("grpc.enable_http_proxy", 0),)
    with grpc.insecure_channel(target, options) as channel:
        check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_CHECK)
        try:
            # An empty HealthCheckRequest asks about the whole process.
            answer = check(b"", timeout=LIMIT_SECONDS)
        except grpc.RpcError as error:
            return f"does not answer ({error.code().name})"
    return None if answer == _SERVING else "does not serve"


def _http_fault(target: str, path: str) -> str | None:
    from http.client import HTTPConnection, HTTPException  # noqa: PLC0415 - as above.

    connection = HTTPConnection(target, timeout=LIMIT_SECONDS)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return f"does not answer ({type(error).__name__})"
    finally:
        connection.close()
    return None if status == 200 else f"answers {status}"


def _give_up(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError("timed out")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
