from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from arcana.service.v1 import user_service_pb2, user_service_pb2_grpc
from tests.tier.scaling.conftest import Open, Run
from tests.tier.scaling.failing_tiers import FAILING
from tests.tier.transports.asking import ends, new_note, recall, request
from tests.tier.transports.plans import TierPlan, numbered_id
from tests.tier.transports.probe_contract import SERVICE, ProbeStub
from tests.tier.transports.wires import WIRES, Wire, served
from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.channel import ChannelSettings, open_channel
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError, Kind
from tier_runtime.tier import Protocol

CALLS = 100
# What the issue allows.
MOST = 1.2

SYSTEM = Actor("system", frozenset({"admin"}))


@pytest.mark.parametrize("wire", WIRES)
def test_an_error_that_a_tier_found_is_not_asked_for_again(wire: Wire) -> None:
    """It tried as often as it may; a caller that repeated it would multiply the attempts."""
    note = new_note()
    failure = {"kind": "unavailable", "code": "SERVICE_UNAVAILABLE", "text": "Not now."}
    plan = TierPlan("probe", protocol="http" if wire == "http" else "grpc")
    with served(wire, plan) as peer, peer.channel(retried_methods=(SERVICE,)) as channel:
        stub = ProbeStub(channel)
        for _ in range(CALLS):
            ended = ends(stub, "Answer", request(note=note, failure=failure))
            assert ended[:3] == ("unavailable", "SERVICE_UNAVAILABLE", "Not now.")
        assert recall(stub, note).begun == CALLS


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_tier_that_fails_everything_is_asked_hardly_more_often(
    open_stub: Open, protocol: Protocol
) -> None:
    with FAILING[protocol]() as (url, seen):
        stub = open_stub(url, retried_methods=(SERVICE,))
        for _ in range(CALLS):
            assert ends(stub, "Answer", request())[0] == "unavailable"
        assert CALLS < seen.calls <= CALLS * MOST


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_retries_of_two_hops_do_not_multiply(run: Run, tmp_path: Path, protocol: Protocol) -> None:
    asked = user_service_pb2.GetUserRequest(user_id=numbered_id(1))
    retried = ChannelSettings(retried_methods=("arcana.service.v1.UserService",))
    with FAILING[protocol]() as (url, seen):
        service = run(
            "service_tier.main",
            REPOSITORY_URL=url,
            SERVICE_BIND="127.0.0.1:0",
            COMMUNICATION_PROTOCOL=protocol,
            ARCANA_HOME=str(tmp_path),
        )
        with open_channel(f"{protocol}://{service.address()}", retried) as channel:
            users = user_service_pb2_grpc.UserServiceStub(channel)

            def ask(_number: int) -> Kind | None:
                try:
                    with call_scope(Call(SYSTEM, "r-1", Deadline.after(10))):
                        users.GetUser(asked)
                except AppError as error:
                    return error.kind
                return None

            with ThreadPoolExecutor(4) as pool:
                assert set(pool.map(ask, range(CALLS))) == {Kind.UNAVAILABLE}
    assert 0 < seen.calls <= CALLS * MOST
