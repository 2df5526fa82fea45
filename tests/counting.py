"""Which processes coverage.py counts.

Being counted costs a process a third of its time. What tiers do in processes of their own is
counted where they are tested one by one; in whole systems they are not.
"""

from __future__ import annotations

from collections.abc import Mapping

_PREFIX = "COVERAGE_PROCESS"


def uncounted(environ: Mapping[str, str]) -> dict[str, str]:
    """Give an environment without the variables by which a process is counted from its start."""
    return {name: value for name, value in environ.items() if not name.startswith(_PREFIX)}
