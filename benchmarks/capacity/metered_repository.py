"""A repository tier that counts its SQL, into the file that the command line names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.capacity.meter import DatabaseMeter
from launcher.parent import follow_parent
from launcher.tiers import program_main
from tier_runtime.startup import run_main


def main() -> int:
    """Serve until a signal, and return the exit code."""
    follow_parent(os.environ)
    DatabaseMeter(Path(sys.argv[1])).install()
    return program_main("repository")()


if __name__ == "__main__":
    sys.exit(run_main(main))
