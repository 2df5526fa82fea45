"""What `arcana TIER` runs: that tier, or in the monolithic mode all of them in one process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import cast

from launcher.layout import service_urls_told
from launcher.settings import JOBS_SERVICE, SERVICE_URLS_FORM, WiringSettings
from launcher.tiers import (
    START_ORDER,
    ProgramName,
    check_settings,
    program_main,
    settings_class,
)
from tier_runtime.addresses import Address
from tier_runtime.settings import ENV_FILE, SettingsError, TierSettings, load
from tier_runtime.startup import StartupError

# The caches and the database's file belong to one process.
ONE_PROCESS = {"WEB_WORKERS": "1", "WORKERS": "1"}


@dataclass(frozen=True, slots=True)
class Program:
    """What a command runs.

    Attributes:
        run: runs it until it is told to stop, and gives the exit code.
        settings: the classes of settings that it reads.
        told: variables that go before those of the environment, because they follow from them.
    """

    run: Callable[[], int]
    settings: tuple[type[TierSettings], ...]
    told: Mapping[str, str] = field(default_factory=dict)

    def check(self, environ: Mapping[str, str]) -> None:
        """Find out whether it could start with this environment and `.env`.

        Raises:
            SettingsError: with all faults.
        """
        told = {**environ, **self.told}
        check_settings(dict.fromkeys(self.settings, told))


def program_of(name: ProgramName, environ: Mapping[str, str]) -> Program:
    """Give what runs a tier, or the worker, in the mode that this environment, or `.env`, names.

    Raises:
        SettingsError: with the faults of the tier's settings too.
        StartupError: in that mode the tier has no process of its own, or not what it needs.
    """
    try:
        wiring = load(WiringSettings, environ, ENV_FILE)
    except SettingsError:
        check_settings(dict.fromkeys((WiringSettings, settings_class(name)), environ))
        raise
    if wiring.deployment_mode == "monolithic" and name != "worker":
        return _monolith(name)
    if name == "controller" and wiring.deployment_mode == "microservices":
        _require_urls(wiring, environ)
    return Program(program_main(name), (settings_class(name),), _told(name, wiring))


def _monolith(name: ProgramName) -> Program:
    if name != "controller":
        raise StartupError(
            f"DEPLOYMENT_MODE is monolithic, where `arcana controller` runs the {name} tier too."
        )
    settings = tuple(map(settings_class, START_ORDER))
    main = cast(Callable[[], int], import_module("launcher.monolith").main)
    return Program(main, settings, ONE_PROCESS)


def _require_urls(wiring: WiringSettings, environ: Mapping[str, str]) -> None:
    """Refuse microservices whose addresses nobody tells.

    `up` chooses them; processes that were started one by one were told theirs.

    Raises:
        SettingsError: with the faults of the controller's settings too.
    """
    if not wiring.service_urls:
        fault = (
            "SERVICE_URLS: in microservices the controller tier must be told where each service "
            f"is, as {SERVICE_URLS_FORM}."
        )
        check_settings({settings_class("controller"): environ}, [fault])


def _told(name: ProgramName, wiring: WiringSettings) -> Mapping[str, str]:
    """Give the address of the next tier that follows from the other settings."""
    if name == "service" and _can_be_called(wiring.repository_bind):
        return {"REPOSITORY_URL": wiring.repository_target()}
    if name == "worker" and _can_be_called(wiring.service_bind):
        return {"SERVICE_URL": wiring.service_target(JOBS_SERVICE)}
    if name != "controller" or wiring.deployment_mode == "microservices":
        return {}
    return service_urls_told(wiring) if _can_be_called(wiring.service_bind) else {}


def _can_be_called(bind: str) -> bool:
    return Address.parse(bind).port != 0
