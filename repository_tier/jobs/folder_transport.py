"""A broker that needs no server: a folder for each queue, and a file for each message.

kombu brings a transport over files too, whose readers can take a file that is being written.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.parse import quote

import orjson
from kombu.transport import virtual

SCHEME = "arcana-folder"
# The transport option that names the folder.
FOLDER_OPTION = "folder"


class Channel(virtual.Channel):
    """Puts and takes messages; several processes may do so at the same time."""

    def _new_queue(self, queue: str, **_options: Any) -> None:
        self._folder(queue).mkdir(mode=0o700, parents=True, exist_ok=True)

    def _put(self, queue: str, message: Any, **_options: Any) -> None:
        folder = self._folder(queue)
        # Names sort as the messages came. A reader sees a whole file or none.
        name = f"{time.time_ns():020d}-{uuid.uuid4()}"
        written = folder / f".{name}"
        written.write_bytes(orjson.dumps(message))
        written.rename(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        del timeout
        folder = self._folder(queue)
        for name in _names(folder):
            try:
                content = (folder / name).read_bytes()
                # Of several readers it belongs to the one that could remove it.
                (folder / name).unlink()
                return orjson.loads(content)
            except (FileNotFoundError, orjson.JSONDecodeError):
                # What a machine that lost its power left half on its disk is lost: its job is
                # published again.
                continue
        raise Empty

    def _size(self, queue: str) -> int:
        return len(_names(self._folder(queue)))

    def _purge(self, queue: str) -> int:
        folder = self._folder(queue)
        names = _names(folder)
        for name in names:
            (folder / name).unlink(missing_ok=True)
        return len(names)

    def _folder(self, queue: str) -> Path:
        connection: Any = self.connection
        folder = connection.client.transport_options[FOLDER_OPTION]
        return Path(folder) / quote(queue, safe="")


class Transport(virtual.Transport):
    """What kombu knows the broker by."""

    Channel = Channel
    # Who publishes and who takes are different processes, so bindings are declared by both.
    global_state = virtual.BrokerState()
    driver_type = "folder"
    driver_name = "folder"

    def __init__(self, client: Any, **options: Any) -> None:
        super().__init__(client, **options)
        self.state = self.global_state

    def driver_version(self) -> str:
        """Return the version of what stores the messages; files have none."""
        return ""


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))
