"""Start the system in containers in each layout, from nothing, test it, and remove it.

Run as ``python -m tests.containers layered monolithic -- -k health``: which layouts, and what
pytest is told besides. `make compose-test` runs all three.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import docker

from tests.system.composed import PROJECT, ROOT, environ
from tests.system.wiring import COMPOSED, COMPOSED_WIRINGS, VARIABLE, Wiring

LAYOUTS: Mapping[str, Wiring] = {wiring.mode: wiring for wiring in COMPOSED_WIRINGS}
STORY = "tests/system/test_first_story.py"
# All layouts run the same images, so one of them is tested in full.
TESTS: Mapping[Wiring, Sequence[str]] = {
    COMPOSED: (STORY, "tests/system/test_edge_rows.py", "tests/system/test_edge_errors.py"),
}
LABEL = f"com.docker.compose.project={PROJECT}"


def main(arguments: Sequence[str]) -> int:
    layouts, told = list(arguments), []
    if "--" in layouts:
        at = layouts.index("--")
        layouts, told = layouts[:at], layouts[at + 1 :]
    if unknown := set(layouts) - LAYOUTS.keys():
        print(f"no layout: {', '.join(sorted(unknown))}; there are {', '.join(LAYOUTS)}")
        return 2
    failed = [name for name in layouts or LAYOUTS if not _is_good(LAYOUTS[name], told)]
    if failed:
        print(f"failed in containers: {', '.join(failed)}")
    return 1 if failed else 0


def _is_good(wiring: Wiring, told: Sequence[str]) -> bool:
    """Start a layout, run its tests, and remove it; say whether all of that went well."""
    begun = time.monotonic()
    print(f"== {wiring.mode}", flush=True)
    tests = (*TESTS.get(wiring, (STORY,)), "tests/containers")
    try:
        if not (_down(wiring) and _compose(wiring, "up", "--build", "--detach", "--wait")):
            _compose(wiring, "logs", "--tail", "30")
            return False
        pytest = [sys.executable, "-m", "pytest", "-n", "0", *tests, *told]
        passed = _run(pytest, {VARIABLE: str(wiring)})
    finally:
        is_down = _down(wiring)
    left = _left()
    if left:
        print(f"left behind: {', '.join(left)}")
    print(f"== {wiring.mode}: {time.monotonic() - begun:.0f} s", flush=True)
    return passed and is_down and not left


def _down(wiring: Wiring) -> bool:
    return _compose(wiring, "down", "--volumes", "--remove-orphans", "--timeout", "5")


def _compose(wiring: Wiring, *words: str) -> bool:
    return _run(["docker", "compose", *words], environ(wiring))


def _run(command: Sequence[str], environ: Mapping[str, str]) -> bool:
    return (
        subprocess.run(command, cwd=ROOT, env={**os.environ, **environ}, check=False).returncode
        == 0
    )


def _left() -> list[str]:
    """Give what there still is of the system."""
    engine, of_it = docker.from_env(), {"label": LABEL}
    containers = engine.containers.list(all=True, filters=of_it)
    volumes, networks = engine.volumes.list(filters=of_it), engine.networks.list(filters=of_it)
    found = [each.name for kind in (containers, volumes, networks) for each in kind]
    engine.close()
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
