"""What the fork server starts is as what the shell would start."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.stores.waiting import eventually
from tests.system.forked_programs import ForkedProgram, ForkedPrograms


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedPrograms]:
    programs = ForkedPrograms()
    # It answers once it has imported everything.
    folder = tmp_path_factory.mktemp("first")
    assert programs.start(["--help"], {}, folder, folder / "log").wait(20) == 0
    yield programs
    programs.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "program.log"


def test_a_child_has_its_words_environment_folder_log_and_exit_code(
    programs: ForkedPrograms, tmp_path: Path, log: Path
) -> None:
    log.write_text("before\n")
    (tmp_path / ".env").write_text("WEB_THREADS=0\n")

    refused = programs.start(["controller", "--check-config"], {"WEB_WORKERS": "-1"}, tmp_path, log)

    assert refused.wait(20) == refused.poll() == 2
    told = log.read_text()
    # From the file in its folder, and from the environment.
    assert told.startswith("before\n")
    assert "WEB_THREADS" in told
    assert "WEB_WORKERS" in told

    accepted = programs.start(
        ["service", "--check-config"], {"ARCANA_HOME": str(tmp_path)}, tmp_path, log
    )
    assert accepted.wait(20) == 0
    assert log.read_text().endswith("OK\n")


def test_nothing_of_the_shell_or_of_another_child_is_in_a_childs_environment(
    programs: ForkedPrograms, tmp_path: Path, log: Path
) -> None:
    first = programs.start(["controller", "--check-config"], {"WEB_WORKERS": "-1"}, tmp_path, log)
    second = programs.start(["controller", "--check-config"], {}, tmp_path, log)

    assert (first.wait(20), second.wait(20)) == (2, 0)


def test_imports_leave_one_thread_and_no_file_open(programs: ForkedPrograms) -> None:
    server = psutil.Process(programs.server_pid)

    assert server.num_threads() == 1
    # Standard streams, the socket, and what waits for it and for children.
    assert {each.path for each in server.open_files()} <= {os.devnull}


def test_a_child_that_is_killed_has_the_signal_as_its_code(
    programs: ForkedPrograms, tmp_path: Path, log: Path
) -> None:
    child = _tier(programs, tmp_path, log)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.01)
    assert child.poll() is None

    child.send_signal(signal.SIGKILL)

    assert child.wait(20) == -signal.SIGKILL
    # Nobody is there any more: this is no error.
    child.send_signal(signal.SIGKILL)
    assert not psutil.pid_exists(child.pid)


def test_children_end_in_order_when_the_server_does(tmp_path: Path, log: Path) -> None:
    programs = ForkedPrograms()
    child = psutil.Process(_tier(programs, tmp_path, log).pid)

    programs.close()

    child.wait(30)
    assert '"stopped"' in log.read_text()


def _tier(programs: ForkedPrograms, tmp_path: Path, log: Path) -> ForkedProgram:
    environ = {"ARCANA_HOME": str(tmp_path), "SERVICE_BIND": "127.0.0.1:0"}
    child = programs.start(["service"], environ, tmp_path, log)
    eventually(lambda: '"serving"' in log.read_text(), 20, "the service tier serves")
    return child
