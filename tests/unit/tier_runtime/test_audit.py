"""Records of acts, and the file that keeps them."""

from __future__ import annotations

import io
import json
import os
import resource
import stat
import threading
from collections.abc import Iterator
from pathlib import Path, PosixPath
from typing import Any

import pytest

from tests.fakes.clock import FakeClock
from tier_runtime.audit import (
    MAX_ITEMS,
    MAX_TEXT,
    Act,
    LoggedActs,
    Outcome,
    address_digest,
    outcome_of,
)
from tier_runtime.audit_file import AuditFile, open_trail, require_appendable
from tier_runtime.call import Actor
from tier_runtime.errors import AppError, Kind
from tier_runtime.logs import configure_logging
from tier_runtime.startup import StartupError

ADMIN = Actor("019aa000-0000-7000-8000-00000000000a", frozenset({"user", "admin"}), "session-1")
DELETED = Act(
    "UserService/DeleteUser", Outcome.DONE, ADMIN, "request-1", target={"user_id": "019b"}
)


@pytest.fixture
def log() -> io.StringIO:
    """What is logged."""
    written = io.StringIO()
    configure_logging("service", "info", written)
    return written


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def trail(path: Path) -> Iterator[AuditFile]:
    opened = AuditFile.open(path, "service", FakeClock())
    yield opened
    opened.close()


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def acts_in(path: Path) -> list[str]:
    return [line["act"] for line in lines_of(path.read_text())]


def act(name: str, **more: Any) -> Act:
    return Act(name, Outcome.DONE, Actor(), "r", **more)


def test_a_record_leaves_out_what_is_empty() -> None:
    assert act("A/B").fields() == {"act": "A/B", "outcome": "done", "request_id": "r"}


def test_a_record_is_bounded_whatever_its_caller_sent() -> None:
    target = {"id": "x" * 5000, "roles": ["y" * 5000] * 100, "count": 7}
    told: Any = act("z" * 5000, target=target).fields()
    assert told["act"] == "z" * MAX_TEXT
    expected = {"id": "x" * MAX_TEXT, "roles": ["y" * MAX_TEXT] * MAX_ITEMS, "count": 7}
    assert told["target"] == expected


@pytest.mark.parametrize(
    ("kind", "code", "outcome"),
    [
        (Kind.FORBIDDEN, "FORBIDDEN", Outcome.DENIED),
        (Kind.UNAUTHENTICATED, "INVALID_CREDENTIALS", Outcome.DENIED),
        (Kind.THROTTLED, "RATE_LIMITED", Outcome.DENIED),
        (Kind.MISSING, "USER_NOT_FOUND", Outcome.FAILED),
        (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE", Outcome.FAILED),
    ],
)
def test_who_may_not_is_denied_and_everything_else_has_failed(
    kind: Kind, code: str, outcome: Outcome
) -> None:
    assert outcome_of(AppError(kind, code, "No.")) is outcome


def test_one_address_has_one_digest_however_it_is_written() -> None:
    assert address_digest(" Ada@Example.org ") == address_digest("ada@example.org")
    # The accent as a character of its own, and as a part of the letter.
    assert address_digest("rene\u0301@example.org") == address_digest("ren\u00e9@example.org")
    assert address_digest("ada@example.org") != address_digest("bob@example.org")
    assert len(address_digest("\ud800@example.org")) == 64


def test_a_line_tells_when_who_what_and_how_it_ended(trail: AuditFile, path: Path) -> None:
    trail.record(DELETED)
    (line,) = lines_of(path.read_text())
    assert line.pop("time").endswith("Z")
    assert line == {
        "tier": "service",
        "act": "UserService/DeleteUser",
        "outcome": "done",
        "actor": {"subject": ADMIN.subject, "roles": ["admin", "user"], "session_id": "session-1"},
        "target": {"user_id": "019b"},
        "request_id": "request-1",
    }


def test_the_file_is_its_owners_alone_and_what_was_in_it_stays(path: Path) -> None:
    for _ in range(2):
        opened = AuditFile.open(path, "service", FakeClock())
        opened.record(DELETED)
        opened.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert acts_in(path) == ["UserService/DeleteUser"] * 2


def test_a_token_or_an_address_that_was_sent_as_an_id_is_not_written(
    trail: AuditFile, path: Path
) -> None:
    token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIwMTlhIn0.c2lnbmF0dXJl"
    trail.record(act("A/B", target={"user_id": token, "file_id": "ada@example.org"}))
    text = path.read_text()
    assert token not in text
    assert "ada@example.org" not in text


def test_a_file_that_was_renamed_is_followed_by_a_new_one(trail: AuditFile, path: Path) -> None:
    trail.record(act("before"))
    rotated = path.rename(path.with_suffix(".1"))
    trail.record(act("after"))
    trail.record(act("after"))
    assert acts_in(rotated) == ["before"]
    assert acts_in(path) == ["after", "after"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_another_process_made_anew_is_taken_up(trail: AuditFile, path: Path) -> None:
    path.rename(path.with_suffix(".1"))
    path.write_text('{"act":"theirs"}\n')
    trail.record(act("ours"))
    assert acts_in(path) == ["theirs", "ours"]


def test_a_closed_log_opens_again_for_a_late_act(trail: AuditFile, path: Path) -> None:
    trail.close()
    trail.close()
    trail.record(act("late"))
    assert acts_in(path) == ["late"]


def test_lines_of_several_threads_and_owners_do_not_mix(path: Path) -> None:
    trails = [AuditFile.open(path, "service", FakeClock()) for _ in range(4)]
    long = {f"id_{number}": "x" * MAX_TEXT for number in range(20)}

    def write(trail: AuditFile) -> None:
        for _ in range(50):
            trail.record(act("A/B", target=long))

    threads = [threading.Thread(target=write, args=(trail,)) for trail in trails * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for trail in trails:
        trail.close()
    found = lines_of(path.read_text())
    assert len(found) == 400
    assert all(line["target"] == long for line in found)


def test_an_act_that_cannot_be_written_is_in_the_log(log: io.StringIO, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    trail = AuditFile.open(folder / "audit.jsonl", "service", FakeClock())
    (folder / "audit.jsonl").unlink()
    folder.rmdir()
    trail.record(DELETED)
    trail.close()
    (line,) = lines_of(log.getvalue())
    assert (line["level"], line["logger"], line["event"]) == ("error", "audit", "act_not_in_file")
    assert (line["act"], line["target"]) == ("UserService/DeleteUser", {"user_id": "019b"})
    assert line["why"] == os.strerror(2)


def test_a_line_that_a_full_disk_cut_off_takes_no_other_with_it(
    log: io.StringIO, trail: AuditFile, path: Path
) -> None:
    trail.record(act("whole"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    try:
        trail.record(act("cut"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    trail.record(act("next"))
    whole, cut, following = path.read_text().splitlines()
    assert json.loads(whole)["act"] == "whole"
    assert len(cut) == 10
    assert json.loads(following)["act"] == "next"
    assert [line["act"] for line in lines_of(log.getvalue())] == ["cut"]


def test_a_line_that_another_process_left_cut_off_takes_no_other_with_it(path: Path) -> None:
    path.write_text('{"act":"whole"}\n{"act":"cu')
    opened = AuditFile.open(path, "service", FakeClock())
    opened.record(act("first"))
    opened.record(act("second"))
    opened.close()
    whole, cut, first, second = path.read_text().splitlines()
    assert [json.loads(line)["act"] for line in (whole, first, second)] == [
        *("whole", "first", "second")
    ]
    assert cut == '{"act":"cu'


class TakenAway(PosixPath):
    """The path of a file that is taken away just after the first look at it.

    What comes in its place is the file beside it whose name ends in `.next`, if there is one.
    """

    _was_looked_at = False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        found = super().stat(follow_symlinks=follow_symlinks)
        if not self._was_looked_at:
            self._was_looked_at = True
            following = Path(f"{self}.next")
            if following.exists():
                following.replace(self)
            else:
                self.unlink()
        return found


def test_what_a_file_was_cut_off_at_is_no_matter_to_the_file_after_it(path: Path) -> None:
    path.write_text('{"act":"cu')
    opened = AuditFile.open(TakenAway(path), "service", FakeClock())
    opened.record(act("first"))
    opened.close()
    assert path.read_bytes().startswith(b"{")
    assert acts_in(path) == ["first"]


def test_a_file_that_begins_with_a_line_cut_off_takes_no_line_that_is_written_again(
    path: Path,
) -> None:
    Path(f"{path}.next").write_text('{"act":"cu')
    opened = AuditFile.open(TakenAway(path), "service", FakeClock())
    opened.record(act("first"))
    opened.close()
    cut, first = path.read_text().splitlines()
    assert cut == '{"act":"cu'
    assert json.loads(first)["act"] == "first"


def test_a_file_whose_links_are_not_counted_gets_a_line_once() -> None:
    # In memory, without a name: its links are none, and this path leads to it all the same.
    file = os.memfd_create("audit")
    try:
        opened = AuditFile.open(Path(f"/proc/self/fd/{file}"), "service", FakeClock())
        assert os.fstat(file).st_nlink == 0
        opened.record(act("first"))
        opened.record(act("second"))
        opened.close()
        written = os.pread(file, 10_000, 0).decode()
    finally:
        os.close(file)
    assert [line["act"] for line in lines_of(written)] == ["first", "second"]


def test_without_a_file_acts_are_lines_of_the_log(log: io.StringIO) -> None:
    trail = open_trail(None, "service", FakeClock())
    assert isinstance(trail, LoggedActs)
    trail.record(DELETED)
    trail.record(Act("AuthService/Login", Outcome.DENIED, Actor(), "r", code="FORBIDDEN"))
    trail.close()
    done, denied = lines_of(log.getvalue())
    assert (done["logger"], done["event"], done["level"]) == ("audit", "act", "info")
    assert (done["act"], done["request_id"]) == ("UserService/DeleteUser", "request-1")
    assert (denied["level"], denied["code"]) == ("warning", "FORBIDDEN")


def test_a_path_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="AUDIT_LOG_FILE"):
        open_trail(tmp_path / "no" / "folder", "service", FakeClock())


def test_a_path_is_looked_at_without_making_anything(tmp_path: Path) -> None:
    missing, there = tmp_path / "missing", tmp_path / "there"
    there.touch()
    assert require_appendable(None) is None
    assert require_appendable(missing) == missing
    assert require_appendable(there) == there
    assert not missing.exists()


@pytest.mark.parametrize("bad", [".", "no/folder", "there/below", "/dev/full"])
def test_a_path_that_no_line_can_be_added_to_is_refused(tmp_path: Path, bad: str) -> None:
    (tmp_path / "there").touch()
    with pytest.raises(ValueError, match=r"."):
        require_appendable(tmp_path / bad)
