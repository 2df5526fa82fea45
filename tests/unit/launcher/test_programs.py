from __future__ import annotations

import pytest

from launcher.programs import program_of
from launcher.settings import SERVICES
from launcher.tiers import ProgramName, TierName
from tier_runtime.settings import SettingsError
from tier_runtime.startup import StartupError


@pytest.mark.parametrize(
    ("tier", "told"),
    [
        ("repository", {}),
        ("service", {"REPOSITORY_URL": "http://127.0.0.1:50052"}),
        ("controller", {"SERVICE_URL": "http://127.0.0.1:50051"}),
        ("worker", {"SERVICE_URL": "http://127.0.0.1:50051"}),
    ],
)
def test_a_single_tier_calls_the_next_over_the_protocol_that_is_set(
    tier: ProgramName, told: dict[str, str]
) -> None:
    assert program_of(tier, {"COMMUNICATION_PROTOCOL": "http"}).told == told


def test_a_url_that_is_given_stays() -> None:
    environ = {
        "COMMUNICATION_PROTOCOL": "http",
        "SERVICE_URL": "http://far:1",
        "ALLOW_PLAINTEXT": "true",
    }

    assert program_of("controller", environ).told == {"SERVICE_URL": "http://far:1"}


def test_nothing_follows_from_a_port_that_is_not_known_yet() -> None:
    assert program_of("controller", {"SERVICE_BIND": "127.0.0.1:0"}).told == {}


def test_in_the_monolithic_mode_the_controller_reads_the_settings_of_all_tiers() -> None:
    program = program_of("controller", {"DEPLOYMENT_MODE": "monolithic"})

    assert [each.__name__ for each in program.settings] == [
        "RepositorySettings",
        "ServiceSettings",
        "ControllerSettings",
    ]
    with pytest.raises(SettingsError) as caught:
        program.check({"REPOSITORY_THREADS": "many", "WEB_THREADS": "many"})
    assert len(caught.value.faults) == 2


def test_workers_are_no_fault_of_the_monolith_which_has_one() -> None:
    program_of("controller", {"DEPLOYMENT_MODE": "monolithic"}).check({"WORKERS": "4"})


@pytest.mark.parametrize("tier", ["service", "repository"])
def test_in_the_monolithic_mode_an_inner_tier_has_no_process_of_its_own(tier: TierName) -> None:
    with pytest.raises(StartupError, match=f"`arcana controller` runs the {tier} tier too"):
        program_of(tier, {"DEPLOYMENT_MODE": "monolithic"})


def test_the_controller_of_microservices_must_be_told_where_they_are() -> None:
    environ = {"DEPLOYMENT_MODE": "microservices"}

    with pytest.raises(SettingsError) as caught:
        program_of("controller", environ | {"WEB_WORKERS": "x"})
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "SERVICE_URLS",
        "WEB_WORKERS",
    ]
    urls = ",".join(f"{name}=grpc://127.0.0.1:{number}" for number, name in enumerate(SERVICES, 1))
    assert program_of("controller", environ | {"SERVICE_URLS": urls}).told == {}


def test_an_unknown_mode_is_told_together_with_the_tiers_own_faults() -> None:
    with pytest.raises(SettingsError) as caught:
        program_of("service", {"DEPLOYMENT_MODE": "huge", "SERVICE_THREADS": "many"})

    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "DEPLOYMENT_MODE",
        "SERVICE_THREADS",
    ]


def test_a_worker_beside_the_monolith_calls_the_port_of_its_admin_commands() -> None:
    environ = {"DEPLOYMENT_MODE": "monolithic", "COMMUNICATION_PROTOCOL": "http"}
    assert program_of("worker", environ).told == {"SERVICE_URL": "grpc://127.0.0.1:50051"}


def test_a_worker_beside_microservices_calls_the_one_that_has_the_jobs() -> None:
    program = program_of("worker", {"DEPLOYMENT_MODE": "microservices"})
    assert program.told == {"SERVICE_URL": "grpc://127.0.0.1:50101"}
    program.check({"WORKER_CONCURRENCY": "8"})
    with pytest.raises(SettingsError, match="WORKER_CONCURRENCY"):
        program.check({"WORKER_CONCURRENCY": "0"})
