"""Real stores by hand, or for another program.

python -m tests.stores                  start them, print their URLs, hold them until Ctrl-C
python -m tests.stores -- COMMAND …     run COMMAND with TEST_DATABASE_URL and TEST_REDIS_URL set
python -m tests.stores --hold           for the test run: JSON lines on stdout, until stdin ends
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from tests.stores.provision import Provision
from tests.stores.servers import Servers


def main(arguments: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, _end)
    if arguments == ["--hold"]:
        return _hold()
    if arguments and arguments[0] != "--":
        print(__doc__, file=sys.stderr)
        return 2
    provision = Provision(os.environ, lambda line: print(f"stores: {line}", file=sys.stderr))
    try:
        servers = provision.provide()
        if not (servers.mysql_url and servers.redis_url):
            print("stores: not both servers could be had", file=sys.stderr)
            return 1
        if arguments:
            return subprocess.run(arguments[1:], env=_environ(servers), check=False).returncode
        for name in ("TEST_DATABASE_URL", "TEST_REDIS_URL"):
            print(f"export {name}={_environ(servers)[name]}", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        return 0
    finally:
        provision.close()
    return 0


def _hold() -> int:
    """Hold the servers for the process at the other end of stdin.

    The pipe ends however that process ends, so nothing is left behind even by a kill -9.
    """
    # Ctrl-C is the business of the process at the other end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    provision = Provision(os.environ, lambda line: _tell({"note": line}))
    try:
        _tell({"servers": provision.provide().to_dict()})
        sys.stdin.read()
    except BrokenPipeError:
        # Nobody listens any more; closing is all there is to do.
        return 0
    finally:
        provision.close()
    return 0


def _tell(message: dict[str, object]) -> None:
    print(json.dumps(message), flush=True)


def _environ(servers: Servers) -> dict[str, str]:
    return {
        **os.environ,
        "TEST_DATABASE_URL": servers.mysql_url,
        "TEST_REDIS_URL": servers.redis_url,
    }


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
