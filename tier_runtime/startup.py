"""How a program ends when it could not begin: one clear line and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable

EXIT_NOT_STARTED = 2


class StartupError(Exception):
    """A reason not to start, told to the operator without a traceback."""


def run_main(main: Callable[[], int]) -> int:
    """Run a program and return its exit code; 2, with the reason on stderr, if it cannot start."""
    try:
        return main()
    except StartupError as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        return EXIT_NOT_STARTED
