from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from launcher.certificates import make_certificates
from launcher.peers import tls_variables
from tier_runtime.tls.credentials import channel_credentials, server_credentials
from tier_runtime.tls.files import LOOK_SECONDS, Reloaded, TlsFiles, TlsFilesError


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_a_look(self) -> None:
        self.now += LOOK_SECONDS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_certificates(tmp_path)
    return tmp_path


def files_of(folder: Path, name: str = "service") -> TlsFiles:
    return TlsFiles(*map(Path, tls_variables(folder, name).values()))


def certificate(files: TlsFiles) -> bytes:
    files.require_usable()
    return files.certificate.read_bytes()


def replace(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    draft.replace(path)


def events(lines: list[Any]) -> list[str]:
    return [line["event"] for line in lines]


def test_the_same_files_give_the_same_object(folder: Path) -> None:
    clock = Clock()
    reloaded = Reloaded(files_of(folder), certificate, monotonic=clock)
    first = reloaded.current()
    clock.pass_a_look()
    assert reloaded.current() is first


def test_new_files_are_used_from_the_next_look_on(folder: Path) -> None:
    clock = Clock()
    reloaded = Reloaded(files_of(folder), certificate, monotonic=clock)
    first = reloaded.current()
    make_certificates(folder)
    assert reloaded.current() is first
    clock.pass_a_look()
    assert reloaded.current() == files_of(folder).certificate.read_bytes() != first


def test_a_folder_that_is_a_link_is_followed_to_where_it_leads_now(folder: Path) -> None:
    clock = Clock()
    data = folder / "..data"
    data.symlink_to(folder / "service")
    reloaded = Reloaded(
        TlsFiles(data / "tls.crt", data / "tls.key", data / "ca.crt"), certificate, monotonic=clock
    )
    draft = folder / "..new"
    draft.symlink_to(folder / "worker")
    draft.replace(data)
    clock.pass_a_look()
    assert reloaded.current() == (folder / "worker" / "tls.crt").read_bytes()


def test_what_cannot_be_used_changes_nothing_and_is_told_once_when_it_stays(folder: Path) -> None:
    clock, files = Clock(), files_of(folder)
    reloaded = Reloaded(files, certificate, monotonic=clock)
    first = reloaded.current()
    replace(files.key, files_of(folder, "worker").key.read_bytes())
    with capture_logs() as lines:
        clock.pass_a_look()
        assert reloaded.current() is first
        # The other file may be about to follow.
        assert events(lines) == []
        for _ in range(3):
            clock.pass_a_look()
            assert reloaded.current() is first
        assert events(lines) == ["certificate_not_reloaded"]
        replace(files.certificate, files_of(folder, "worker").certificate.read_bytes())
        clock.pass_a_look()
        assert reloaded.current() != first
        assert events(lines).count("certificate_not_reloaded") == 1


def test_files_that_change_while_they_are_read_are_read_again(folder: Path) -> None:
    clock, files = Clock(), files_of(folder)
    meanwhile: list[bytes] = []

    def make(files: TlsFiles) -> bytes:
        found = files.certificate.read_bytes()
        if meanwhile:
            replace(files.certificate, meanwhile.pop())
        return found

    reloaded = Reloaded(files, make, monotonic=clock)
    first = reloaded.current()
    meanwhile.append(b"last")
    replace(files.certificate, b"between")
    clock.pass_a_look()
    assert reloaded.current() is first
    clock.pass_a_look()
    assert reloaded.current() == b"last"


def test_a_file_that_is_gone_changes_nothing(folder: Path) -> None:
    clock, files = Clock(), files_of(folder)
    reloaded = Reloaded(files, certificate, monotonic=clock)
    first = reloaded.current()
    files.authority.unlink()
    clock.pass_a_look()
    assert reloaded.current() is first


@pytest.mark.parametrize("name", ["certificate", "key", "authority"])
def test_what_is_no_pem_is_told_with_its_file(folder: Path, name: str) -> None:
    files = files_of(folder)
    path: Path = getattr(files, name)
    path.write_text("nothing")
    with pytest.raises(TlsFilesError, match=str(path)):
        files.require_usable()


class Vanishing(type(Path())):  # type: ignore[misc]  # the class of paths of this system
    """A file that is taken away as soon as it has been read once."""

    reads = 0

    def read_bytes(self) -> bytes:
        self.reads += 1
        if self.reads > 1:
            raise FileNotFoundError(2, "No such file or directory")
        content: bytes = super().read_bytes()
        return content


@pytest.mark.parametrize("use", [channel_credentials, server_credentials])
def test_what_was_checked_is_what_is_used(folder: Path, use: Callable[[TlsFiles], object]) -> None:
    there = files_of(folder)
    assert use(TlsFiles(*map(Vanishing, (there.certificate, there.key, there.authority))))
