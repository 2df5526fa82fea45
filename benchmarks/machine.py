"""What a run was made on, and with: no figure means anything without it."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

# Whose choice moves the figures.
PACKAGES: Sequence[str] = (
    "grpcio",
    "protobuf",
    "Flask",
    "gunicorn",
    "granian",
    "Werkzeug",
    "urllib3",
    "orjson",
    "SQLAlchemy",
    "PyMySQL",
    "redis",
    "hiredis",
    "PyJWT",
    "structlog",
)


def describe_machine() -> dict[str, Any]:
    """Describe the machine without its name."""
    load = os.getloadavg() if hasattr(os, "getloadavg") else ()
    return {
        "processor": _processor(),
        "cores": _usable_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "load_average_before": [round(each, 2) for each in load],
    }


def describe_versions() -> dict[str, str]:
    """Return the version of Python and of each package that matters."""
    found = {"Python": f"{platform.python_implementation()} {platform.python_version()}"}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
