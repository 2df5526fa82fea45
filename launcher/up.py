"""`arcana up`: all tiers as child processes, from the first migration to the last line."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Mapping
from queue import Empty, SimpleQueue
from types import FrameType

from launcher.accounts import NewAdmin, accounts_at
from launcher.console import Console
from launcher.health import Condition, edge_is_well, inner_tier_is_well
from launcher.processes import ChildProcess, how_it_ended
from launcher.settings import LauncherSettings
from launcher.tiers import START_ORDER, STOP_ORDER, TierName, environ_of
from tier_runtime.startup import StartupError

MODES = ("layered",)
PROTOCOLS = ("grpc",)
ASK_INTERVAL_SECONDS = 0.1
SIGNAL_POLL_SECONDS = 0.2
KILLED_SECONDS = 5.0
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
    """

    def __init__(
        self, settings: LauncherSettings, environ: Mapping[str, str], console: Console
    ) -> None:
        self._settings = settings
        self._console = console
        self._environ = {**environ, **derived_settings(settings, console)}
        # SimpleQueue, because a signal handler may put while the main thread is inside get.
        self._events: SimpleQueue[ChildProcess | signal.Signals] = SimpleQueue()
        self._running: dict[TierName, ChildProcess] = {}
        self._stop_seconds = settings.arcana_stop_seconds

    def run(self) -> int:
        """Start everything, wait, and stop everything.

        Returns:
            0 after a signal, 1 when a tier ended by itself.

        Raises:
            StartupError: when it could not be started; what had been started is stopped then.
        """
        self._check_ports()
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            return self._run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run(self) -> int:
        try:
            self._migrate()
            for tier in START_ORDER:
                self._start(tier)
            self._welcome(self._ensure_admin())
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
        self._console.say(f"Stopped, because the {ended.name} tier {why}.")
        return 1

    def _check_ports(self) -> None:
        """Refuse to start where a tier could not listen.

        Raises:
            StartupError: naming all ports that are taken.
        """
        taken = [
            f"{getattr(self._settings, f'{tier}_bind')} is taken, or is no address of this "
            f"machine: stop what listens there, or set {tier.upper()}_BIND."
            for tier in START_ORDER
            if not self._settings.bind(tier).is_free()
        ]
        if taken:
            raise StartupError("\n".join(taken))

    def _migrate(self) -> None:
        self._console.say("Bringing the database up to date.")
        child = self._spawn("migrate", "repository")
        ended = self._next_end(self._settings.arcana_start_seconds)
        if ended is None:
            child.kill()
            raise StartupError(
                f"The database was not up to date within {self._settings.arcana_start_seconds:g} s."
            )
        if ended.exit_code:
            raise StartupError(f"The database could not be brought up to date: {_reason(ended)}")

    def _start(self, tier: TierName) -> None:
        """Start a tier and wait until it says that it is well."""
        self._console.say(f"Starting the {tier} tier.")
        child = self._spawn(tier, tier)
        self._running[tier] = child
        ends = time.monotonic() + self._settings.arcana_start_seconds
        while not (condition := self._ask(tier)).is_well:
            ended = self._next_end(ASK_INTERVAL_SECONDS)
            if ended is not None:
                raise StartupError(f"The {ended.name} tier did not come up: {_reason(ended)}")
            if time.monotonic() > ends:
                raise StartupError(
                    f"The {tier} tier did not come up within "
                    f"{self._settings.arcana_start_seconds:g} s: {condition.detail}"
                )

    def _ask(self, tier: TierName) -> Condition:
        if tier == "controller":
            return edge_is_well(self._settings.bind("controller").url("http"))
        return inner_tier_is_well(tier, self._settings.bind(tier).url("grpc"))

    def _ensure_admin(self) -> NewAdmin | None:
        password = self._settings.arcana_admin_password
        with accounts_at(self._settings.service_target()) as accounts:
            return accounts.ensure_admin(
                self._settings.arcana_admin_email, password.get_secret_value() if password else ""
            )

    def _welcome(self, admin: NewAdmin | None) -> None:
        edge = self._settings.bind("controller").url("http")
        self._console.say(f"Up: {edge}/api/v1, with its documentation at {edge}/docs.")
        self._console.say(
            f"Behind it: service {self._settings.service_target()}, "
            f"repository {self._settings.repository_target()}."
        )
        if admin:
            self._console.say(admin_made(admin))
        self._console.say("Ctrl-C stops all of it.")

    def _stop(self) -> None:
        """Stop what runs, from the edge inwards; a second signal makes it short."""
        for tier in STOP_ORDER:
            child = self._running.pop(tier, None)
            if child is None or child.exit_code is not None:
                continue
            self._console.say(f"Stopping the {tier} tier.")
            child.ask_to_end()
            if not self._ends_within(child, self._stop_seconds):
                self._console.say(f"The {tier} tier did not end in time: killing it.")
                child.kill()
                self._ends_within(child, KILLED_SECONDS)

    def _spawn(self, name: str, tier: TierName) -> ChildProcess:
        """Run the command of this name with what the tier may know."""
        environ = environ_of(tier, self._environ)
        return ChildProcess(name, [name], environ, self._console.line, self._events.put)

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


def derived_settings(settings: LauncherSettings, console: Console) -> dict[str, str]:
    """Give the settings of the tiers that follow from the launcher's own."""
    derived = {
        "DEPLOYMENT_MODE": settings.deployment_mode,
        "COMMUNICATION_PROTOCOL": settings.communication_protocol,
        "SERVICE_URL": settings.service_target(),
        "REPOSITORY_URL": settings.repository_target(),
    }
    if console.is_terminal and "log_json" not in settings.model_fields_set:
        # Whoever looks on reads lines more easily than JSON.
        derived["LOG_JSON"] = "false"
    return derived


def require_supported(settings: LauncherSettings) -> None:
    """Refuse what cannot be done yet.

    Raises:
        StartupError: naming what can.
    """
    if settings.deployment_mode not in MODES:
        raise StartupError(
            f"The mode {settings.deployment_mode!r} is not supported; "
            f"supported: {', '.join(MODES)}."
        )
    if settings.communication_protocol not in PROTOCOLS:
        raise StartupError(
            f"The protocol {settings.communication_protocol!r} is not supported; "
            f"supported: {', '.join(PROTOCOLS)}."
        )


def admin_made(admin: NewAdmin) -> str:
    """Say who the new admin is, and the password if nobody else knows it."""
    if admin.made_up_password:
        return (
            f"Made the admin {admin.email} with the password {admin.made_up_password} "
            "(shown only this once)."
        )
    return f"Made the admin {admin.email} with the password that was given."


def _reason(child: ChildProcess) -> str:
    """Say how a child ended and what it said last."""
    last_words = child.tail[-1] if child.tail else "it said nothing"
    return f"it {how_it_ended(child.exit_code or 0)}: {last_words}"
