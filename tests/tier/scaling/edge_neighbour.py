"""What the edge calls, with the probe beside it that keeps it busy."""

from __future__ import annotations

from collections.abc import Mapping

from arcana.service.v1.auth_service_pb2_grpc import (
    AuthServiceServicer,
    add_AuthServiceServicer_to_server,
)
from tests.tier.transports.plans import InProcess
from tests.tier.transports.probe_servicer import ProbeServicer
from tier_runtime.handlers import Registration
from tier_runtime.health import HealthBoard
from tier_runtime.tier import Tier


def make_neighbour(_environ: Mapping[str, str], _in_process: InProcess) -> Tier:
    """Build the tier. Its AuthService does nothing: it is there to be too busy."""
    # Every method of the generated class says that it is not implemented.
    auth = AuthServiceServicer()  # type: ignore[abstract]  # so that none of them need be written
    return Tier(
        [
            ProbeServicer().registration(),
            Registration(
                "arcana.service.v1.AuthService",
                lambda server: add_AuthServiceServicer_to_server(auth, server),
            ),
        ],
        HealthBoard(),
    )
