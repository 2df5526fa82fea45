"""The `arcana` command, counted by coverage.py without the processes that it starts."""

from __future__ import annotations

import os

from launcher.cli import main
from tests.counting import uncounted

if __name__ == "__main__":
    for name in os.environ.keys() - uncounted(os.environ).keys():
        del os.environ[name]
    main()
