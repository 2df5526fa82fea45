"""Secrets that are made on the first start and kept in a file."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from tier_runtime.startup import StartupError

_MADE_BYTES = 48


def given_or_kept_secret(given: SecretStr | None, path: Path) -> bytes:
    """Return the secret of a setting, or without one the text kept in the file, made first.

    It is text, so that the file can also be named by the setting's `_FILE`.

    Raises:
        StartupError: the file cannot be read or made, or is empty.
    """
    if given is not None:
        return given.get_secret_value().encode()
    return read_or_create_secret(path, lambda: secrets.token_urlsafe(_MADE_BYTES).encode())


def read_or_create_secret(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return the bytes kept in the file, making them first if there is no such file.

    The file appears whole or not at all, readable by its owner only. Of several processes that
    start at once one wins and all return the winner's bytes.

    Raises:
        StartupError: the file cannot be read or made, or is empty.
    """
    try:
        kept = _read(path)
        if kept is None:
            _create(path, make())
            kept = _read(path)
    except OSError as error:
        raise StartupError(f"Cannot keep a secret in {path}: {error.strerror}.") from error
    if not kept:
        raise StartupError(f"The secret file {path} is empty; remove it to have it made anew.")
    return kept


def make_private_folder(path: Path) -> None:
    """Make the folder, and those above it that are missing, for their owner only.

    What is there already stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    # Path.mkdir gives its mode to the last folder only.
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _create(path: Path, content: bytes) -> None:
    make_private_folder(path.parent)
    # mkstemp makes the file with mode 0600.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # A hard link never replaces: whoever comes second finds the first one's file in place.
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
