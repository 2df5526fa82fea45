from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from launcher.certificates import make_certificates
from launcher.peers import tls_variables
from tests.stores.waiting import eventually
from tier_runtime.tls.files import TlsFiles
from tier_runtime.tls.swapping_channel import SwappingChannel


class Opened:
    """Stands for gRPC's own channel."""

    def close(self) -> None:
        pass


@pytest.fixture
def _many_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_many_switches")
def test_threads_that_saw_the_old_files_do_not_bring_them_back(tmp_path: Path) -> None:
    make_certificates(tmp_path)
    used: list[Any] = []

    def open_one(credentials: grpc.ChannelCredentials) -> grpc.Channel:
        used.append(credentials)
        return cast("grpc.Channel", Opened())

    files = TlsFiles(*map(Path, tls_variables(tmp_path, "service").values()))
    channel = SwappingChannel(files, open_one)
    stopped = threading.Event()

    def go_on() -> None:
        while not stopped.is_set():
            channel.leave(channel.board())

    threads = [threading.Thread(target=go_on) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for swaps in (1, 2, 3):
            make_certificates(tmp_path)
            eventually(lambda: len(used) > swaps, 10.0)  # noqa: B023 - called at once
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert len(used) == len(set(used))
