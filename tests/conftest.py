"""What holds for all tests."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.kept_logging import kept_logging
from tier_runtime.logs import configure_logging

pytest_plugins = ["tests.stores.fixtures"]

# These measure times while all tiers run as processes: two at once would starve each other.
ONE_AT_A_TIME = ("tests/chaos/", "tests/system/test_first_story.py", "tests/system/test_races.py")
MEASURED = "measured"
# In which order the folders have their turn. What is measured begins, beside tests of a few
# processes each. Whole systems come after it, and what is short at the end, where it keeps all
# workers busy until the last one is done.
TURNS = (
    MEASURED,
    "tests/tier/",
    "tests/system/",
    "tests/contract/",
    "tests/stores/",
    "tests/unit/",
)


@pytest.fixture(scope="session", autouse=True)
def _logged() -> None:
    """Let a failed test show what was logged meanwhile."""
    configure_logging("test", "info", sys.stdout)


@pytest.fixture(autouse=True)
def _logging_is_kept() -> Iterator[None]:
    """Give each test the log as it was for the one before, whatever that told it."""
    with kept_logging():
        yield


def _scope(nodeid: str) -> str:
    module = nodeid.partition("::")[0]
    return MEASURED if module.startswith(ONE_AT_A_TIME) else module


class OneWorkerPerModule(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Keeps a module on one worker, for its shared fixtures, and all that measure on one."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        # By the number of their tests, which says nothing about how long they take.
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneWorkerPerModule:
    return OneWorkerPerModule(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bring the modules into the order in which workers take them; those of many tests first."""
    if not hasattr(config, "workerinput"):
        return
    sizes = Counter(_scope(item.nodeid) for item in items)

    def turn(item: pytest.Item) -> tuple[int, int]:
        scope = _scope(item.nodeid)
        folder = next((n for n, name in enumerate(TURNS) if scope.startswith(name)), len(TURNS))
        return folder, -sizes[scope]

    items.sort(key=turn)
