from __future__ import annotations

from typing import Any

import grpc
import pytest
from grpc_channelz.v1 import (  # type: ignore[import-untyped]  # ships no types
    channelz_pb2,
    channelz_pb2_grpc,
)

from tests.stores.waiting import eventually
from tests.tier.runtime.arities import AritiesStub
from tests.tier.runtime.conftest import Connect, Serve
from tier_runtime.channel import open_channel


def channels_to(channelz: Any, address: str) -> list[Any]:
    """Give the channels of this process to an address, as channelz tells of them."""
    found = channelz.GetTopChannels(channelz_pb2.GetTopChannelsRequest(start_channel_id=0)).channel
    return [each for each in found if address in each.data.target]


def test_an_operator_sees_channels_servers_and_their_calls(serve: Serve) -> None:
    server = serve(channelz=True)
    with open_channel(f"grpc://{server.address}") as channel:
        stub = AritiesStub(channel)
        for _ in range(3):
            stub.call("UnaryUnary", "x")
        channelz = channelz_pb2_grpc.ChannelzStub(channel)

        def is_told() -> bool:
            (told,) = channels_to(channelz, server.address)
            return bool(told.data.calls_succeeded >= 3)

        eventually(is_told, what="the channel and its calls")
        servers = channelz.GetServers(channelz_pb2.GetServersRequest(start_server_id=0)).server
        assert max(each.data.calls_succeeded for each in servers) >= 3
        (told,) = channels_to(channelz, server.address)
        assert told.data.state.state == channelz_pb2.ChannelConnectivityState.READY


def test_unless_it_is_asked_for_nobody_sees_them(serve: Serve, stub_of: Connect) -> None:
    server = serve()
    with grpc.insecure_channel(server.address) as channel:
        channelz = channelz_pb2_grpc.ChannelzStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            channels_to(channelz, server.address)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert stub_of(server).call("UnaryUnary", "x") == ["x"]
