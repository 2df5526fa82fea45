"""The broker that is a folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from repository_tier.jobs.broker import BrokerAddress, celery_app
from repository_tier.jobs.folder_transport import Transport


def channel_at(folder: Path) -> Any:
    app = celery_app(BrokerAddress.under("", folder))
    return app.connection_for_write().default_channel


def test_messages_come_out_in_the_order_in_which_they_went_in(tmp_path: Path) -> None:
    channel = channel_at(tmp_path)
    channel.queue_declare("q/../x")
    for number in range(5):
        channel._put("q/../x", {"number": number})
    assert channel._size("q/../x") == 5
    assert [channel._get("q/../x")["number"] for _ in range(5)] == list(range(5))
    with pytest.raises(Empty):
        channel._get("q/../x")
    assert [file.name for file in (tmp_path / "broker").iterdir()] == ["q%2F..%2Fx"]


def test_a_message_is_taken_once_by_however_many(tmp_path: Path) -> None:
    channels = [channel_at(tmp_path) for _ in range(4)]
    channels[0].queue_declare("q")
    for number in range(200):
        channels[0]._put("q", number)

    def take_all(channel: Any) -> list[int]:
        taken = []
        while True:
            try:
                taken.append(channel._get("q"))
            except Empty:
                return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [number for each in pool.map(take_all, channels) for number in each]
    assert sorted(taken) == list(range(200))


def test_what_is_half_written_is_no_message(tmp_path: Path) -> None:
    channel = channel_at(tmp_path)
    channel.queue_declare("q")
    (tmp_path / "broker" / "q" / ".half").write_text("{")
    assert channel._size("q") == 0
    channel._put("q", 1)
    assert channel._purge("q") == 1
    assert channel._size("q") == 0


def test_a_message_that_cannot_be_read_blocks_nothing_behind_it(tmp_path: Path) -> None:
    channel = channel_at(tmp_path)
    channel.queue_declare("q")
    (tmp_path / "broker" / "q" / "0").write_bytes(b"")
    channel._put("q", 1)
    assert channel._get("q") == 1
    assert channel._size("q") == 0


def test_the_transport_has_no_version() -> None:
    assert Transport.driver_version(None) == ""  # type: ignore[arg-type]  # it looks at nothing
