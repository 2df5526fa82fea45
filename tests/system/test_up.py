"""`arcana up` with the real tiers: what a newcomer gets from `make run`."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from launcher.settings import SERVICES, WORKER_PORT_STEP
from tests.stores import Store
from tests.system.client import Json, expect
from tests.system.launcher_process import LauncherProcess

SETTINGS = {"PASSWORD_HASH_METHOD": "scrypt:1024:8:1"}


@pytest.fixture
def launcher(store: Store, tmp_path: Path) -> Iterator[LauncherProcess]:
    settings = {**store.environ(), **SETTINGS}
    with LauncherProcess(tmp_path, ("up",), settings) as process:
        yield process


def test_a_second_start_makes_no_second_admin_and_seeding_twice_makes_no_second_users(
    launcher: LauncherProcess,
) -> None:
    launcher.wait_until_up()
    # With the password that was printed.
    assert _first_admin(launcher)["roles"] == ["admin", "user"]
    assert "Demo users: 10 made, 0 there already." in launcher.sister("seed")
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.wait() == 0
    assert launcher.lines[-1].endswith("| Stopped.")

    launcher.start()
    launcher.wait_until_up()

    assert launcher.log.count("Made the admin") == 1
    assert "Demo users: 0 made, 10 there already." in launcher.sister("seed")
    assert "All is well." in launcher.sister("health")
    launcher.process.send_signal(signal.SIGTERM)
    assert launcher.wait() == 0


def test_microservices_come_up_serve_take_admin_commands_and_end(tmp_path: Path) -> None:
    words = ("up", "--mode", "microservices", "--protocol", "http")
    with LauncherProcess(tmp_path, words, SETTINGS) as launcher:
        launcher.wait_until_up()

        assert "Microservices, with REST between the tiers." in launcher.log
        # The other two tiers, and the worker.
        assert len(launcher.children()) == 3 + len(SERVICES)
        _serves_and_takes_admin_commands(launcher)
        _ends_and_takes_its_note_away(launcher, tmp_path / ".arcana")


def test_the_monolith_comes_up_serves_takes_admin_commands_and_ends_and_its_file_has_one_owner(
    tmp_path: Path,
) -> None:
    with LauncherProcess(tmp_path, ("up", "--mode", "monolithic"), SETTINGS) as launcher:
        launcher.wait_until_up()

        assert "Monolithic: one process" in launcher.log
        # It, and the worker, which is a process in every mode.
        assert len(launcher.children()) == 2
        other, home = tmp_path / "other", tmp_path / ".arcana"
        other.mkdir()
        settings = {**SETTINGS, "ARCANA_HOME": str(home)}
        with LauncherProcess(other, ("up",), settings) as second:
            assert second.wait() == 2

            assert second.lines[-1].startswith(
                "The repository tier did not come up: Another repository tier serves "
            )
            assert second.log.count("Another repository tier serves") == 1
        # What the first one has noted is still there, which the commands need.
        _serves_and_takes_admin_commands(launcher)
        _ends_and_takes_its_note_away(launcher, home)


def test_workers_multiply_the_service_tier_and_the_embedded_store_keeps_its_one_owner(
    tmp_path: Path,
) -> None:
    settings = {**SETTINGS, "WORKERS": "2"}
    with LauncherProcess(tmp_path, ("up",), settings) as launcher:
        launcher.wait_until_up()

        assert _first_admin(launcher)["roles"] == ["admin", "user"]
        assert len(launcher.child("service").children()) == 2
        assert "one of the repository tier: the embedded database is a file" in launcher.log
        lines = launcher.sister("health").splitlines()
        asked = [line.split()[-1] for line in lines if line]
        assert len([url for url in asked if url in _worker_urls(launcher)]) == 2
        launcher.process.send_signal(signal.SIGINT)
        assert launcher.wait() == 0


def test_an_admin_password_that_breaks_the_policy_is_one_clear_last_line(tmp_path: Path) -> None:
    settings = {**SETTINGS, "ARCANA_ADMIN_PASSWORD": "admin"}
    with LauncherProcess(tmp_path, ("up", "--mode", "monolithic"), settings) as launcher:
        assert launcher.wait() == 2

        assert launcher.lines[-1].startswith("The admin cannot be made: ARCANA_ADMIN_PASSWORD: ")
        assert "Traceback" not in launcher.log


def test_a_database_that_does_not_answer_is_one_clear_last_line(tmp_path: Path) -> None:
    settings = {"DATABASE_URL": "mysql+pymysql://nobody:nothing@127.0.0.1:9/arcana"}
    with LauncherProcess(tmp_path, ("up",), settings) as launcher:
        assert launcher.wait() == 2

        assert launcher.lines[-1].startswith(
            "The database could not be brought up to date: Cannot migrate the database "
        )
        assert launcher.log.count("Cannot migrate") == 1
        assert "Traceback" not in launcher.log
        assert "nothing" not in launcher.log


def test_a_home_that_cannot_be_used_is_one_clear_last_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("no folder")
    with LauncherProcess(tmp_path, ("up",), {"ARCANA_HOME": str(home)}) as launcher:
        assert launcher.wait() == 2

        assert launcher.lines[-1].startswith("The database could not be brought up to date: ")
        assert launcher.log.count("Cannot make") == 1


def test_keys_that_cannot_be_used_are_one_clear_last_line_of_a_monolith(tmp_path: Path) -> None:
    keys = tmp_path / ".arcana" / "keys"
    keys.mkdir(parents=True)
    (keys / "token_secret").write_text("")
    with LauncherProcess(tmp_path, ("up", "--mode", "monolithic"), SETTINGS) as launcher:
        assert launcher.wait() == 2

        assert launcher.lines[-1].startswith("The monolith did not come up: The secret file ")
        assert launcher.log.count("token_secret is empty") == 1
        assert "Traceback" not in launcher.log


def test_a_monolith_whose_port_for_admin_commands_is_taken_is_one_clear_line(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = {"DEPLOYMENT_MODE": "monolithic", "SERVICE_BIND": bind}
        with LauncherProcess(tmp_path, ("controller",), settings) as launcher:
            assert launcher.wait() == 2

            assert launcher.lines == [f"Cannot listen on {bind}, which SERVICE_BIND names."]


def _worker_urls(launcher: LauncherProcess) -> set[str]:
    """Give the URLs of the two workers of the service tier."""
    host, _, port = launcher.environ["SERVICE_BIND"].rpartition(":")
    return {f"grpc://{host}:{int(port) + each}" for each in (0, WORKER_PORT_STEP)}


def _serves_and_takes_admin_commands(launcher: LauncherProcess) -> None:
    """Do so; the other commands know of the options by the note that `up` keeps."""
    assert _first_admin(launcher)["roles"] == ["admin", "user"]
    made = launcher.sister("create-admin", "--email", "b@example.com")
    assert "Made the admin b@example.com" in made, made
    assert "There is an admin already." in launcher.sister("create-admin", "--if-none")
    health = launcher.sister("health")
    assert "All is well." in health, health
    # Also where it is no process of its own, and over whatever the tiers speak.
    assert re.search(r"^repository +ok +[\d.]+ +\d+ (s|min)", health, re.MULTILINE), health
    assert re.search(r"^database +ok +sqlite, revision \d+ \(needed", health, re.MULTILINE), health
    assert "not known" not in health


def _ends_and_takes_its_note_away(launcher: LauncherProcess, home: Path) -> None:
    assert (home / "up.json").exists()
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.wait() == 0
    assert not (home / "up.json").exists()
    assert "Traceback" not in launcher.log


def _first_admin(launcher: LauncherProcess) -> Json:
    """Sign in with the password that was printed, and give the user."""
    found = re.search(r"admin (\S+) with the password (\w+)", launcher.log)
    assert found
    answer = requests.post(
        f"{launcher.edge_url}/api/v1/auth/login",
        json={"email": found[1], "password": found[2]},
        timeout=5,
    )
    token = expect(answer, 200)["access_token"]
    me = requests.get(
        f"{launcher.edge_url}/api/v1/auth/me",
        headers={"Authorization": f"Bearer {token}"},
        timeout=5,
    )
    return expect(me, 200)
