"""Which version of the program this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """Return the version that was installed; `0` for a checkout that was not."""
    try:
        return version("arcana")
    except PackageNotFoundError:
        return "0"
