"""What `make` does besides what a target says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What stands in for git writes down that it was asked, and for Docker, what it is told.
PROGRAMS = {
    "git": 'echo "$1" >> {folder}/asked\necho "of git $1"\n',
    "docker": 'echo "$ARCANA_REVISION, $ARCANA_CREATED" >> {folder}/told\n',
}

# Stands in for Docker with two edges, one published at every address, and a store that is not.
TWO_EDGES = """
case "$*" in
"compose ps --quiet") printf 'two\nstore\none\n' ;;
"port one 5000/tcp") echo 127.0.0.1:5000 ;;
"port one 50050/tcp") echo 127.0.0.1:50050 ;;
"port two 5000/tcp") printf '0.0.0.0:5002\n[::]:5002\n' ;;
port*) exit 1 ;;
"compose run "*) echo "The first admin" ;;
esac
"""
# Stands in for Docker where it cannot tell of an edge, and what an operator has to be told then.
NO_EDGE = [
    pytest.param(
        'case "$*" in "compose ps "*) echo no daemon >&2; exit 3 ;; esac',
        "no daemon",
        id="compose fails",
    ),
    pytest.param(
        'case "$*" in "compose ps "*) echo store ;; port*) exit 1 ;; esac',
        "no container of the edge",
        id="nothing is published",
    ),
    pytest.param("exit 0", "no container of the edge", id="nothing runs"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, script in PROGRAMS.items():
        program = tmp_path / name
        program.write_text("#!/bin/sh\n" + script.format(folder=tmp_path))
        program.chmod(0o755)
    return tmp_path


def _make(folder: Path, target: str, **told: str) -> str:
    """Run `make` with what stands in for programs, and give what it says."""
    # What a make around this one tells it, which would also write where it goes.
    told_by_make = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    kept = {
        name: value
        for name, value in os.environ.items()
        if "ARCANA_" not in name and name not in told_by_make
    }
    environ = kept | told
    environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    command = ["/usr/bin/env", "make", target]
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, check=True, text=True
    )
    return done.stdout


def test_git_is_asked_nothing_for_a_target_that_builds_no_image(folder: Path) -> None:
    _make(folder, "help")
    assert not (folder / "asked").exists()


def test_an_image_is_told_its_commit(folder: Path) -> None:
    _make(folder, "images")
    assert (folder / "told").read_text() == "of git rev-parse, of git log\n"


def test_an_image_is_told_what_the_environment_says_instead(folder: Path) -> None:
    _make(folder, "images", ARCANA_REVISION="abc", ARCANA_CREATED="2026-01-01T00:00:00Z")
    assert (folder / "told").read_text() == "abc, 2026-01-01T00:00:00Z\n"


def test_an_operator_is_told_what_is_published_and_not_which_range_was_asked_for(
    folder: Path,
) -> None:
    (folder / "docker").write_text("#!/bin/sh\n" + TWO_EDGES)
    said = _make(folder, "compose-up", ARCANA_HTTP="5000-5002", ARCANA_GRPC="50050-50052")
    assert said.splitlines() == [
        "Up: http://127.0.0.1:5000/docs, gRPC at 127.0.0.1:50050",
        "Up: http://127.0.0.1:5002/docs",
        "The first admin",
    ]


@pytest.mark.parametrize(("answer", "told"), NO_EDGE)
def test_an_operator_who_can_be_told_no_address_is_told_why(
    folder: Path, answer: str, told: str
) -> None:
    (folder / "docker").write_text(f"#!/bin/sh\n{answer}\n")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        _make(folder, "compose-up")
    assert told in failed.value.stderr
    assert failed.value.stdout == ""
