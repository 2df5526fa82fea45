"""One `arcana` command at work in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import psutil

from launcher.settings import SERVICE_PORT_STEP, SERVICES, WORKER_PORT_STEP
from tests.stores.waiting import eventually
from tests.system.ports import free_ports
from tests.system.processes import OURS, ROOT

# Where the services of microservices listen, with two workers each.
OFFSETS = [
    SERVICE_PORT_STEP * service + WORKER_PORT_STEP * worker
    for service in range(len(SERVICES))
    for worker in range(2)
]
UP_LINE = "Ctrl-C stops all of it."
UP_SECONDS = 80.0
END_SECONDS = 40.0


class LauncherProcess:
    """Runs `arcana WORDS` on free ports. Leaving the context kills it with all it has started.

    Args:
        settings: environment variables that go before all others.
        tiers: folders that are searched for the tiers' packages before the project is.
    """

    def __init__(
        self,
        home: Path,
        words: tuple[str, ...],
        settings: Mapping[str, str],
        tiers: tuple[Path, ...] = (),
    ) -> None:
        self._home = home
        self._words = words
        self.environ = {
            **{name: value for name, value in os.environ.items() if name not in OURS},
            "PYTHONPATH": os.pathsep.join(map(str, [*tiers, ROOT, ROOT / "shared_protos"])),
            "CONTROLLER_BIND": f"127.0.0.1:{free_ports()}",
            "PUBLIC_GRPC_BIND": f"127.0.0.1:{free_ports()}",
            "SERVICE_BIND": f"127.0.0.1:{free_ports(OFFSETS)}",
            "REPOSITORY_BIND": f"127.0.0.1:{free_ports(OFFSETS)}",
            **settings,
        }
        self.edge_url = f"http://{self.environ['CONTROLLER_BIND']}"
        self.start()

    def start(self) -> None:
        """Run the command, again if it has ended; the log goes on."""
        self._seen = len(self.log)
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.system.counted_alone", *self._words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._home,
                env=self.environ,
            )

    def sister(self, *words: str) -> str:
        """Run another `arcana` command with the same settings, and give its output."""
        done = subprocess.run(
            [sys.executable, "-m", "launcher.cli", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self._home,
            env=self.environ,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    @property
    def log(self) -> str:
        """All that it has written."""
        return self._log_file.read_text() if self._log_file.exists() else ""

    @property
    def lines(self) -> list[str]:
        """The lines of its log."""
        return self.log.splitlines()

    def wait_until_up(self) -> None:
        """Wait until it says that everything is up."""

        def is_up() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"it has ended:\n{self.log}")
            return UP_LINE in self.log[self._seen :]

        eventually(is_up, UP_SECONDS, "arcana up")

    def wait(self) -> int:
        """Wait for its end, and give its exit code."""
        return self.process.wait(END_SECONDS)

    def children(self) -> list[psutil.Process]:
        """The processes that it has started and that run."""
        return psutil.Process(self.process.pid).children()

    def child(self, tier: str) -> psutil.Process:
        """The process of a tier."""
        (found,) = self.children_of(tier)
        return found

    def children_of(self, tier: str) -> list[psutil.Process]:
        """The processes whose command runs this tier."""
        return [child for child in self.children() if child.cmdline()[-1] == tier]

    def __enter__(self) -> LauncherProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            family = psutil.Process(self.process.pid).children(recursive=True)
            self.process.kill()
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
        self.process.wait()

    @property
    def _log_file(self) -> Path:
        return self._home / "launcher.log"
