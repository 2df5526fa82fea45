"""What holds for all tests."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.stores.fixtures"]

# These start all tiers as processes and measure times: two at once would starve each other.
ONE_AT_A_TIME = ("tests/system/", "tests/chaos/")


class OneWorkerPerModule(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Keeps a module on one worker, for its shared fixtures, and all the heavy ones on one."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return "heavy" if module.startswith(ONE_AT_A_TIME) else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneWorkerPerModule:
    return OneWorkerPerModule(config, log)
