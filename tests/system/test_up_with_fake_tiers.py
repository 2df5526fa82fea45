"""`arcana up` and its sisters, seen from outside, with tiers that can be told to misbehave."""

from __future__ import annotations

import ctypes
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from launcher.settings import SERVICES
from launcher.tiers import PROGRAMS, START_ORDER
from tests.stores.waiting import eventually
from tests.system.launcher_process import LauncherProcess
from tests.system.processes import ROOT

FAKES = ROOT / "tests/system/fake_tiers"

Launch = Callable[..., LauncherProcess]


@contextmanager
def launching(folders: pytest.TempPathFactory) -> Iterator[Launch]:
    """Run `arcana WORDS` with settings; killed at the end with all it started."""
    with ExitStack() as running:

        def start(*words: str, **settings: str) -> LauncherProcess:
            home = folders.mktemp("launcher")
            return running.enter_context(LauncherProcess(home, words, settings, (FAKES,)))

        yield start


@pytest.fixture
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    with launching(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LauncherProcess]:
    """Give `arcana up` with all at its defaults and a proxy around it. Do not end it."""
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY"), "http://127.0.0.1:9")
    with launching(tmp_path_factory) as start:
        launcher = start("up", **proxy, no_proxy="", NO_PROXY="", ARCANA_START_SECONDS="20")
        launcher.wait_until_up()
        yield launcher


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_tiers_from_the_edge_inwards(
    launch: Launch, number: signal.Signals
) -> None:
    launcher = launch("up")
    launcher.wait_until_up()

    launcher.process.send_signal(number)

    assert launcher.wait() == 0
    ends = [line.partition(" |")[0].strip() for line in launcher.lines if line.endswith("ends")]
    assert ends == ["controller", "service", "repository"]
    assert launcher.lines[-1].endswith("| Stopped.")


def test_the_urls_and_the_first_admin_are_told(running: LauncherProcess) -> None:
    log = running.log
    assert f"{running.edge_url}/docs" in log
    assert f"grpc://{running.environ['SERVICE_BIND']}" in log
    assert f"grpc://{running.environ['PUBLIC_GRPC_BIND']}" in log
    assert "Layered, with gRPC between the tiers." in log
    assert re.search(r"admin@arcana\.local with the password \w{20} \(shown only this once\)", log)


@pytest.mark.parametrize("tier", ["repository", "service", "controller"])
def test_a_tier_that_dies_takes_the_others_with_it(launch: Launch, tier: str) -> None:
    launcher = launch("up")
    launcher.wait_until_up()
    others = launcher.children()

    launcher.child(tier).kill()

    assert launcher.wait() == 1
    assert launcher.lines[-1].endswith(f"| Stopped, because the {tier} tier was ended by SIGKILL.")
    assert not any(other.is_running() for other in others)


def test_tiers_end_when_the_launcher_is_killed_outright(launch: Launch) -> None:
    launcher = launch("up")
    launcher.wait_until_up()
    tiers = launcher.children()

    launcher.process.kill()

    _, alive = psutil.wait_procs(tiers, timeout=10)
    assert alive == []


def test_a_tier_that_does_not_hear_is_killed_in_the_end(launch: Launch) -> None:
    launcher = launch("up", FAKE_SERVICE="deaf", ARCANA_STOP_SECONDS="0.3")
    launcher.wait_until_up()

    launcher.process.send_signal(signal.SIGINT)

    assert launcher.wait() == 0
    assert any("service tier did not end in time" in line for line in launcher.lines)


def test_a_second_signal_does_not_wait(launch: Launch) -> None:
    launcher = launch("up", FAKE_CONTROLLER="deaf", ARCANA_STOP_SECONDS="600")
    launcher.wait_until_up()

    launcher.process.send_signal(signal.SIGINT)
    eventually(lambda: any("Stopping the controller" in line for line in launcher.lines), 10)
    launcher.process.send_signal(signal.SIGINT)

    assert launcher.wait() == 0


def test_a_tier_that_does_not_hear_takes_no_time_from_the_others(launch: Launch) -> None:
    launcher = launch("up", FAKE_CONTROLLER="deaf", ARCANA_STOP_SECONDS="3")
    launcher.wait_until_up()

    launcher.process.send_signal(signal.SIGINT)

    assert launcher.wait() == 0
    assert any("controller tier did not end in time" in line for line in launcher.lines)
    ends = [line.partition(" |")[0].strip() for line in launcher.lines if line.endswith("ends")]
    assert ends == ["service", "repository"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals one thread of another")
def test_a_signal_that_another_thread_took_does_not_wait(launch: Launch) -> None:
    launcher = launch("up", FAKE_MIGRATION="slow", ARCANA_START_SECONDS="60")
    main = launcher.process.pid

    def another_thread() -> int | None:
        threads = [thread.id for thread in psutil.Process(main).threads()]
        return next((each for each in threads if each != main), None)

    eventually(lambda: any("up to date" in line for line in launcher.lines), 20)
    ctypes.CDLL(None).tgkill(main, eventually(another_thread, 20), signal.SIGTERM)

    assert launcher.process.wait(10) == 0
    assert launcher.lines[-1].endswith("| Stopped.")


def test_a_proxy_of_the_environment_is_not_asked_about_the_tiers(running: LauncherProcess) -> None:
    assert running.environ["http_proxy"]
    assert len(running.children()) == len(PROGRAMS)


def test_a_tier_does_not_see_the_secrets_of_others(launch: Launch) -> None:
    launcher = launch("up", FAKE_SECRET="s3cret", ARCANA_ADMIN_PASSWORD="Given-Passw0rd")
    launcher.wait_until_up()

    environs = {tier: launcher.child(tier).environ() for tier in START_ORDER}

    assert [tier for tier in START_ORDER if "FAKE_SECRET" in environs[tier]] == ["repository"]
    assert not any("ARCANA_ADMIN_PASSWORD" in environ for environ in environs.values())


def test_a_worker_that_refuses_to_start_takes_all_with_it(launch: Launch) -> None:
    launcher = launch("up", FAKE_WORKER="refuse")

    assert launcher.wait() == 1
    assert "worker      | The fake worker refuses." in launcher.lines
    assert launcher.lines[-1].endswith("| Stopped, because the worker ended with exit code 2.")


def test_a_signal_while_starting_stops_what_has_started(launch: Launch) -> None:
    launcher = launch("up", FAKE_SERVICE="ill")
    eventually(lambda: any("Starting the service" in line for line in launcher.lines), 20)

    launcher.process.send_signal(signal.SIGTERM)

    assert launcher.wait() == 0
    assert launcher.lines[-1].endswith("| Stopped.")


def test_a_tier_that_refuses_to_start_is_named_with_its_reason(launch: Launch) -> None:
    launcher = launch("up", FAKE_SERVICE="refuse")

    assert launcher.wait() == 2
    assert launcher.lines[-1] == "The service tier did not come up: The fake service refuses."
    assert launcher.log.count("The fake service refuses.") == 1
    assert "Traceback" not in launcher.log


def test_a_cache_that_does_not_answer_is_told_with_what_it_means(launch: Launch) -> None:
    launcher = launch("up", FAKE_REPOSITORY="uncached")
    launcher.wait_until_up()

    assert "arcana      | The cache (REDIS_URL) does not answer: reads go to" in launcher.log


def test_a_cache_that_answers_is_not_mentioned(running: LauncherProcess) -> None:
    assert "cache" not in running.log


def test_a_tier_that_breaks_while_it_starts_is_named_after_all_that_it_said(launch: Launch) -> None:
    launcher = launch("up", FAKE_SERVICE="break")

    assert launcher.wait() == 2
    assert launcher.lines[-1] == "The service tier did not come up: it ended with exit code 1."
    assert "RuntimeError: The fake service breaks." in launcher.log


@pytest.mark.parametrize("tier", ["repository", "controller"])
def test_a_tier_that_stays_ill_is_named(launch: Launch, tier: str) -> None:
    launcher = launch("up", **{f"FAKE_{tier.upper()}": "ill", "ARCANA_START_SECONDS": "4"})

    assert launcher.wait() == 2
    assert launcher.lines[-1].startswith(f"The {tier} tier did not come up within 4 s: ")


def test_a_database_that_cannot_be_migrated_is_one_clear_last_line(launch: Launch) -> None:
    launcher = launch("up", FAKE_MIGRATION="refuse")

    assert launcher.wait() == 2
    assert launcher.lines[-1] == (
        "The database could not be brought up to date: The fake migration refuses."
    )
    assert launcher.log.count("The fake migration refuses.") == 1


def test_a_migration_that_takes_too_long_is_given_up(launch: Launch) -> None:
    launcher = launch("up", FAKE_MIGRATION="slow", ARCANA_START_SECONDS="1")

    assert launcher.wait() == 2
    assert launcher.lines[-1] == "The database was not up to date within 1 s."


def test_a_port_that_is_taken_is_named_before_anything_starts(launch: Launch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        launcher = launch("up", SERVICE_BIND=bind)

        assert launcher.wait() == 2
        (line,) = launcher.lines
        assert line.startswith(f"{bind} is taken")
        assert line.endswith("set SERVICE_BIND.")


def test_bad_settings_of_all_tiers_are_named_at_once(launch: Launch) -> None:
    launcher = launch("up", FAKE_NUMBER="many", LOG_LEVEL="loud")

    assert launcher.wait() == 2
    assert sorted(line.partition(":")[0] for line in launcher.lines) == ["FAKE_NUMBER", "LOG_LEVEL"]


@pytest.mark.parametrize(
    ("option", "known"),
    [("--mode", "'monolithic', 'layered', 'microservices'"), ("--protocol", "'grpc', 'http'")],
)
def test_an_unknown_word_after_an_option_is_refused_with_the_known_ones(
    launch: Launch, option: str, known: str
) -> None:
    launcher = launch("up", option, "other", TERMINAL_WIDTH="200")

    assert launcher.wait() == 2
    assert known in launcher.log


def test_an_unknown_mode_of_the_environment_is_refused_with_the_known_ones(launch: Launch) -> None:
    launcher = launch("up", DEPLOYMENT_MODE="other")

    assert launcher.wait() == 2
    assert launcher.lines == [
        "DEPLOYMENT_MODE: Input should be 'monolithic', 'layered' or 'microservices'."
    ]


def test_microservices_are_a_process_for_each_service_and_end_from_the_edge_inwards(
    launch: Launch,
) -> None:
    launcher = launch("up", "--mode", "microservices")
    launcher.wait_until_up()
    services = [child.environ()["SERVICES"] for child in launcher.children_of("service")]

    launcher.process.send_signal(signal.SIGINT)

    assert launcher.wait() == 0
    assert sorted(services) == sorted(SERVICES)
    ends = [line.partition(" |")[0].strip() for line in launcher.lines if line.endswith("ends")]
    assert ends == [
        "controller",
        "files",
        "events",
        "jobs",
        "orders",
        "products",
        "rate_limits",
        "users",
        "auth",
        "repository",
    ]


def test_a_microservice_that_dies_is_named(launch: Launch) -> None:
    launcher = launch("up", "--mode", "microservices")
    launcher.wait_until_up()
    (users,) = [
        child for child in launcher.children_of("service") if child.environ()["SERVICES"] == "users"
    ]

    users.kill()

    assert launcher.wait() == 1
    assert launcher.lines[-1].endswith("| Stopped, because the users service was ended by SIGKILL.")


def test_a_single_inner_tier_of_the_monolithic_mode_is_one_clear_line(launch: Launch) -> None:
    launcher = launch("service", DEPLOYMENT_MODE="monolithic")

    assert launcher.wait() == 2
    assert launcher.lines == [
        "DEPLOYMENT_MODE is monolithic, where `arcana controller` runs the service tier too."
    ]


def test_check_config_says_ok_or_every_fault(launch: Launch) -> None:
    good = launch("service", "--check-config")
    bad = launch("service", "--check-config", FAKE_NUMBER="many")

    assert good.wait() == 0
    assert good.lines == ["OK"]
    assert bad.wait() == 2
    assert bad.lines[0].startswith("FAKE_NUMBER: ")


def test_health_is_0_when_all_is_well_and_1_otherwise(
    launch: Launch, running: LauncherProcess
) -> None:
    binds = {name: value for name, value in running.environ.items() if name.endswith("_BIND")}

    asked = launch("health", **binds)

    # The fake repository tier knows of a cache, and of no database.
    assert asked.wait() == 1
    assert asked.lines[-1] == "Not well: database."
    assert launch("health").wait() == 1


def test_seeding_without_a_service_tier_is_one_clear_line(launch: Launch) -> None:
    launcher = launch("seed")

    assert launcher.wait() == 2
    assert len(launcher.lines) == 1
    assert "does not serve" in launcher.lines[0]


def test_an_admin_can_be_made_by_name(launch: Launch, running: LauncherProcess) -> None:
    made = launch(
        "create-admin", "--email", "b@example.com", SERVICE_BIND=running.environ["SERVICE_BIND"]
    )

    assert made.wait() == 0
    assert made.lines[0].startswith("Made the admin b@example.com with the password ")
