"""The public gRPC edge of one worker, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import grpc

from arcana.service.v1 import auth_service_pb2_grpc, user_service_pb2_grpc
from arcana.service.v1.user_pb2 import User
from controller_tier.access_table import Access, AccessTable, PublicRpc
from controller_tier.entrance import make_access_feed, make_entrance
from controller_tier.grpc_edge.listening import reserved
from controller_tier.grpc_edge.server import build_public_server
from controller_tier.main import make_worker_app
from controller_tier.service_channels import Neighbour, ServiceChannels, connect_services
from controller_tier.settings import ControllerSettings
from tests.fakes.audit import KeptActs
from tests.fakes.service import FakeServiceTier, stubs_of
from tests.fakes.service.served import served
from tests.tier.transports.probe_contract import SERVICE, service
from tests.tier.transports.wires import Peer
from tier_runtime.addresses import Address
from tier_runtime.clock import SystemClock
from tier_runtime.errors import AppError
from tier_runtime.ids import Uuid7Source
from tier_runtime.status import from_rpc_error

ANYWHERE = Address("127.0.0.1", 0)
SECONDS = 10.0

Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class PublicEdge:
    """A worker with both its faces, the service tier behind it, and a stranger's channel to it.

    `http` is the worker's WSGI application.
    """

    tier: FakeServiceTier
    channel: grpc.Channel
    http: Any

    @property
    def auth(self) -> auth_service_pb2_grpc.AuthServiceStub:
        return auth_service_pb2_grpc.AuthServiceStub(self.channel)

    @property
    def users(self) -> user_service_pb2_grpc.UserServiceStub:
        return user_service_pb2_grpc.UserServiceStub(self.channel)

    def signed_in(self, email: str, *roles: str) -> tuple[User, Metadata]:
        """Make a user with a session; return it and what its calls carry."""
        user = self.tier.add_user(email, roles=roles)
        return user, bearer(self.tier.sign_in(user))


def bearer(token: str) -> Metadata:
    """Return the metadata that presents a token."""
    return (("authorization", f"Bearer {token}"),)


def error_of(error: grpc.RpcError) -> AppError:
    """Return what a failed RPC says, read by the rules that tiers read it by."""
    return from_rpc_error(error)


@contextmanager
def public_edge(tier: FakeServiceTier | None = None, **settings: Any) -> Iterator[PublicEdge]:
    """Run a worker over a fake service tier; settings by name."""
    tier = tier or FakeServiceTier(SystemClock())
    with ExitStack() as stack:
        behind = stack.enter_context(served(tier))
        address = stack.enter_context(reserved(ANYWHERE))
        told = {"download_secret": "d" * 32, **settings}
        known = ControllerSettings(service_url=f"grpc://{behind.address}", **told)
        worker = make_worker_app(known, lambda _tracing: connect_services(known), address)
        stack.callback(worker.close)
        channel = stack.enter_context(grpc.insecure_channel(str(address)))
        yield PublicEdge(tier, channel, worker.app)


@contextmanager
def probe_edge(peer: Peer, **settings: Any) -> Iterator[grpc.Channel]:
    """Run the public server over the probe, all of whose methods are for everyone.

    Yields a stranger's channel to it.
    """
    clock, ids = SystemClock(), Uuid7Source()
    known = ControllerSettings(**settings)
    behind = stubs_of(FakeServiceTier(clock))
    rows = [PublicRpc(f"{SERVICE}/{each.name}", Access.EVERYONE) for each in service().methods]
    entrance = replace(
        make_entrance(known, behind, make_access_feed(known, behind, clock), clock, KeptActs()),
        rpcs=AccessTable(rows),
    )
    with ExitStack() as stack:
        address = stack.enter_context(reserved(ANYWHERE))
        channels = ServiceChannels([Neighbour("probe", peer.channel(), (SERVICE,))])
        stack.callback(channels.close)
        server = build_public_server(known, address, channels, entrance, clock=clock, ids=ids)
        server.start()
        stack.callback(server.close)
        yield stack.enter_context(grpc.insecure_channel(str(address)))
