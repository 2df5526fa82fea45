"""What an operator is told of a tier, over a service that every inner tier has beside its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import grpc
from google.protobuf.duration_pb2 import Duration

from arcana.common.v1 import tier_status_pb2 as pb
from arcana.common.v1 import tier_status_pb2_grpc
from tier_runtime.clock import Clock
from tier_runtime.context import rpc_context
from tier_runtime.deadline import Deadline
from tier_runtime.errors import AppError
from tier_runtime.handlers import Registration
from tier_runtime.version import program_version

STATUS_SERVICE = "arcana.common.v1.TierStatusService"

# Adds what a tier knows of what is behind it, as far as it can be known in time; never raises.
Complete = Callable[[pb.GetTierStatusResponse, Deadline], None]


class TierStatusServicer(tier_status_pb2_grpc.TierStatusServiceServicer):
    """Tells what serves here, and what `complete` adds to it."""

    def __init__(
        self, tier: str, services: Sequence[str], clock: Clock, complete: Complete
    ) -> None:
        self._tier = tier
        self._services = list(services)
        self._clock = clock
        self._complete = complete
        self._began = clock.monotonic()

    def GetTierStatus(
        self, request: pb.GetTierStatusRequest, context: grpc.ServicerContext
    ) -> pb.GetTierStatusResponse:
        """Tell how it is now."""
        answer = pb.GetTierStatusResponse(
            status=pb.TierStatus(
                tier=self._tier,
                version=program_version(),
                uptime=Duration(seconds=int(self._clock.monotonic() - self._began)),
                services=self._services,
            )
        )
        # Half of the time, so that whoever asks still hears what can be told when a store is dead.
        seconds = rpc_context(context).deadline.remaining() / 2
        self._complete(answer, Deadline.after(seconds, self._clock.monotonic))
        return answer


def with_status(
    tier: str, registrations: Sequence[Registration], clock: Clock, complete: Complete
) -> list[Registration]:
    """Return a tier's services, and the one that tells its status."""
    names = [registration.service_full_name for registration in registrations]
    servicer = TierStatusServicer(tier, names, clock, complete)
    add = partial(tier_status_pb2_grpc.add_TierStatusServiceServicer_to_server, servicer)
    return [*registrations, Registration(STATUS_SERVICE, add)]


def add_status_behind(channel: grpc.Channel) -> Complete:
    """Return what adds the status of the tier at the end of a channel, and of those behind it."""
    stub = tier_status_pb2_grpc.TierStatusServiceStub(channel)

    def complete(answer: pb.GetTierStatusResponse, deadline: Deadline) -> None:
        try:
            found = stub.GetTierStatus(pb.GetTierStatusRequest(), timeout=deadline.remaining())
        except AppError:
            # That it does not answer is told by health.
            return
        answer.behind.append(found.status)
        answer.behind.extend(found.behind)

    return complete
