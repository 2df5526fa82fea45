from __future__ import annotations

from unittest.mock import create_autospec

import grpc
import pytest

from tests.fakes.clock import FakeClock
from tier_runtime.call import Actor, Call
from tier_runtime.context import RpcContext, rpc_context
from tier_runtime.deadline import Deadline


def test_the_context_tells_who_asks_what_for_and_how_long() -> None:
    clock = FakeClock()
    actor = Actor("u-1", frozenset({"user"}))
    inner = create_autospec(grpc.ServicerContext, instance=True)
    context = RpcContext(inner, Call(actor, "r-1", Deadline.after(2, clock.monotonic)))
    clock.advance(0.5)
    assert context.actor is actor
    assert context.request_id == "r-1"
    assert context.deadline.remaining() == 1.5
    assert context.time_remaining() == 1.5
    inner.time_remaining.assert_not_called()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("is_active", ()),
        ("cancel", ()),
        ("add_callback", (print,)),
        ("abort", (grpc.StatusCode.INTERNAL, "x")),
        ("abort_with_status", (object(),)),
        ("auth_context", ()),
        ("invocation_metadata", ()),
        ("peer", ()),
        ("peer_identities", ()),
        ("peer_identity_key", ()),
        ("send_initial_metadata", ((),)),
        ("set_trailing_metadata", ((),)),
        ("trailing_metadata", ()),
        ("set_code", (grpc.StatusCode.OK,)),
        ("set_details", ("x",)),
        ("set_compression", (grpc.Compression.Gzip,)),
        ("disable_next_message_compression", ()),
    ],
)
def test_everything_else_is_grpc_s_own(method: str, arguments: tuple[object, ...]) -> None:
    inner = create_autospec(grpc.ServicerContext, instance=True)
    context = RpcContext(inner, Call(Actor(), "r-1", Deadline.after(2)))
    getattr(context, method)(*arguments)
    getattr(inner, method).assert_called_once_with(*arguments)


def test_rpc_context_gives_back_the_context_it_is() -> None:
    inner = create_autospec(grpc.ServicerContext, instance=True)
    context = RpcContext(inner, Call(Actor(), "r-1", Deadline.after(2)))
    assert rpc_context(context) is context
    with pytest.raises(TypeError, match="build_server"):
        rpc_context(inner)
