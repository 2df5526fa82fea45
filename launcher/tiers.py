"""The tiers by name. A tier's package is imported only when that tier is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, cast

from arcana.repository.v1 import order_pb2
from launcher.demo.sales import Charge, PriceList
from launcher.seeding import BulkLoad
from launcher.settings import LauncherSettings
from tier_runtime.settings import ENV_FILE, SettingsError, TierSettings, describe, load
from tier_runtime.startup import StartupError

TierName = Literal["controller", "service", "repository"]
# The worker belongs to the repository tier, whose broker it listens to, but is a program of its
# own that opens no store.
ProgramName = Literal["controller", "service", "repository", "worker"]
# In the order in which they are started; they are stopped from the edge inwards.
START_ORDER: tuple[TierName, ...] = ("repository", "service", "controller")
PROGRAMS: tuple[ProgramName, ...] = (*START_ORDER, "worker")


class _Place(NamedTuple):
    """Where a program is: its tier, the package in it, and the class of its settings."""

    tier: TierName
    package: str
    settings: str


_PLACES: Mapping[ProgramName, _Place] = {
    "controller": _Place("controller", "", "ControllerSettings"),
    "service": _Place("service", "", "ServiceSettings"),
    "repository": _Place("repository", "", "RepositorySettings"),
    "worker": _Place("repository", "worker.", "WorkerSettings"),
}
# Which services of the service tier need these secrets: auth signs access tokens, whoever makes or
# changes accounts makes one-time tokens, whoever makes anything keys its fingerprint, and jobs send
# the mails that hold those tokens.
_NEEDED_BY: Mapping[tuple[str, ...], frozenset[str]] = {
    ("JWT_SECRET", "JWT_SECRET_FILE", "JWT_SIGNING_KEY_FILE"): frozenset({"auth"}),
    ("TOKEN_SECRET", "TOKEN_SECRET_FILE"): frozenset(
        {"auth", "users", "products", "orders", "jobs", "files"}
    ),
    ("SMTP_URL", "SMTP_URL_FILE", "USER_SYNC_TOKEN", "USER_SYNC_TOKEN_FILE"): frozenset({"jobs"}),
}


def program_main(program: ProgramName) -> Callable[[], int]:
    """Give the function that runs a program until it is told to stop.

    Raises:
        StartupError: when this installation does not have its tier.
    """
    place = _PLACES[program]
    return cast(Callable[[], int], _member(place.tier, f"{place.package}main", "main"))


def settings_class(program: ProgramName) -> type[TierSettings]:
    """Give the class of a program's settings.

    Raises:
        StartupError: when this installation does not have its tier.
    """
    place = _PLACES[program]
    found = _member(place.tier, f"{place.package}settings", place.settings)
    return cast(type[TierSettings], found)


def check_settings(
    read: Mapping[type[TierSettings], Mapping[str, str]], known: Iterable[str] = ()
) -> None:
    """Load settings, each from these variables and `.env`, and throw them away.

    Args:
        read: the classes, each with what is its environment.
        known: faults that were found before, which are told with the others.

    Raises:
        SettingsError: with the faults of all, each once.
    """
    faults = dict.fromkeys(known)
    for each, environ in read.items():
        try:
            load(each, environ, ENV_FILE)
        except SettingsError as error:
            faults.update(dict.fromkeys(error.faults))
    if faults:
        raise SettingsError(list(faults))


def environ_of(
    environ: Mapping[str, str], programs: Collection[ProgramName], services: Collection[str] = ()
) -> dict[str, str]:
    """Give these variables without the secrets that only others know of.

    Args:
        environ: what there is.
        programs: those that run in the process.
        services: those of the service tier that do.
    """
    every = set.union(*map(_secrets_of_program, PROGRAMS), _secrets_of(LauncherSettings))
    known = set.union(*map(_secrets_of_program, programs))
    if set(programs) == {"service"}:
        for names, needed_by in _NEEDED_BY.items():
            if needed_by.isdisjoint(services):
                known.difference_update(names)
    return {name: value for name, value in environ.items() if name in known or name not in every}


def repository_migrate() -> Callable[[], int]:
    """Give the function that brings the database to the newest revision.

    Raises:
        StartupError: when this installation does not have the repository tier.
    """
    return cast(Callable[[], int], _member("repository", "migrate", "main"))


def repository_bulk_load() -> Callable[[], AbstractContextManager[BulkLoad]]:
    """Give the function that connects to the stores for loading much at once.

    Raises:
        StartupError: when this installation does not have the repository tier.
    """
    opened = _member("repository", "bulk_load", "open_bulk_load")
    return cast(Callable[[], AbstractContextManager[BulkLoad]], opened)


def hash_password(password: str) -> str:
    """Hash a password as the service tier does by its settings.

    Raises:
        StartupError: when this installation does not have the service tier, or a setting is bad.
    """
    function = cast(Any, _member("service", "hashing", "WerkzeugFunction"))
    settings = cast(Any, load(settings_class("service"), None, ENV_FILE))
    return cast(str, function(settings.password_hash_method).hash(password))


def new_signing_key() -> bytes:
    """Make a key, as PEM, that the service tier can sign access tokens with.

    Raises:
        StartupError: when this installation does not have the service tier.
    """
    make = cast(Callable[[], bytes], _member("service", "keys", "new_signing_pem"))
    return make()


def price_list() -> PriceList:
    """Give what prices orders as the service tier does.

    Raises:
        StartupError: when this installation does not have the service tier.
    """
    priced = cast(Any, _member("service", "domain.pricing", "priced"))
    line = cast(Any, _member("service", "domain.pricing", "Line"))

    def price(lines: Sequence[tuple[int, int]], roles: frozenset[str]) -> Charge:
        found = priced([line("", *each) for each in lines], roles)
        pricing = order_pb2.Pricing.Value(f"PRICING_{found.pricing.name}")
        return Charge(pricing, [each.discount_minor for each in found.lines])

    return price


def _secrets_of_program(program: ProgramName) -> set[str]:
    # The path of a key is no secret, but nobody's business either.
    keys = {"JWT_SIGNING_KEY_FILE"} if program == "service" else set()
    return _secrets_of(settings_class(program)) | keys


def _secrets_of(settings: type[TierSettings]) -> set[str]:
    """Give the variables of its secrets, and those that name the secrets' files."""
    names = {doc.env_name for doc in describe(settings) if doc.secret}
    return names | {f"{name}_FILE" for name in names}


def _member(tier: TierName, module: str, name: str) -> object:
    package = f"{tier}_tier"
    spec = find_spec(package)
    # A folder without __init__.py, left behind by its caches, is no tier.
    if spec is None or spec.origin is None:
        raise StartupError(f"This installation has no {tier} tier (package {package}).")
    return getattr(import_module(f"{package}.{module}"), name)
