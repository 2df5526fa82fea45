from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from tier_runtime.secrets import make_private_folder, read_or_create_secret
from tier_runtime.startup import StartupError, run_main


def refuse() -> int:
    raise StartupError("Cannot listen on 127.0.0.1:1: Permission denied.")


def test_a_program_that_cannot_start_says_why_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_main(refuse) == 2
    captured = capsys.readouterr()
    assert captured.err == "Cannot listen on 127.0.0.1:1: Permission denied.\n"
    assert captured.out == ""


def test_a_program_that_starts_decides_its_exit_code() -> None:
    assert run_main(lambda: 7) == 7


def test_a_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "token"
    assert read_or_create_secret(path, lambda: b"first") == b"first"
    assert read_or_create_secret(path, lambda: b"second") == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["token"]


def test_of_many_that_start_at_once_one_wins_and_all_agree(tmp_path: Path) -> None:
    path = tmp_path / "token"
    together = threading.Barrier(8)
    results: list[bytes] = []

    def start(number: int) -> None:
        def make() -> bytes:
            # Nobody writes before everybody has seen that there is no file.
            together.wait(timeout=10)
            return b"%d" % number

        results.append(read_or_create_secret(path, make))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(results) == 8
    assert set(results) == {path.read_bytes()}
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch()
    with pytest.raises(StartupError, match="is empty"):
        read_or_create_secret(path, lambda: b"x")


def test_a_secret_that_cannot_be_kept_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match=r"Cannot keep a secret in .*: Not a directory"):
        read_or_create_secret(tmp_path / "file" / "token", lambda: b"x")


def test_a_secret_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    class BrokenError(Exception):
        pass

    def broken() -> bytes:
        raise BrokenError

    with pytest.raises(BrokenError):
        read_or_create_secret(tmp_path / "token", broken)
    assert list(tmp_path.iterdir()) == []


def test_every_folder_above_a_private_one_is_made_private_and_old_ones_stay(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path / "home" / "keys")
    make_private_folder(tmp_path / "home" / "keys")
    modes = [
        stat.S_IMODE(folder.stat().st_mode)
        for folder in (tmp_path / "home" / "keys", tmp_path / "home", tmp_path)
    ]
    assert modes == [0o700, 0o700, 0o755]
