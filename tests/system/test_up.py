"""`arcana up` with the real tiers: what a newcomer gets from `make run`."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.stores import Store
from tests.system.launcher_process import LauncherProcess


@pytest.fixture
def launcher(store: Store, tmp_path: Path) -> Iterator[LauncherProcess]:
    settings = {**store.environ(), "PASSWORD_HASH_METHOD": "scrypt:1024:8:1"}
    with LauncherProcess(tmp_path, ("up",), settings) as process:
        yield process


def test_the_first_admin_signs_in_with_the_password_that_was_printed(
    launcher: LauncherProcess,
) -> None:
    launcher.wait_until_up()
    found = re.search(r"admin (\S+) with the password (\w+)", launcher.log)
    assert found

    answer = requests.post(
        f"{launcher.edge_url}/api/v1/auth/login",
        json={"email": found[1], "password": found[2]},
        timeout=5,
    )
    me = requests.get(
        f"{launcher.edge_url}/api/v1/auth/me",
        headers={"Authorization": f"Bearer {answer.json()['access_token']}"},
        timeout=5,
    )
    launcher.process.send_signal(signal.SIGINT)

    assert me.json()["roles"] == ["admin", "user"]
    assert launcher.wait() == 0
    assert launcher.lines[-1].endswith("| Stopped.")


def test_a_second_start_makes_no_second_admin_and_seeding_twice_makes_no_second_users(
    launcher: LauncherProcess, tmp_path: Path
) -> None:
    launcher.wait_until_up()
    assert "Demo users: 10 made, 0 there already." in launcher.sister("seed")
    assert "Demo users: 0 made, 10 there already." in launcher.sister("seed")
    assert "All is well." in launcher.sister("health")
    launcher.process.send_signal(signal.SIGTERM)
    assert launcher.wait() == 0

    launcher.start()
    launcher.wait_until_up()

    assert launcher.log.count("Made the admin") == 1
    launcher.process.send_signal(signal.SIGTERM)
    assert launcher.wait() == 0


def test_an_admin_password_that_breaks_the_policy_is_one_clear_last_line(tmp_path: Path) -> None:
    settings = {"ARCANA_ADMIN_PASSWORD": "admin", "PASSWORD_HASH_METHOD": "scrypt:1024:8:1"}
    with LauncherProcess(tmp_path, ("up",), settings) as launcher:
        assert launcher.wait() == 2

        assert launcher.lines[-1].startswith("The admin cannot be made: ARCANA_ADMIN_PASSWORD: ")
        assert "Traceback" not in launcher.log


def test_a_database_that_does_not_answer_is_one_clear_last_line(tmp_path: Path) -> None:
    settings = {"DATABASE_URL": "mysql+pymysql://nobody:nothing@127.0.0.1:9/arcana"}
    with LauncherProcess(tmp_path, ("up",), settings) as launcher:
        assert launcher.wait() == 2

        assert launcher.lines[-1].startswith("The database could not be brought up to date: ")
        assert "Traceback" not in launcher.log
        assert "nothing" not in launcher.log
