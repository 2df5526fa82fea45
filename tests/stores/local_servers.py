"""Private MariaDB/MySQL and Redis servers, run from the programs found on this machine.

Each has its own data directory under one temporary folder, a free port, and listens on the loopback
address only. They are real servers, tuned for throw-away data: small buffers, no flush per commit.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from tests.stores.servers import CannotProvideError, wait_for_mysql, wait_for_redis

# Debian keeps servers in sbin folders, which an ordinary user's PATH leaves out.
SEARCH_PATH = os.pathsep.join(
    [
        os.environ.get("PATH", ""),
        "/usr/sbin",
        "/usr/local/sbin",
        "/usr/libexec",
        "/usr/local/bin",
        "/opt/homebrew/bin",
    ]
)
START_SECONDS = 60.0
STOP_SECONDS = 10.0

# Both MySQL and MariaDB know all of these.
MYSQL_TUNING = (
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-buffer-pool-size=96M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-fast-shutdown=2",
    "--max-connections=400",
    "--character-set-server=utf8mb4",
)
# As many databases as a run may want: each test that asks for a new store gets a number of its own.
REDIS_OPTIONS = ("--save", "", "--appendonly", "no", "--databases", "1024")


class RunAs(NamedTuple):
    uid: int
    gid: int


class LocalServers:
    """Starts servers under one folder and stops them by their pid."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        # The unprivileged user of a server must be able to walk to its own data directory.
        folder.chmod(0o711)

    def start_mysql(self) -> tuple[str, str]:
        """Start MariaDB or MySQL.

        Returns:
            its URL with a user who may do anything, and a few words about it.

        Raises:
            CannotProvideError: when there is no such program or it does not come up.
        """
        program = find("mariadbd", "mysqld")
        user = unprivileged_user("mysql")
        home = self._private_folder("mysql", user)
        self._make_data_directory(program, home, user)
        password = secrets.token_urlsafe(12)
        first_words = home / "first.sql"
        first_words.write_text(
            f"CREATE USER 'arcana'@'127.0.0.1' IDENTIFIED BY '{password}';\n"
            "GRANT ALL PRIVILEGES ON *.* TO 'arcana'@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        own(first_words, user)
        port = free_port()
        arguments = [
            program,
            "--no-defaults",
            f"--datadir={home / 'data'}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--socket={home / 'socket'}",
            f"--pid-file={home / 'pid'}",
            f"--tmpdir={home}",
            f"--init-file={first_words}",
            *MYSQL_TUNING,
        ]
        process = self._spawn(arguments, home / "log", user)
        url = f"mysql+pymysql://arcana:{password}@127.0.0.1:{port}/"
        version = wait_for_mysql(url, START_SECONDS, self._still_runs(process, home / "log"))
        return url, f"{Path(program).name} {version} started on port {port}"

    def start_redis(self) -> tuple[str, str]:
        """Start Redis; as `start_mysql`."""
        program = find("redis-server", "valkey-server")
        user = unprivileged_user("redis")
        home = self._private_folder("redis", user)
        port = free_port()
        arguments = [
            program,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(home),
            *REDIS_OPTIONS,
        ]
        process = self._spawn(arguments, home / "log", user)
        url = f"redis://127.0.0.1:{port}"
        version = wait_for_redis(url, START_SECONDS, self._still_runs(process, home / "log"))
        return url, f"{Path(program).name} {version} started on port {port}"

    def stop(self) -> None:
        """Stop what was started here: SIGTERM, a bounded wait, SIGKILL."""
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._running:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def _private_folder(self, name: str, user: RunAs | None) -> Path:
        home = self._folder / name
        home.mkdir(mode=0o700)
        own(home, user)
        return home

    def _make_data_directory(self, program: str, home: Path, user: RunAs | None) -> None:
        data = home / "data"
        if (
            b"MariaDB"
            in subprocess.run([program, "--version"], capture_output=True, check=True).stdout
        ):
            installer = find("mariadb-install-db", "mysql_install_db")
            arguments = [
                installer,
                "--no-defaults",
                f"--datadir={data}",
                f"--tmpdir={home}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]
        else:
            arguments = [program, "--no-defaults", "--initialize-insecure", f"--datadir={data}"]
        with (home / "install.log").open("wb") as log:
            made = subprocess.run(
                arguments,
                stdout=log,
                stderr=log,
                cwd=home,
                timeout=120,
                check=False,
                user=user and user.uid,
                group=user and user.gid,
                extra_groups=None if user is None else [],
            )
        if made.returncode != 0:
            raise CannotProvideError(
                f"{arguments[0]} ended with {made.returncode}: {last_line(home / 'install.log')}"
            )

    def _spawn(
        self, arguments: Sequence[str], log: Path, user: RunAs | None
    ) -> subprocess.Popen[bytes]:
        output: IO[bytes]
        with log.open("wb") as output:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=log.parent,
                # Ctrl-C in a terminal goes to the whole foreground group: the servers have to
                # outlive it while tests are being wound up.
                start_new_session=True,
                user=user and user.uid,
                group=user and user.gid,
                extra_groups=None if user is None else [],
            )
        self._running.append(process)
        return process

    @staticmethod
    def _still_runs(process: subprocess.Popen[bytes], log: Path) -> Callable[[], None]:
        def check() -> None:
            if process.poll() is not None:
                raise CannotProvideError(f"ended with {process.returncode}: {last_line(log)}")

        return check


def find(*names: str) -> str:
    for name in names:
        program = shutil.which(name, path=SEARCH_PATH)
        if program:
            return program
    raise CannotProvideError(f"no {' or '.join(names)} on this machine")


def unprivileged_user(preferred: str) -> RunAs | None:
    """Name a user to run a server as, when this process is root; None means as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in (preferred, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(entry.pw_uid, entry.pw_gid)
    raise CannotProvideError("root cannot run it, and there is no unprivileged user")


def own(path: Path, user: RunAs | None) -> None:
    if user is not None:
        os.chown(path, user.uid, user.gid)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"
