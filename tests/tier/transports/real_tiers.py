"""The real tiers with a clock that stands still and ids that come in one order.

So the same requests get the same answers from each that is made.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from random import Random

from repository_tier.main import assemble
from repository_tier.settings import RepositorySettings
from service_tier.assembly.services import make_services
from service_tier.hashing import WerkzeugFunction
from service_tier.repository import Repository, channel_settings
from service_tier.settings import ServiceSettings
from tests.fakes.audit import KeptActs
from tests.fakes.clock import FakeClock
from tests.tier.transports.plans import InProcess, numbered_id
from tier_runtime.channel import open_channel
from tier_runtime.health import HealthBoard
from tier_runtime.settings import load
from tier_runtime.tier import Tier


class CountedIds:
    """An id source whose ids are those of every other one of its family, in the same order."""

    def __init__(self, family: int = 0) -> None:
        self._family = family
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        """Return the next id."""
        with self._lock:
            return numbered_id(next(self._numbers), self._family)


def make_repository(environ: Mapping[str, str], _in_process: InProcess) -> Tier:
    """Build the repository tier; its ids are others than those that it is given."""
    ids = CountedIds(family=0xEEEE)
    return assemble(load(RepositorySettings, environ), FakeClock(), Random(7), ids)


def make_service(environ: Mapping[str, str], in_process: InProcess) -> Tier:
    """Build the service tier; the repository tier may be in this process."""
    told = dict(environ)
    # No setting can name what is in this process.
    url = told.pop("REPOSITORY_URL")
    settings = load(ServiceSettings, told)
    channel = open_channel(url, channel_settings(), in_process=in_process)
    services = make_services(
        settings,
        Repository.over(channel, max_batch=settings.coalesce_max_batch),
        WerkzeugFunction(settings.password_hash_method),
        FakeClock(),
        CountedIds(),
        audit=KeptActs(),
    )
    return Tier(services, HealthBoard(), [channel.close])
