"""`arcana up`: all tiers as child processes, from the first migration to the last line."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from types import FrameType

from launcher.accounts import NewAdmin, accounts_at
from launcher.console import Console
from launcher.health import cache_is_well, condition_of
from launcher.hops import certificates_told
from launcher.layout import Part, description_of, metrics_of, parts_of, require_free_addresses
from launcher.note import noted
from launcher.peers import tls_variables
from launcher.processes import ChildProcess, how_it_ended
from launcher.settings import LauncherSettings
from launcher.tiers import environ_of
from tier_runtime.addresses import OFF
from tier_runtime.startup import StartupError

ASK_INTERVAL_SECONDS = 0.1
SIGNAL_POLL_SECONDS = 0.2
KILLED_SECONDS = 5.0
# The tiers ask about the cache once a second.
CACHE_SECONDS = 3.0
NOT_NOTED = (
    "No note can be left in ARCANA_HOME: tell `arcana health`, `seed` and `create-admin` what runs "
    "by DEPLOYMENT_MODE and COMMUNICATION_PROTOCOL."
)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StoppedError(Exception):
    """Somebody asked us to stop while we were still starting."""


class Up:
    """Runs the tiers of one machine until a signal, or until one of them ends.

    Everything that happens, signals and the ends of children, arrives in one queue and is dealt
    with by the main thread.

    Args:
        environ: what the children see, besides what is derived here and without the secrets of
            other tiers.

    Raises:
        StartupError: the settings contradict each other.
    """

    def __init__(
        self, settings: LauncherSettings, environ: Mapping[str, str], console: Console
    ) -> None:
        self._settings = settings
        self._console = console
        self._parts = parts_of(settings)
        self._environ = {**environ, **shared_settings(settings, console)}
        # SimpleQueue, because a signal handler may put while the main thread is inside get.
        self._events: SimpleQueue[ChildProcess | signal.Signals] = SimpleQueue()
        self._running: dict[str, ChildProcess] = {}
        self._stop_seconds = settings.arcana_stop_seconds
        self._tls = settings.own_tls()

    def run(self) -> int:
        """Start everything, wait, and stop everything.

        Returns:
            0 after a signal, 1 when a tier ended by itself.

        Raises:
            StartupError: when it could not be started; what had been started is stopped then.
        """
        require_free_addresses(self._parts)
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            with ExitStack() as ending:
                return self._run(ending)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run(self, ending: ExitStack) -> int:
        try:
            self._migrate()
            for part in self._parts:
                self._start(part)
            self._welcome(self._ensure_admin())
            # Not before: whoever cannot start shall not replace the note of one that runs.
            if not ending.enter_context(noted(self._settings.arcana_home, self._settings)):
                self._console.say(NOT_NOTED)
            self._console.say("Ctrl-C stops all of it.")
            ended = self._first_end()
        except StoppedError:
            self._stop()
            self._console.say("Stopped.")
            return 0
        except StartupError:
            self._stop()
            raise
        self._stop()
        why = how_it_ended(ended.exit_code or 0)
        self._console.say(f"Stopped, because the {self._title(ended)} {why}.")
        return 1

    def _migrate(self) -> None:
        self._console.say("Bringing the database up to date.")
        known = environ_of(self._environ, {"repository"})
        if self._settings.arcana_tls:
            # It serves nothing, but reads the settings of the tier that does.
            known |= tls_variables(self._settings.tls_folder, "repository")
        child = self._spawn("migrate", "migrate", known)
        ended = self._next_end(self._settings.arcana_start_seconds)
        if ended is None:
            child.kill()
            child.release()
            raise StartupError(
                f"The database was not up to date within {self._settings.arcana_start_seconds:g} s."
            )
        if ended.exit_code:
            raise StartupError(f"The database could not be brought up to date: {_reason(ended)}")
        child.release()

    def _start(self, part: Part) -> None:
        """Start a process of the layout and wait until all that it serves is well."""
        self._console.say(f"Starting the {part.title}.")
        environ = {**environ_of(self._environ, part.programs, part.services), **part.settings}
        child = self._spawn(part.name, part.command, environ)
        self._running[part.name] = child
        ends = time.monotonic() + self._settings.arcana_start_seconds
        for url in part.urls:
            self._wait_until_well(part, url, ends)
        child.release()

    def _wait_until_well(self, part: Part, url: str, ends: float) -> None:
        while not (condition := condition_of(part, url, self._tls)).is_well:
            self._wait_a_moment()
            if time.monotonic() > ends:
                raise StartupError(
                    f"The {part.title} did not come up within "
                    f"{self._settings.arcana_start_seconds:g} s: {condition.detail}"
                )

    def _wait_a_moment(self) -> None:
        """Wait before asking again.

        Raises:
            StartupError: a tier has ended meanwhile.
        """
        ended = self._next_end(ASK_INTERVAL_SECONDS)
        if ended is not None:
            raise StartupError(f"The {self._title(ended)} did not come up: {_reason(ended)}")

    def _ensure_admin(self) -> NewAdmin | None:
        password = self._settings.arcana_admin_password
        with accounts_at(self._settings.service_target(), self._tls) as accounts:
            return accounts.ensure_admin(
                self._settings.arcana_admin_email, password.get_secret_value() if password else ""
            )

    def _welcome(self, admin: NewAdmin | None) -> None:
        settings = self._settings
        edge = settings.bind("controller").url("http")
        self._console.say(f"Up: {edge}/api/v1, with its documentation at {edge}/docs.")
        if settings.public_grpc_enabled:
            self._console.say(f"The same over gRPC: {settings.bind('public_grpc').url('grpc')}.")
        told = [*description_of(settings), *certificates_told(settings), *metrics_of(self._parts)]
        for line in told:
            self._console.say(line)
        if not self._cache_answers():
            self._console.say(
                "The cache (REDIS_URL) does not answer: reads go to the database, and each worker "
                "of the edge counts rate limits by itself, more strictly, until it does."
            )
        if admin:
            self._console.say(admin_made(admin))

    def _cache_answers(self) -> bool:
        ends = time.monotonic() + CACHE_SECONDS
        while not (is_well := cache_is_well(self._settings)) and time.monotonic() < ends:
            self._wait_a_moment()
        return is_well

    def _stop(self) -> None:
        """Stop what runs, from the edge inwards; a second signal makes it short."""
        for part in reversed(self._parts):
            child = self._running.pop(part.name, None)
            if child is None or child.exit_code is not None:
                continue
            self._console.say(f"Stopping the {part.title}.")
            child.ask_to_end()
            if not self._ends_within(child, self._stop_seconds):
                self._console.say(f"The {part.title} did not end in time: killing it.")
                child.kill()
                self._ends_within(child, KILLED_SECONDS)

    def _spawn(self, name: str, command: str, environ: Mapping[str, str]) -> ChildProcess:
        return ChildProcess(name, [command], environ, self._console.line, self._events.put)

    def _title(self, child: ChildProcess) -> str:
        return next(part.title for part in self._parts if part.name == child.name)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._events.put(signal.Signals(number))

    def _next_end(self, timeout: float) -> ChildProcess | None:
        """Wait for a child to end; None when none does in time.

        The kernel may hand a signal to any thread, and Python runs its handler in the main thread
        the next time that one comes round: one long wait would sleep through it.

        Raises:
            StoppedError: on a signal.
        """
        ends = time.monotonic() + timeout
        while True:
            left = max(ends - time.monotonic(), 0.0)
            try:
                event = self._events.get(timeout=min(left, SIGNAL_POLL_SECONDS))
            except Empty:
                if left > SIGNAL_POLL_SECONDS:
                    continue
                return None
            if isinstance(event, ChildProcess):
                return event
            raise StoppedError

    def _first_end(self) -> ChildProcess:
        while (ended := self._next_end(math.inf)) is None:
            continue
        return ended

    def _ends_within(self, child: ChildProcess, seconds: float) -> bool:
        """Wait for this child to end; a signal ends the wait, and those of the stops to come."""
        ends = time.monotonic() + seconds
        while True:
            try:
                ended = self._next_end(max(ends - time.monotonic(), 0.0))
            except StoppedError:
                self._stop_seconds = 0.0
                return False
            if ended is None or ended is child:
                return ended is child


def shared_settings(settings: LauncherSettings, console: Console) -> dict[str, str]:
    """Give what all processes are told and what follows from the launcher's own settings."""
    told: dict[str, str] = {
        "DEPLOYMENT_MODE": settings.deployment_mode,
        "COMMUNICATION_PROTOCOL": settings.communication_protocol,
        # One address cannot be that of all processes; here nobody needs it either.
        "HEALTH_BIND": OFF,
    }
    if console.is_terminal and "log_json" not in settings.model_fields_set:
        # Whoever looks on reads lines more easily than JSON.
        told["LOG_JSON"] = "false"
    return told


def admin_made(admin: NewAdmin) -> str:
    """Say who the new admin is, and the password if nobody else knows it."""
    if admin.made_up_password:
        return (
            f"Made the admin {admin.email} with the password {admin.made_up_password} "
            "(shown only this once)."
        )
    return f"Made the admin {admin.email} with the password that was given."


def _reason(child: ChildProcess) -> str:
    """Say why a child did not start: in its own words, or else how it ended."""
    return child.reason or f"it {how_it_ended(child.exit_code or 0)}."
