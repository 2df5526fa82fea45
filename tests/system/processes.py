"""All tiers as real processes on free ports, for tests that go through the edge or break it."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import psutil

from launcher.accounts import accounts_at
from launcher.health import Condition, edge_is_well, inner_tier_is_well
from repository_tier.migrate import migrate
from tests.counting import uncounted
from tests.stores import Store
from tests.stores.waiting import eventually
from tests.system.credentials import Credentials
from tests.system.forked_programs import Program, programs_for
from tests.system.log_lines import json_lines
from tests.system.plan import Part, Tier, make_plan
from tests.system.wiring import Wiring, default_wiring

ROOT = Path(__file__).resolve().parents[2]
START_ORDER: tuple[Tier, ...] = ("repository", "service", "controller")
START_SECONDS = 40.0
STOP_SECONDS = 25.0

# What decides about the tiers and nothing else on this machine sets.
OURS = frozenset(
    {
        "COMMUNICATION_PROTOCOL",
        "DATABASE_URL",
        "DEPLOYMENT_MODE",
        "REDIS_URL",
        "REPOSITORY_URL",
        "SERVICES",
        "SERVICE_URL",
        "SERVICE_URLS",
        "WORKERS",
    }
)
# What a test machine wants otherwise than an operator does. Limits are high, because all requests
# come from one address; hashing is quick; two edge workers show what one would hide.
TEST_SETTINGS: Mapping[str, str] = {
    "ARCANA_ADMIN_EMAIL": "admin@arcana.example",
    "ARCANA_ADMIN_PASSWORD": "Admin-Passw0rd-1",
    # Whoever reads a stream of events to its end has not to wait for minutes.
    "EVENT_STREAM_SECONDS": "2",
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


class ArcanaProcesses:
    """All tiers as processes. Use as a context manager: entering starts all, leaving stops all.

    A tier may be several processes (in microservices the service tier is) or none of its own (in
    the monolith the inner tiers are): what is asked of it is asked of all that it has.

    Args:
        home: an empty folder for ARCANA_HOME and the logs.
        store: what the repository tier keeps its data in.
        settings: environment variables that go before all others.
        wiring: how the tiers are laid out; what ARCANA_TEST_WIRING says when not given.
    """

    def __init__(
        self,
        home: Path,
        store: Store,
        settings: Mapping[str, str] | None = None,
        wiring: Wiring | None = None,
    ) -> None:
        settings = dict(settings or {})
        workers = int(settings.pop("WORKERS", "1"))
        self.wiring = wiring or default_wiring()
        plan = make_plan(self.wiring, workers, 1 if store.kind == "embedded" else workers)
        self._home = home
        self._parts = plan.parts
        self._programs = programs_for(settings)
        self._running: dict[str, Program] = {}
        self._spawned: Counter[Tier] = Counter()
        self._admin: Credentials | None = None
        self.edge_url = plan.edge_url
        self.grpc_edge_url = plan.grpc_edge_url
        self.service_url = plan.service_url
        self.repository_url = plan.repository_url
        # By the name of the process that serves there.
        self.service_urls = {part.name: part.url for part in plan.parts if part.tier == "service"}
        self.environ = {
            # The tests' own settings only, whatever the developer's shell holds.
            **{n: value for n, value in uncounted(os.environ).items() if n not in OURS},
            **TEST_SETTINGS,
            "ARCANA_HOME": str(home / "arcana"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared_protos")]),
            **plan.environ,
            **self.routes(self.service_urls),
            **store.environ(),
            **settings,
        }

    def call_services_at(self, urls: Mapping[str, str]) -> None:
        """Have edges that start from now on find the service tier's processes there."""
        self.environ |= self.routes(urls)

    def routes(self, urls: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the settings by which an edge finds the service tier's processes."""
        urls = self.service_urls if urls is None else urls
        if "service" in urls:
            return {"SERVICE_URL": urls["service"]}
        if urls:
            return {"SERVICE_URLS": ",".join(f"{name}={url}" for name, url in urls.items())}
        return {}

    @property
    def unproxied_edge_url(self) -> str:
        """Where a client is the peer of the edge's own sockets."""
        return self.edge_url

    @property
    def admin(self) -> Credentials:
        """An admin's credentials; the admin is made on first use."""
        if self._admin is None:
            admin = Credentials(
                self.environ["ARCANA_ADMIN_EMAIL"], self.environ["ARCANA_ADMIN_PASSWORD"]
            )
            with accounts_at(self.service_url) as accounts:
                accounts.create_admin(admin.email, admin.password)
            self._admin = admin
        return self._admin

    def start(self, *tiers: Tier) -> None:
        """Start these tiers, or migrate the database and start all, and wait for their health.

        The worker is started only when it is named.

        They start at once, which is quicker: each begins without its neighbours. What the commands
        `arcana migrate` and `arcana create-admin` do is done in this process: a process of its own
        would take longer for each than a tier does to start. That they work is tested in test_up.
        """
        if not tiers:
            migrate(self.environ["DATABASE_URL"])
        wanted = tiers or self.tiers
        for tier in wanted:
            self.spawn(tier)
        for tier in wanted:
            self.wait_healthy(tier)

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """The tiers that have processes of their own, in the order in which they start."""
        return tuple(tier for tier in START_ORDER if any(tier == p.tier for p in self._parts))

    def stop(self) -> None:
        """Stop what runs, from the edge inwards; what does not end is killed."""
        for tier in ("worker", *reversed(self.tiers)):
            if self.running(tier):
                try:
                    self.terminate(tier)
                except AssertionError:
                    self.kill(tier)
                    raise

    def spawn(self, tier: Tier) -> None:
        """Start a tier without waiting for it; always on the same ports."""
        assert not self.running(tier), f"the {tier} tier runs already"
        self._spawned[tier] += 1
        for part in self._of(tier):
            self._running[part.name] = self._programs.start(
                [tier], {**self.environ, **part.settings}, self._home, self._log(part)
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
        """Ask a tier how it is; of several processes, the first that is not well answers."""
        if tier == "controller":
            return edge_is_well(self.edge_url)
        if tier == "worker":
            # Nobody calls it; once it listens to the broker, it says so.
            is_working = self.logs("worker").count('"working"') >= self._spawned["worker"]
            return Condition("worker", "", "" if is_working else "does not work yet")
        found = [inner_tier_is_well(part.name, url) for part in self._of(tier) for url in part.urls]
        return next((each for each in found if not each.is_well), found[0])

    def kill(self, tier: Tier) -> None:
        """Kill a tier with SIGKILL, and all processes it has started."""
        family: list[psutil.Process] = []
        for part in self._of(tier):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(self._running[part.name].pid)
                family += [process, *process.children(recursive=True)]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        for part in self._of(tier):
            self._running[part.name].wait()
        psutil.wait_procs(family, timeout=5)

    def terminate(self, tier: Tier, seconds: float = STOP_SECONDS) -> int:
        """Send SIGTERM, wait, and give the exit code; of several processes, the worst.

        Raises:
            AssertionError: when it has not ended in time.
        """
        processes = [self._running[part.name] for part in self._of(tier)]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        ends = time.monotonic() + seconds
        try:
            codes = [process.wait(max(ends - time.monotonic(), 0)) for process in processes]
        except subprocess.TimeoutExpired as error:
            raise AssertionError(
                f"the {tier} tier did not end within {seconds:g} s of SIGTERM:\n"
                f"{self.logs(tier)[-4000:]}"
            ) from error
        return max(codes, key=abs)

    def running(self, tier: Tier) -> bool:
        """Tell whether every process of a tier runs."""
        found = [self._running.get(part.name) for part in self._of(tier)]
        return all(process is not None and process.poll() is None for process in found)

    def pid(self, tier: Tier) -> int:
        """Give the process id of a tier: the controller's is that of gunicorn's arbiter, that of
        several processes the first one's.
        """
        return self._running[self._of(tier)[0].name].pid

    def logs(self, tier: Tier) -> str:
        """Give all that the processes of a tier have written, restarts included.

        What a tier inside the monolith writes stands in the monolith's log.
        """
        parts = self._of(tier) if tier in (*self.tiers, "worker") else self._parts
        logs = [log for log in map(self._log, parts) if log.exists()]
        return "".join(log.read_text(errors="replace") for log in logs)

    def log_lines(self, tier: Tier) -> list[dict[str, object]]:
        """Give those lines of a tier's log that are JSON objects."""
        return json_lines(self.logs(tier))

    def deadlocks(self) -> list[str]:
        """Give the deadlocks that the repository tier has told a caller of, by its log."""
        failures = [
            str(line["error"])
            for line in self.log_lines("repository")
            if line.get("event") == "database_failed"
        ]
        # The driver's number stands in each.
        return [failure for failure in failures if "1213" in failure]

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
            self._end()
        finally:
            self._kill_all()

    def _end(self) -> None:
        """Have all tiers end at once: nobody asks them for anything any more.

        Raises:
            AssertionError: one has not ended in time.
        """
        running = [tier for tier in ("worker", *reversed(self.tiers)) if self.running(tier)]
        for tier in running:
            for part in self._of(tier):
                self._running[part.name].send_signal(signal.SIGTERM)
        for tier in running:
            self.terminate(tier)

    def _kill_all(self) -> None:
        for tier in (*self.tiers, "worker"):
            if any(part.name in self._running for part in self._of(tier)):
                self.kill(tier)

    def _of(self, tier: Tier) -> list[Part]:
        found = [part for part in self._parts if part.tier == tier]
        assert found, f"{self.wiring}: the {tier} tier has no process of its own"
        return found

    def _log(self, part: Part) -> Path:
        return self._home / f"{part.name}.log"


def new_email(name: str = "user") -> str:
    """Give an address that no other test uses."""
    return f"{name}-{secrets.token_hex(6)}@example.com"
