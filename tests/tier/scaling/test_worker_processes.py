"""WORKERS=2: two processes of a tier share its calls, and a lost one comes back."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from pathlib import Path

import pytest

from arcana.service.v1 import auth_service_pb2, auth_service_pb2_grpc
from tests.stores.waiting import eventually
from tests.tier.scaling.conftest import Open, Run, Start
from tests.tier.scaling.load import Load
from tests.tier.transports.plans import TierPlan
from tests.tier.transports.probe_contract import SERVICE
from tier_runtime.addresses import Address
from tier_runtime.channel import open_channel
from tier_runtime.errors import Kind
from tier_runtime.tier import Protocol, worker_bind

SECONDS = 20.0
SAMPLE = 100


def free_binds() -> list[str]:
    """Return two addresses as far apart as those of two workers, both free."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        binds = [f"127.0.0.1:{port}", worker_bind(f"127.0.0.1:{port}", 1)]
        if port < 65000 and all(Address.parse(bind).is_free() for bind in binds):
            return binds


def wait_for_two(load: Load, lost: int = 0) -> Counter[int]:
    """Wait until two processes, none of them lost, share the calls; return what each answered."""

    def both() -> Counter[int]:
        since = load.answers()
        eventually(lambda: load.answers() >= since + SAMPLE, SECONDS, "enough answers")
        counts = load.processes(since)
        assert lost not in counts
        assert len(counts) == 2
        return counts

    return eventually(both, SECONDS, "two processes answer")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_both_get_calls_and_one_that_is_killed_comes_back(
    start: Start, open_stub: Open, protocol: Protocol
) -> None:
    binds = free_binds()
    process = start(TierPlan("probe", protocol, workers=2, settings={"bind": binds[0]}))
    addresses = ",".join(binds if protocol == "grpc" else binds[:1])
    # What may be sent twice survives also the moment of the loss.
    stub = open_stub(
        f"{protocol}://{addresses}",
        retried_methods=(SERVICE,),
        max_attempts=5,
        # One process keeps all connections of an address that it accepted first.
        max_connection_age_seconds=0.3,
    )
    with Load(stub, callers=8) as load:
        counts = wait_for_two(load)
        assert process.pid not in counts
        killed = next(iter(counts))
        os.kill(killed, signal.SIGKILL)
        wait_for_two(load, lost=killed)
        known = len(load.failures)
        wait_for_two(load, lost=killed)
        assert len(load.failures) == known
    # Those in flight at that moment, and those that found the throttle of retries closed.
    assert {error.kind for error in load.failures} <= {Kind.UNAVAILABLE}


def test_the_service_tier_s_workers_share_its_calls(run: Run, tmp_path: Path) -> None:
    binds = free_binds()
    service = run(
        "service_tier.main",
        REPOSITORY_URL="grpc://127.0.0.1:1",
        SERVICE_BIND=binds[0],
        WORKERS="2",
        ARCANA_HOME=str(tmp_path),
    )
    service.logged("serving", 2)
    with open_channel(f"grpc://{','.join(binds)}") as channel:
        stub = auth_service_pb2_grpc.AuthServiceStub(channel)

        def shares() -> Counter[int]:
            for _ in range(20):
                assert stub.GetJwks(auth_service_pb2.GetJwksRequest()).keys
            lines = service.log_lines("rpc")
            counts = Counter(line["worker"] for line in lines[-20:])
            assert min(counts.values()) >= 8
            assert set(counts) == {0, 1}
            return counts

        eventually(shares, SECONDS, "both workers answer")
