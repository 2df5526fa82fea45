"""The port where metrics are read: of one process, and of several together."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests

from tests.metering import Counted, Scraped, scrape
from tests.stores.waiting import eventually
from tests.tier.runtime.arities import SERVICE, Arities, AritiesStub
from tests.tier.runtime.programs import Program
from tier_runtime.channel import open_channel
from tier_runtime.health import HealthBoard
from tier_runtime.logs import get_logger
from tier_runtime.metrics import series
from tier_runtime.metrics.exposition import rendering, serve
from tier_runtime.metrics.families import counter, gauge
from tier_runtime.metrics.meters import Reading
from tier_runtime.metrics.port import metrics_port
from tier_runtime.server import GrpcServerSettings, build_server
from tier_runtime.startup import StartupError
from tier_runtime.telemetry import Telemetry

CALLS = 200
SCRAPERS = 4
ROOT = Path(__file__).resolve().parents[3]
# A file of the library's in which no series is: the number of bytes that are used.
NOTHING_COUNTED = struct.pack("i4x", 8)


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def address(counted: Counted) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = serve(listener, rendering(counted.meters, counted.registry, None))
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    server.shutdown()
    server.server_close()


def test_a_port_tells_what_was_counted_and_what_is_looked_up(
    counted: Counted, address: str
) -> None:
    waiting = gauge("arcana_test_waiting", "Things that wait.", ("kind",))
    counted.meters.counter(counter("arcana_test_total", "Things.", ("kind",))).of("a").inc(3)
    counted.meters.look_up(lambda: [Reading(waiting, 2, ("a",)), Reading(waiting, 5, ("b",))])

    told = scrape(address)

    assert told.total("arcana_test_total", kind="a") == 3
    assert told.total("arcana_test_waiting", kind="b") == 5
    assert told.total("arcana_test_waiting") == 7
    assert told.values_of(series.PROCESS_CPU.name, "pid") == {str(os.getpid())}
    assert told.total(series.PROCESS_MEMORY.name) > 1_000_000
    # When a counter began is nothing that anybody asks.
    assert not any(name.endswith("_created") for name in told.names())


def test_the_text_is_the_one_that_is_asked_for(counted: Counted, address: str) -> None:
    wanted = "application/openmetrics-text;version=1.0.0"
    answer = requests.get(f"http://{address}/metrics", headers={"Accept": wanted}, timeout=10)

    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    assert answer.headers["Server"] == "arcana"


def test_nothing_but_the_metrics_is_there(address: str) -> None:
    assert requests.get(f"http://{address}/", timeout=10).status_code == 404


def test_a_scraper_that_leaves_in_the_middle_hinders_nobody(address: str) -> None:
    host, _, port = address.partition(":")
    with socket.create_connection((host, int(port))) as hasty:
        hasty.sendall(b"GET /met")
        scrape(address)
    scrape(address)


def test_what_fails_while_it_is_read_is_no_end(counted: Counted, address: str) -> None:
    def fail() -> list[Reading]:
        raise ZeroDivisionError

    counted.meters.look_up(fail)

    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            scrape(address)


def test_a_taken_address_is_told_by_the_setting_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(StartupError, match=f"{bind}, which METRICS_BIND names: the port is"),
            metrics_port(bind, "test", forks=False),
        ):
            pass


def test_a_port_that_is_closed_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    with metrics_port("127.0.0.1:0", "test", forks=False) as port:
        assert port.meters() is port.meters() is not None
        assert set(threading.enumerate()) > before
    eventually(lambda: set(threading.enumerate()) <= before)


def test_without_a_folder_to_count_in_the_start_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with (
        pytest.raises(StartupError, match=r"METRICS_BIND needs a folder.*TMPDIR"),
        metrics_port("127.0.0.1:0", "test", forks=True),
    ):
        pass


def test_a_folder_that_the_environment_names_is_none_of_ours(tmp_path: Path) -> None:
    program = (
        "from tier_runtime.metrics.port import metrics_port\n"
        "with metrics_port('127.0.0.1:0', 'test', forks=False) as port:\n"
        "    assert port.meters() is not None\n"
    )
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=environ)
    assert list(tmp_path.iterdir()) == []


def test_several_scrapes_may_find_the_same_dead_processes(counted: Counted, tmp_path: Path) -> None:
    # Beyond what the kernel gives out.
    for pid in range(5_000_000, 5_000_300):
        (tmp_path / f"gauge_livesum_{pid}.db").write_bytes(NOTHING_COUNTED)
    render = rendering(counted.meters, counted.registry, tmp_path)
    at_once = threading.Barrier(SCRAPERS)

    def scraped(_number: int) -> str:
        at_once.wait()
        return render("")[1].decode()

    with ThreadPoolExecutor(SCRAPERS) as threads:
        assert len(list(threads.map(scraped, range(SCRAPERS)))) == SCRAPERS
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_is_another_users_process_now_is_none_of_ours() -> None:
    program = (
        "import os, tempfile\n"
        "from pathlib import Path\n"
        "from tests.metering import Counted\n"
        "from tier_runtime.metrics.exposition import rendering\n"
        "if os.getuid() == 0:\n"
        "    os.setuid(65534)\n"
        "counted = Counted()\n"
        "with tempfile.TemporaryDirectory(dir='/tmp') as folder:\n"
        f"    Path(folder, 'gauge_livesum_1.db').write_bytes({NOTHING_COUNTED!r})\n"
        "    _, text = rendering(counted.meters, counted.registry, Path(folder))('')\n"
        "    assert os.listdir(folder) == [], text\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=ROOT)


def test_with_the_setting_unset_there_is_no_port_and_nothing_is_imported() -> None:
    program = (
        "import sys\n"
        "import service_tier.main, repository_tier.main, controller_tier.main\n"
        "from tier_runtime.metrics.port import metrics_port\n"
        "with metrics_port('', 'test', forks=True) as port:\n"
        "    assert port.meters() is None\n"
        "assert not [name for name in sys.modules if name.startswith('prometheus')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_an_unknown_method_is_counted_and_makes_no_label() -> None:
    counted = Counted()
    settings = GrpcServerSettings(bind="127.0.0.1:0", threads=4)
    server = build_server(
        settings,
        [Arities().registration()],
        HealthBoard(),
        get_logger("test"),
        telemetry=Telemetry(counted.meters),
    )
    server.start()
    try:
        with grpc.insecure_channel(server.address) as channel:
            for number in range(50):
                call: Any = channel.unary_unary(f"/made.up.Service{number}/Method{number}")
                with pytest.raises(grpc.RpcError):
                    call(b"")
            AritiesStub(channel).unary_unary("a")
    finally:
        server.stop()

    assert counted.value(series.SERVED_REFUSED, "unknown_method") == 50
    assert counted.all_labels(series.SERVED) == {(SERVICE, "UnaryUnary", "OK")}
    assert counted.all_labels(series.SERVED_SECONDS) == {(SERVICE, "UnaryUnary")}
    assert counted.value(series.SERVED_ARRIVED) == 1


def _of_workers(program: Program) -> Callable[[], Scraped]:
    (line,) = program.logged("serving_metrics")
    return lambda: scrape(line["address"])


@pytest.fixture
def workers() -> Iterator[Program]:
    """Give a program of two processes whose metrics are on."""
    program = Program("workers_program", "127.0.0.1:0", "2", "127.0.0.1:0")
    yield program
    program.close()


def test_several_processes_are_counted_together_and_no_call_is_lost(workers: Program) -> None:
    addresses = [line["address"] for line in workers.logged("serving", 2)]
    read = _of_workers(workers)
    with (
        ThreadPoolExecutor(8) as threads,
        open_channel(f"grpc://{addresses[0]}") as one,
        open_channel(f"grpc://{addresses[1]}") as other,
    ):
        stubs = (AritiesStub(one), AritiesStub(other))
        pids = set(threads.map(lambda n: stubs[n % 2].unary_unary("a"), range(CALLS)))
    assert len(pids) == 2
    told = read()
    assert told.total(series.SERVED.name, code="OK") == CALLS
    assert told.total(f"{series.SERVED_SECONDS.name}_count") == CALLS
    assert told.total(series.SERVED_IN_FLIGHT.name) == 0
    assert told.values_of(series.PROCESS_CPU.name, "pid") == pids
    assert told.total(series.BUILD.name, tier="test") == 1
    # Whoever is asked, it is the same.
    assert all(read().total(series.SERVED.name) == CALLS for _ in range(10))


def test_what_a_killed_process_counted_stays_and_what_it_had_in_hand_goes(workers: Program) -> None:
    addresses = [line["address"] for line in workers.logged("serving", 2)]
    read = _of_workers(workers)
    with open_channel(f"grpc://{addresses[0]}") as channel, ThreadPoolExecutor(1) as threads:
        stub = AritiesStub(channel)
        pid = stub.unary_unary("a")
        held = threads.submit(stub.unary_unary, "until cancelled")
        eventually(lambda: read().total(series.SERVED_IN_FLIGHT.name) == 1)
        os.kill(int(pid), signal.SIGKILL)
        assert held.exception() is not None
    eventually(lambda: pid not in read().values_of(series.PROCESS_CPU.name, "pid"))

    told = read()
    assert told.total(series.SERVED_IN_FLIGHT.name) == 0
    assert told.total(series.SERVED.name, code="OK") == 1
