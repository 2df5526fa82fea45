"""How a fake tier behaves: FAKE_REPOSITORY, FAKE_SERVICE, FAKE_CONTROLLER, FAKE_MIGRATION."""

from __future__ import annotations

import os
import signal
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import (  # type: ignore[import-untyped]  # ships no types
    health,
    health_pb2,
    health_pb2_grpc,
)

from arcana.service.v1 import user_service_pb2
from tier_runtime.startup import StartupError


def behave(name: str) -> str:
    """Refuse to start, or break, when told to; otherwise give the word that says how to behave."""
    word = os.environ.get(f"FAKE_{name.upper()}", "well")
    if word == "refuse":
        raise StartupError(f"The fake {name} refuses.")
    if word == "break":
        raise RuntimeError(f"The fake {name} breaks.")
    if word == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return word


def serve_inner_tier(name: str, bind: str) -> int:
    """Serve health, and users of whom there are none, until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())
    word = behave(name)
    conditions = health.HealthServicer()
    if word != "ill":
        conditions.set("", health_pb2.HealthCheckResponse.SERVING)
    else:
        conditions.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    if word != "uncached":
        conditions.set("store.cache", health_pb2.HealthCheckResponse.SERVING)
    server = grpc.server(futures.ThreadPoolExecutor(4))
    health_pb2_grpc.add_HealthServicer_to_server(conditions, server)
    users = grpc.method_handlers_generic_handler(
        "arcana.service.v1.UserService",
        {
            "ListUsers": grpc.unary_unary_rpc_method_handler(
                lambda request, context: user_service_pb2.ListUsersResponse(),
                user_service_pb2.ListUsersRequest.FromString,
                user_service_pb2.ListUsersResponse.SerializeToString,
            ),
            "CreateUser": grpc.unary_unary_rpc_method_handler(
                lambda request, context: user_service_pb2.CreateUserResponse(),
                user_service_pb2.CreateUserRequest.FromString,
                user_service_pb2.CreateUserResponse.SerializeToString,
            ),
        },
    )
    server.add_generic_rpc_handlers([users])
    server.add_insecure_port(bind)
    server.start()
    ended.wait()
    server.stop(0).wait()
    print(f"the fake {name} ends", flush=True)
    return 0
