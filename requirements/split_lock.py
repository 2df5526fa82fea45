"""Prints the part of a lock that an image keeps, or the part that only builds it.

`python requirements/split_lock.py run requirements/service.lock` leaves out what is there for the
build backend alone, `... build ...` leaves out everything else. Reads what `uv pip compile` says
behind each package about who wants it, and needs nothing but Python.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Who wants a package of the group `build` of pyproject.toml.
_BUILD_GROUP = "arcana (pyproject.toml:build)"
_BEGINS = re.compile(r"([a-z0-9][a-z0-9._-]*)==\S+")


@dataclass(frozen=True, slots=True)
class Locked:
    """A package as a lock has it.

    Attributes:
        text: its lines, hashes and all.
        wanted_by: the names of the packages that need it, and of the groups that ask for it.
    """

    text: str
    wanted_by: frozenset[str]


def read_lock(text: str) -> dict[str, list[Locked]]:
    """Read what a lock holds, by the package's name.

    A name may come several times, each with a marker that leaves one of them for any Python.
    """
    found: dict[str, list[Locked]] = {}
    name = ""
    lines: list[str] = []

    def end() -> None:
        if name:
            found.setdefault(name, []).append(Locked("".join(lines), _wanted_by(lines)))

    for line in text.splitlines(keepends=True):
        if begins := _BEGINS.match(line):
            end()
            name, lines = begins[1], []
        if name:
            lines.append(line)
    end()
    return found


def only_for_build(lock: Mapping[str, list[Locked]]) -> set[str]:
    """Give the names of the packages that nobody wants but the build backend."""
    found: set[str] = set()
    while more := {
        name
        for name, each in lock.items()
        if name not in found and _wanted(each) <= found | {_BUILD_GROUP}
    }:
        found |= more
    return found


def for_build(lock: Mapping[str, list[Locked]]) -> set[str]:
    """Give the names of the packages that the build backend needs, wanted by others too or not."""
    found: set[str] = set()
    while more := {
        name
        for name, each in lock.items()
        if name not in found and _wanted(each) & (found | {_BUILD_GROUP})
    }:
        found |= more
    return found


def part_of(text: str, part: str) -> str:
    """Give the lock's part that is kept to `run`, or that is needed to `build`."""
    lock = read_lock(text)
    names = for_build(lock) if part == "build" else lock.keys() - only_for_build(lock)
    return "".join(each.text for name, several in lock.items() if name in names for each in several)


def _wanted(several: list[Locked]) -> frozenset[str]:
    return frozenset().union(*(each.wanted_by for each in several))


def _wanted_by(lines: list[str]) -> frozenset[str]:
    # `# via name`, or `# via` and a line for each; what begins with -c tells of no need.
    comments = [line.strip().removeprefix("#").strip() for line in lines if "    #" in line]
    names = [comment.removeprefix("via").strip() for comment in comments]
    return frozenset(name for name in names if name and not name.startswith("-c "))


def main() -> None:
    """Print the part that the command line asks for."""
    if len(sys.argv) != 3 or sys.argv[1] not in {"run", "build"}:
        raise SystemExit("usage: split_lock.py run|build LOCK")
    sys.stdout.write(part_of(Path(sys.argv[2]).read_text(encoding="utf-8"), sys.argv[1]))


if __name__ == "__main__":
    main()
