"""The `arcana` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from launcher.accounts import DEMO_PASSWORD, Accounts, accounts_at
from launcher.console import Console
from launcher.health import print_health
from launcher.note import wiring_noted
from launcher.parent import follow_parent
from launcher.peers import DEFAULT_CERTIFICATE_DAYS, MAX_CERTIFICATE_DAYS, tls_variables
from launcher.programs import program_of
from launcher.secret_files import DATABASE, REDIS, Stores, make_secrets
from launcher.seeding import Amounts
from launcher.seeding import seed as seed_shop
from launcher.settings import LauncherSettings, Mode, Protocol
from launcher.tiers import (
    PROGRAMS,
    ProgramName,
    check_settings,
    hash_password,
    new_signing_key,
    price_list,
    repository_bulk_load,
    repository_migrate,
    settings_class,
)
from launcher.up import Up, admin_made
from tier_runtime.settings import ENV_FILE, load
from tier_runtime.startup import StartupError, run_main

app = typer.Typer(
    help="Runs Arcana's tiers, and does an operator's chores.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

CheckConfig = Annotated[
    bool, typer.Option("--check-config", help="Only say whether the settings can be used.")
]


@app.command()
def up(
    mode: Annotated[
        Mode | None, typer.Option(help="How the tiers are laid out (DEPLOYMENT_MODE).")
    ] = None,
    protocol: Annotated[
        Protocol | None,
        typer.Option(help="What they speak to each other (COMMUNICATION_PROTOCOL)."),
    ] = None,
    tls: Annotated[
        bool | None,
        typer.Option("--tls", help="Mutual TLS between them, by certificates made for it."),
    ] = None,
) -> None:
    """Run all tiers on this machine; Ctrl-C stops them."""

    def start() -> int:
        environ = _environ(
            {
                "DEPLOYMENT_MODE": mode,
                "COMMUNICATION_PROTOCOL": protocol,
                "ARCANA_TLS": "true" if tls else None,
            }
        )
        # How many workers each tier is given is decided later: the embedded database allows one.
        known = environ | {"WORKERS": "1"}
        of_tiers = dict.fromkeys(map(settings_class, PROGRAMS), known)
        try:
            settings = load(LauncherSettings, environ, ENV_FILE)
            if settings.arcana_tls:
                if settings.tls_files() is not None:
                    raise StartupError(
                        "ARCANA_TLS: makes certificates for each process; unset it, or "
                        "TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE."
                    )
                _make_certificates(settings)
                own = tls_variables(settings.tls_folder, "launcher")
                of_tiers = dict.fromkeys(of_tiers, known | own)
            ready = Up(settings, environ, Console())
        except StartupError as error:
            check_settings(of_tiers, str(error).splitlines())
            raise
        check_settings(of_tiers)
        return ready.run()

    _finish(start)


@app.command()
def controller(check_config: CheckConfig = False) -> None:
    """Run the controller tier, which is the edge; in the monolithic mode all tiers."""
    _run_program("controller", check_config)


@app.command()
def service(check_config: CheckConfig = False) -> None:
    """Run the service tier."""
    _run_program("service", check_config)


@app.command()
def repository(check_config: CheckConfig = False) -> None:
    """Run the repository tier."""
    _run_program("repository", check_config)


@app.command()
def worker(check_config: CheckConfig = False) -> None:
    """Run a worker, which takes jobs from the broker and has the service tier do them."""
    _run_program("worker", check_config)


@app.command()
def migrate() -> None:
    """Bring the database to the newest revision."""

    def start() -> int:
        follow_parent(os.environ)
        # However many processes will serve: the embedded database refuses more than one.
        os.environ["WORKERS"] = "1"
        return repository_migrate()()

    _finish(start)


@app.command()
def seed(
    products: Annotated[int, typer.Option(min=0, help="How many products there are to be.")] = 0,
    users: Annotated[int, typer.Option(min=0, help="How many users.")] = 0,
    orders: Annotated[int, typer.Option(min=0, help="How many orders.")] = 0,
) -> None:
    """Make the demo users, or with numbers a whole demo shop; what is there stays as it is.

    The shop is written straight into the stores, whether the tiers run or not; it is the same one
    every time. All its users have the password of the demo users.
    """

    def make_shop() -> int:
        console = Console()
        seed_shop(
            Amounts(products, users, orders),
            repository_bulk_load(),
            lambda: hash_password(DEMO_PASSWORD),
            price_list(),
            console=console,
            stream=sys.stderr,
        )
        console.plain(f"The password of its users is {DEMO_PASSWORD}.")
        return 0

    def make() -> int:
        with _accounts(_settings()) as accounts:
            made, found = accounts.seed()
        Console().plain(
            f"Demo users: {made} made, {found} there already. Their password is {DEMO_PASSWORD}."
        )
        return 0

    _finish(make_shop if products or users or orders else make)


@app.command()
def create_admin(
    email: Annotated[str, typer.Option(help="Its address (ARCANA_ADMIN_EMAIL).")] = "",
    if_none: Annotated[
        bool, typer.Option("--if-none", help="Make none when there is an admin already.")
    ] = False,
) -> None:
    """Make an admin, with ARCANA_ADMIN_PASSWORD or a password made up and shown once."""

    def make() -> int:
        settings = _settings({"ARCANA_ADMIN_EMAIL": email})
        password = settings.arcana_admin_password
        with _accounts(settings) as accounts:
            create = accounts.ensure_admin if if_none else accounts.create_admin
            admin = create(
                settings.arcana_admin_email, password.get_secret_value() if password else ""
            )
        Console().plain("There is an admin already." if admin is None else admin_made(admin))
        return 0

    _finish(make)


@app.command()
def health() -> None:
    """Ask every tier how it is; the exit code is 0 when requests are served."""
    _finish(lambda: print_health(_settings(), Console()))


@app.command("secrets")
def make_secret_files(
    folder: Annotated[Path, typer.Argument(help="Where; made when it is not there.")],
    database: Annotated[
        str, typer.Option(help="Where MySQL will be, as host:port/name.")
    ] = DATABASE,
    redis: Annotated[str, typer.Option(help="Where Redis will be, as host:port/number.")] = (REDIS),
) -> None:
    """Make the secrets of a deployment, in a folder for each reader; what is there stays."""

    def make() -> int:
        made = make_secrets(folder, Stores(database, redis), new_signing_key)
        for name, is_new in made.items():
            Console().plain(f"{'Made' if is_new else 'Kept'} {folder / name}")
        return 0

    _finish(make)


@app.command()
def certs(
    folder: Annotated[Path, typer.Argument(help="Where; made when it is not there.")],
    also: Annotated[
        list[str] | None,
        typer.Option(help="A further name or IP address of a peer, as peer=name; repeatable."),
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=MAX_CERTIFICATE_DAYS, help="How long they are good.")
    ] = DEFAULT_CERTIFICATE_DAYS,
) -> None:
    """Make certificates for TLS between the tiers, for development.

    The authority is made once and never replaced; every peer's certificate is made anew each time,
    and processes that use it take the new one without a restart.
    """

    def make() -> int:
        # Few commands need it, and it takes its time.
        from launcher.certificates import make_certificates, read_also  # noqa: PLC0415 - see above.

        for made in make_certificates(folder, read_also(also or ()), days=days):
            named = f" for {', '.join(made.names)}" if made.names else ""
            Console().plain(f"Made {made.path}{named}, good until {made.ends:%Y-%m-%d}.")
        return 0

    _finish(make)


def main() -> None:
    """Run the command given on the command line."""
    app(prog_name="arcana")


def _run_program(name: ProgramName, check_config: bool) -> None:
    def check() -> int:
        program_of(name, os.environ).check(os.environ)
        Console().plain("OK")
        return 0

    def run() -> int:
        follow_parent(os.environ)
        program = program_of(name, os.environ)
        os.environ.update(program.told)
        return program.run()

    _finish(check if check_config else run)


def _environ(given: Mapping[str, str | None]) -> dict[str, str]:
    """Give the environment; what was given on the command line goes before it."""
    return {**os.environ, **{name: word for name, word in given.items() if word}}


def _settings(given: Mapping[str, str] | None = None) -> LauncherSettings:
    """Read the settings; what they leave open of the layout is as the `up` that runs noted it."""
    environ = _environ(given or {})
    settings = load(LauncherSettings, environ, ENV_FILE)
    noted = wiring_noted(settings.arcana_home)
    left_open = {name for name in noted if name.lower() not in settings.model_fields_set}
    return load(LauncherSettings, environ | {name: noted[name] for name in left_open}, ENV_FILE)


def _accounts(settings: LauncherSettings) -> AbstractContextManager[Accounts]:
    return accounts_at(settings.service_target(), settings.own_tls())


def _make_certificates(settings: LauncherSettings) -> None:
    """Make certificates where there are none, or where one does not last much longer."""
    from launcher.certificates import make_certificates, need_renewal  # noqa: PLC0415 - as above.

    if need_renewal(settings.tls_folder):
        make_certificates(settings.tls_folder)


def _finish(work: Callable[[], int]) -> NoReturn:
    raise typer.Exit(run_main(work))


if __name__ == "__main__":
    main()
