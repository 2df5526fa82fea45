"""Installing the servers with apt, as root on Debian, without letting the packages start them."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.stores.servers import CannotProvideError

APT_GET = "/usr/bin/apt-get"
GUARD = Path("/usr/sbin/policy-rc.d")
APT_OPTIONS = (
    "-o",
    "Acquire::http::Timeout=20",
    "-o",
    "Acquire::https::Timeout=20",
    "-o",
    "Acquire::Retries=2",
    "-o",
    "DPkg::Lock::Timeout=60",
)
APT_SECONDS = 420.0


def can_install() -> bool:
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and Path(APT_GET).exists()


def install(packages: Sequence[str]) -> None:
    """Install Debian packages; their services are not started.

    Raises:
        CannotProvideError: with apt's last line.
    """
    with services_held_back():
        _apt_get("update", "-qq")
        _apt_get("install", "-y", "-qq", "--no-install-recommends", *packages)


@contextlib.contextmanager
def services_held_back() -> Iterator[None]:
    """Keep maintainer scripts from starting what they install.

    invoke-rc.d asks policy-rc.d, and exit code 101 means "not allowed" (Debian Policy 9.3.3). A
    guard that somebody else has put there stays theirs.
    """
    if GUARD.exists():
        yield
        return
    GUARD.write_text("#!/bin/sh\nexit 101\n")
    GUARD.chmod(0o755)
    try:
        yield
    finally:
        GUARD.unlink(missing_ok=True)


def _apt_get(*words: str) -> None:
    try:
        done = subprocess.run(
            [APT_GET, *APT_OPTIONS, *words],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=APT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotProvideError(
            f"apt-get {words[0]} took more than {APT_SECONDS:.0f} s"
        ) from error
    if done.returncode != 0:
        lines = done.stdout.strip().splitlines() or ["it wrote nothing"]
        raise CannotProvideError(f"apt-get {words[0]} failed: {lines[-1]}")
