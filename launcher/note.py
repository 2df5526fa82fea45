"""What `arcana up` leaves under ARCANA_HOME while it runs: how it has laid out the tiers.

Its sisters find the tiers by that, although they know nothing of the options that it was given.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from launcher.settings import WiringSettings
from tier_runtime.secrets import make_private_folder

_NAME = "up.json"
# What `up` has options for, by the variables that say the same.
_NOTED = ("DEPLOYMENT_MODE", "COMMUNICATION_PROTOCOL", "ARCANA_TLS")


@contextmanager
def noted(home: Path, settings: WiringSettings) -> Iterator[bool]:
    """Keep a note for as long as the block runs; give False when none can be written.

    A later `up` with the same home replaces the note, and takes its own away.
    """
    wiring = {name: getattr(settings, name.lower()) for name in _NOTED}
    file, pid = home / _NAME, os.getpid()
    is_written = False
    with contextlib.suppress(OSError):
        make_private_folder(home)
        # Whoever reads meanwhile finds the old one or the new one, whole.
        draft = home / f".{_NAME}.{pid}"
        draft.write_text(json.dumps({"pid": pid, **wiring}), encoding="utf-8")
        draft.replace(file)
        is_written = True
    try:
        yield is_written
    finally:
        if _read(file).get("pid") == pid:
            with contextlib.suppress(OSError):
                file.unlink()


def wiring_noted(home: Path) -> dict[str, str]:
    """Give the variables that an `up` which still runs has noted; none when there is no such."""
    note = _read(home / _NAME)
    pid = note.get("pid")
    if not isinstance(pid, int) or not _is_running(pid):
        return {}
    return {name: str(note[name]) for name in _NOTED if name in note}


def _read(file: Path) -> Mapping[str, object]:
    try:
        note = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        # It runs, as another user's.
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
