"""The audit file on its way to a container's output."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from tests.stores.waiting import eventually
from tier_runtime.audit import Act, Outcome
from tier_runtime.audit_file import AuditFile
from tier_runtime.audit_stream import AuditStream, main
from tier_runtime.call import Actor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acts.jsonl"


@pytest.fixture
def out() -> io.BytesIO:
    return io.BytesIO()


def act(name: str) -> Act:
    return Act(name, Outcome.DONE, Actor(), "r")


def acts_in(written: bytes) -> list[str]:
    return [json.loads(line)["act"] for line in written.splitlines()]


def opened(path: Path) -> AuditFile:
    return AuditFile.open(path, "service", FakeClock())


def test_acts_are_passed_on_in_their_order_and_nothing_is_left(path: Path, out: io.BytesIO) -> None:
    trail, acts = opened(path), AuditStream(path, out)
    trail.record(act("first"))
    trail.record(act("second"))
    acts.turn()
    trail.record(act("third"))
    for _ in range(3):
        acts.turn()
    trail.close()
    assert acts_in(out.getvalue()) == ["first", "second", "third"]
    assert list(path.parent.iterdir()) == []


def test_a_line_of_whoever_looked_just_before_the_file_was_moved_is_passed_on(
    path: Path, out: io.BytesIO
) -> None:
    acts = AuditStream(path, out)
    path.write_text('{"act":"before"}\n')
    late = os.open(path, os.O_WRONLY | os.O_APPEND)
    acts.turn()
    os.write(late, b'{"act":"late"}\n')
    os.close(late)
    acts.turn()
    assert acts_in(out.getvalue()) == ["before", "late"]


def test_a_line_that_was_cut_off_takes_no_other_with_it(path: Path, out: io.BytesIO) -> None:
    acts = AuditStream(path, out)
    path.write_text('{"act":"whole"}\n{"act":"cu')
    acts.turn()
    # As an audit file begins after a line of its own that was cut off.
    path.write_text('\n{"act":"next"}\n')
    acts.turn()
    acts.turn()
    assert out.getvalue() == b'{"act":"whole"}\n{"act":"cu\n{"act":"next"}\n'


def test_what_a_stream_that_was_killed_has_moved_is_passed_on_by_the_next(
    path: Path, out: io.BytesIO
) -> None:
    path.write_text('{"act":"first"}\n')
    AuditStream(path, out).turn()
    path.write_text('{"act":"second"}\n')
    acts = AuditStream(path, out)
    acts.turn()
    acts.turn()
    assert acts_in(out.getvalue()) == ["first", "second"]


@pytest.mark.parametrize("name", ["acts[1].jsonl", "acts*.jsonl", "acts?.jsonl"])
def test_signs_of_a_pattern_in_the_name_of_the_file_stand_for_themselves(
    tmp_path: Path, out: io.BytesIO, name: str
) -> None:
    theirs = tmp_path / "acts1.jsonl.000000000001"
    theirs.write_text('{"act":"theirs"}\n')
    path = tmp_path / name
    acts = AuditStream(path, out)
    for number in range(3):
        path.write_text(f'{{"act":"{number}"}}\n')
        acts.turn()
    acts.turn()
    assert acts_in(out.getvalue()) == ["0", "1", "2"]
    assert list(tmp_path.iterdir()) == [theirs]


def test_what_cannot_be_passed_on_stays(path: Path, out: io.BytesIO) -> None:
    path.write_text('{"act":"first"}\n')
    with Path("/dev/full").open("wb", buffering=0) as full:
        refused = AuditStream(path, full)
        refused.turn()
        with pytest.raises(OSError, match="No space left"):
            refused.turn()
    AuditStream(path, out).turn()
    assert acts_in(out.getvalue()) == ["first"]


def test_without_a_file_and_with_an_empty_one_there_is_nothing_to_do(
    path: Path, out: io.BytesIO
) -> None:
    acts = AuditStream(path, out)
    acts.turn()
    path.touch()
    acts.turn()
    acts.turn()
    assert out.getvalue() == b""
    assert list(path.parent.iterdir()) == [path]


def test_no_act_is_lost_while_the_file_is_removed_under_those_who_add_to_it(
    path: Path, out: io.BytesIO
) -> None:
    acts = AuditStream(path, out)

    def add(writer: int) -> None:
        # As a process of its own: each has the file open by itself.
        trail = opened(path)
        for number in range(300):
            trail.record(act(f"{writer} {number}"))
        trail.close()

    writers = [threading.Thread(target=add, args=(writer,)) for writer in range(4)]
    for each in writers:
        each.start()
    # Turns without a pause: files go between a writer's look at one and his line.
    while any(each.is_alive() for each in writers):
        acts.turn()
    acts.turn()
    acts.turn()
    assert set(acts_in(out.getvalue())) == {
        f"{writer} {number}" for writer in range(4) for number in range(300)
    }
    assert list(path.parent.iterdir()) == []


def test_a_signal_ends_the_program_once_all_is_passed_on(path: Path) -> None:
    command = [sys.executable, "-m", "tier_runtime.audit_stream", str(path)]
    path.write_text('{"act":"first"}\n')
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        try:
            # Once the file is moved away the program is past its beginning.
            eventually(lambda: not path.exists(), seconds=30, what="a turn")
            trail = opened(path)
            trail.record(act("last"))
            trail.close()
            running.send_signal(signal.SIGTERM)
            told, _ = running.communicate(timeout=30)
        finally:
            # The block's end waits for it, and it would not end by itself.
            running.kill()
    assert running.returncode == 0
    assert acts_in(told) == ["first", "last"]
    assert list(path.parent.iterdir()) == []


def test_a_file_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    assert "usage" in capsys.readouterr().err
