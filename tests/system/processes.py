"""All tiers as real processes on free ports, for tests that go through the edge or break it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeAlias

import psutil

from launcher.health import Condition, edge_is_well, inner_tier_is_well
from tests.stores import Store
from tests.stores.local_servers import free_port
from tests.stores.waiting import eventually

Tier: TypeAlias = Literal["controller", "service", "repository"]

ROOT = Path(__file__).resolve().parents[2]
START_ORDER: tuple[Tier, ...] = ("repository", "service", "controller")
STOP_ORDER: tuple[Tier, ...] = ("controller", "service", "repository")
START_SECONDS = 40.0
STOP_SECONDS = 25.0

# What a test machine wants otherwise than an operator does. Limits are high, because all requests
# come from one address; hashing is quick; two edge workers show what one would hide.
TEST_SETTINGS: Mapping[str, str] = {
    "ARCANA_ADMIN_EMAIL": "admin@arcana.example",
    "ARCANA_ADMIN_PASSWORD": "Admin-Passw0rd-1",
    "LOG_LEVEL": "info",
    "PASSWORD_HASH_METHOD": "scrypt:1024:8:1",
    "RATE_LIMIT_CHANGE_PASSWORD_USER": "100000/60",
    "RATE_LIMIT_LOGIN_EMAIL": "100000/60",
    "RATE_LIMIT_LOGIN_IP": "100000/60",
    "RATE_LIMIT_PASSWORD_RESET_EMAIL": "100000/60",
    "RATE_LIMIT_PASSWORD_RESET_IP": "100000/60",
    "RATE_LIMIT_REFRESH_IP": "100000/60",
    "RATE_LIMIT_REGISTER_IP": "100000/60",
    "RATE_LIMIT_VERIFY_EMAIL_IP": "100000/60",
    "WEB_WORKERS": "2",
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody signs in with."""

    email: str
    password: str


class ArcanaProcesses:
    """Three tiers as processes. Use as a context manager: entering starts all, leaving stops all.

    Args:
        home: an empty folder for ARCANA_HOME and the logs.
        store: what the repository tier keeps its data in.
        settings: environment variables that go before all others.
    """

    def __init__(self, home: Path, store: Store, settings: Mapping[str, str] | None = None) -> None:
        self._home = home
        self._ports: dict[Tier, int] = {tier: free_port() for tier in START_ORDER}
        self._running: dict[Tier, subprocess.Popen[bytes]] = {}
        self._admin: Credentials | None = None
        self.edge_url = f"http://127.0.0.1:{self._ports['controller']}"
        self.service_url = f"grpc://127.0.0.1:{self._ports['service']}"
        self.repository_url = f"grpc://127.0.0.1:{self._ports['repository']}"
        self.environ = {
            # The tests' own stores and settings only, whatever the developer's shell holds.
            **{k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")},
            **TEST_SETTINGS,
            "ARCANA_HOME": str(home / "arcana"),
            "CONTROLLER_BIND": f"127.0.0.1:{self._ports['controller']}",
            "PUBLIC_GRPC_BIND": f"127.0.0.1:{free_port()}",
            "SERVICE_BIND": f"127.0.0.1:{self._ports['service']}",
            "REPOSITORY_BIND": f"127.0.0.1:{self._ports['repository']}",
            "SERVICE_URL": self.service_url,
            "REPOSITORY_URL": self.repository_url,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared_protos")]),
            **store.environ(),
            **(settings or {}),
        }

    @property
    def admin(self) -> Credentials:
        """An admin's credentials; the admin is made on first use."""
        if self._admin is None:
            self.command("create-admin")
            self._admin = Credentials(
                self.environ["ARCANA_ADMIN_EMAIL"], self.environ["ARCANA_ADMIN_PASSWORD"]
            )
        return self._admin

    def start(self, *tiers: Tier) -> None:
        """Start these tiers, or migrate the database and start all, and wait for their health."""
        if not tiers:
            self.command("migrate")
        for tier in tiers or START_ORDER:
            self.spawn(tier)
            self.wait_healthy(tier)

    def stop(self) -> None:
        """Stop what runs, from the edge inwards; what does not end is killed."""
        for tier in STOP_ORDER:
            if self.running(tier):
                try:
                    self.terminate(tier)
                except AssertionError:
                    self.kill(tier)
                    raise

    def spawn(self, tier: Tier) -> None:
        """Start a tier without waiting for it; always on the same port."""
        assert not self.running(tier), f"the {tier} tier runs already"
        with self._log(tier).open("ab") as log:
            self._running[tier] = subprocess.Popen(
                [sys.executable, "-m", "launcher.cli", tier],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._home,
                env={**self.environ, "ARCANA_PARENT_PID": str(os.getpid())},
            )

    def restart(self, tier: Tier) -> None:
        """Start a tier that has ended again, and wait for its health."""
        self.start(tier)

    def wait_healthy(self, tier: Tier, seconds: float = START_SECONDS) -> None:
        """Wait until a tier says that it is well.

        Raises:
            AssertionError: when it ends or does not say so in time; with the end of its log.
        """

        def is_well() -> bool:
            if not self.running(tier):
                raise RuntimeError(f"the {tier} tier ended:\n{self.logs(tier)[-4000:]}")
            condition = self.condition(tier)
            assert condition.is_well, f"{condition.detail}\n{self.logs(tier)[-4000:]}"
            return True

        eventually(is_well, seconds, f"health of the {tier} tier", interval=0.05)

    def condition(self, tier: Tier) -> Condition:
        """Ask a tier how it is."""
        if tier == "controller":
            return edge_is_well(self.edge_url)
        return inner_tier_is_well(
            tier, self.service_url if tier == "service" else self.repository_url
        )

    def kill(self, tier: Tier) -> None:
        """Kill a tier with SIGKILL, and all processes it has started."""
        process = self._running[tier]
        family = [
            psutil.Process(process.pid),
            *psutil.Process(process.pid).children(recursive=True),
        ]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()
        psutil.wait_procs(family, timeout=5)

    def terminate(self, tier: Tier, seconds: float = STOP_SECONDS) -> int:
        """Send SIGTERM, wait, and give the exit code.

        Raises:
            AssertionError: when it has not ended in time.
        """
        process = self._running[tier]
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(
                f"the {tier} tier did not end within {seconds:g} s of SIGTERM:\n"
                f"{self.logs(tier)[-4000:]}"
            ) from error

    def running(self, tier: Tier) -> bool:
        """Tell whether a tier's process runs."""
        process = self._running.get(tier)
        return process is not None and process.poll() is None

    def pid(self, tier: Tier) -> int:
        """Give the process id of a tier; the controller's is that of gunicorn's arbiter."""
        return self._running[tier].pid

    def logs(self, tier: Tier) -> str:
        """Give all that a tier has written, restarts included."""
        log = self._log(tier)
        return log.read_text(errors="replace") if log.exists() else ""

    def log_lines(self, tier: Tier) -> list[dict[str, object]]:
        """Give those lines of a tier's log that are JSON objects."""
        lines: list[dict[str, object]] = []
        for line in self.logs(tier).splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                lines.append(value)
        return lines

    def command(self, *words: str) -> str:
        """Run an `arcana` command on these tiers and give its output.

        Raises:
            AssertionError: when its exit code is not 0.
        """
        done = subprocess.run(
            [sys.executable, "-m", "launcher.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self._home,
            env=self.environ,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"arcana {' '.join(words)}: {done.stdout}"
        return done.stdout

    def __enter__(self) -> ArcanaProcesses:
        try:
            self.start()
        except BaseException:
            self._kill_all()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            self._kill_all()

    def _kill_all(self) -> None:
        for tier in STOP_ORDER:
            if self.running(tier):
                self.kill(tier)

    def _log(self, tier: Tier) -> Path:
        return self._home / f"{tier}.log"


def new_email(name: str = "user") -> str:
    """Give an address that no other test uses."""
    return f"{name}-{secrets.token_hex(6)}@example.com"
