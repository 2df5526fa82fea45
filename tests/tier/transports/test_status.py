"""The status of a tier is told over every transport."""

from __future__ import annotations

import pytest

from arcana.common.v1 import tier_status_pb2 as pb
from arcana.common.v1.tier_status_pb2_grpc import TierStatusServiceStub
from tests.stores import Stores
from tests.tier.transports.test_every_rpc import empty_store, repository_on
from tests.tier.transports.wires import WIRES, Wire, served


@pytest.mark.parametrize("wire", WIRES)
def test_a_tier_tells_its_status_over_every_transport(stores: Stores, wire: Wire) -> None:
    store = empty_store(stores, "embedded")
    with served(wire, repository_on(store, wire)) as peer, peer.channel() as channel:
        stub = TierStatusServiceStub(channel)
        status = stub.GetTierStatus(pb.GetTierStatusRequest()).status
    assert status.tier == "repository"
    assert status.database.kind == "sqlite"
    assert status.database.revision == status.database.needed_revision
    assert status.HasField("events")
    assert status.HasField("jobs")
