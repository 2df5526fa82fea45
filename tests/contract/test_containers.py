"""The compose files say what the code says; without Docker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from controller_tier.settings import ControllerSettings
from launcher.peers import PEERS
from launcher.secret_files import DATABASE, REDIS, Stores, make_secrets
from launcher.settings import SERVICES, LauncherSettings, read_urls
from launcher.tiers import _NEEDED_BY, new_signing_key
from repository_tier.settings import RepositorySettings
from repository_tier.worker.settings import WorkerSettings
from service_tier.settings import ServiceSettings
from tests.contract.container_files import (
    DOCKERFILE,
    compose_file,
    environment_of,
    names_of,
    secrets_of,
    services_of,
)
from tier_runtime.server import GrpcServerSettings
from tier_runtime.settings import TierSettings

LAYERED, MICROSERVICES, MONOLITHIC = (
    f"docker-compose.{layout}.yml" for layout in ("layered", "microservices", "monolithic")
)
TESTS = "tests/containers/compose.tests.yml"
# Who reads the variables of a service of a compose file.
READERS: Mapping[str, tuple[type[TierSettings], ...]] = {
    "controller": (ControllerSettings,),
    "service": (ServiceSettings,),
    "repository": (RepositorySettings,),
    "worker": (WorkerSettings,),
    "migrate": (RepositorySettings,),
    "admin": (LauncherSettings,),
    "seed": (RepositorySettings, ServiceSettings, LauncherSettings),
}
MONOLITH = (ControllerSettings, ServiceSettings, RepositorySettings, LauncherSettings)
# Between two looks of a balancer, and what ends a container after its process has drained.
SECONDS_BESIDES_THE_DRAIN = 5.0
ONCE = {"secrets", "certs", "migrate", "admin", "seed"}
# Interpolated by Compose; what stands behind `:-` is what there is without it.
_DEFAULT = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")


def _environments() -> list[Any]:
    return list(_told())


def _told() -> Iterator[Any]:
    for name in (LAYERED, MICROSERVICES, MONOLITHIC, TESTS):
        for service, told in services_of(name).items():
            if environment := told.get("environment"):
                readers = READERS.get(service, (ServiceSettings,))
                if name == MONOLITHIC and service == "service":
                    readers = MONOLITH
                if service in ("mysql", "redis"):
                    continue
                yield pytest.param(environment, readers, id=f"{name}-{service}")


@pytest.mark.parametrize(("environment", "readers"), _environments())
def test_every_variable_is_a_setting_of_who_is_told_it(
    environment: dict[str, Any], readers: tuple[type[TierSettings], ...]
) -> None:
    assert environment.keys() - names_of(*readers) == set()


@pytest.mark.parametrize(("environment", "readers"), _environments())
def test_a_secret_is_told_by_its_file_only(
    environment: dict[str, Any], readers: tuple[type[TierSettings], ...]
) -> None:
    assert environment.keys() & secrets_of(*readers) == set()


def test_the_database_is_told_its_password_by_a_file_only() -> None:
    environment = services_of(LAYERED)["mysql"]["environment"]
    told = {name for name in environment if "PASSWORD" in name}
    assert told == {"MYSQL_ROOT_PASSWORD_FILE"}


@pytest.mark.parametrize("name", [LAYERED, MONOLITHIC])
def test_every_file_that_is_named_lies_in_a_volume_of_its_container(
    name: str, tmp_path: Path
) -> None:
    made = {f"/secrets/{each}" for each in make_secrets(tmp_path, Stores(), new_signing_key)}
    made |= {f"/certs/{each}" for each in ("ca.crt", "tls.crt", "tls.key")}
    for service, told in services_of(name).items():
        if service == "mysql":
            continue
        mounts = [str(volume).split(":")[1] for volume in told.get("volumes", [])]
        for variable, value in (told.get("environment") or {}).items():
            if variable.endswith("_FILE"):
                assert value in made, f"{service}: {variable}"
                assert any(value.startswith(f"{mount}/") for mount in mounts), variable


def test_a_container_is_given_the_secrets_of_its_own_and_no_others() -> None:
    services = services_of(LAYERED)
    given = {
        service: {
            volume.split(":")[0]
            for volume in told.get("volumes", [])
            if volume.startswith(("secrets-", "certs-"))
        }
        for service, told in services.items()
        if service not in {"secrets", "certs"}
    }
    assert given == {
        "mysql": {"secrets-mysql"},
        "redis": {"secrets-redis"},
        "migrate": {"secrets-migrate"},
        "repository": {"secrets-repository", "certs-repository"},
        "service": {"secrets-service", "secrets-auth", "certs-service"},
        "controller": {"secrets-controller", "certs-controller"},
        "admin": {"secrets-admin", "certs-launcher"},
        "worker": {"secrets-worker", "certs-worker"},
        "seed": {"secrets-repository", "certs-launcher"},
    }
    read_only = [
        volume
        for service, told in services.items()
        if service not in {"secrets", "certs"}
        for volume in told.get("volumes", [])
        if volume.startswith(("secrets-", "certs-"))
    ]
    assert all(volume.split(":")[2].startswith("ro") for volume in read_only)


def test_who_makes_secrets_and_certificates_has_no_network_and_every_readers_volume(
    tmp_path: Path,
) -> None:
    services = services_of(LAYERED)
    for maker in ("secrets", "certs"):
        assert services[maker]["network_mode"] == "none"
    readers = {name.split("/")[0] for name in make_secrets(tmp_path, Stores(), new_signing_key)}
    mounted = {volume.split(":")[1] for volume in services["secrets"]["volumes"]}
    assert mounted == {f"/secrets/{reader}" for reader in readers}
    mounted = {volume.split(":")[1] for volume in services["certs"]["volumes"]}
    assert mounted == {"/certs", *(f"/certs/{peer}" for peer in PEERS)}
    # Without these folders in the image a new volume would be root's.
    made = set(re.findall(r"(?<=for peer in )([a-z ]+)", DOCKERFILE)[0].split())
    assert made == set(PEERS)
    made = set(re.findall(r"(?<=for reader in )([a-z ]+)", DOCKERFILE)[0].split())
    assert made == readers


def test_the_stores_are_where_the_secrets_say() -> None:
    services = services_of(LAYERED)
    assert f"mysql:3306/{services['mysql']['environment']['MYSQL_DATABASE']}" == DATABASE
    assert "redis" in services
    assert REDIS == "redis:6379/0"


def test_networks_let_through_the_hops_of_the_architecture_and_no_others() -> None:
    document = compose_file(LAYERED)
    members = {
        network: {
            service
            for service, told in document["services"].items()
            if network in told.get("networks", [])
        }
        for network in document["networks"]
    }
    assert members == {
        "edge": {"controller"},
        "app": {"controller", "service", "worker", "admin", "seed"},
        "data-rpc": {"service", "repository"},
        "stores": {"repository", "mysql", "migrate", "seed"},
        "broker": {"repository", "worker", "redis", "seed"},
    }
    internal = {name for name, told in document["networks"].items() if told.get("internal")}
    assert internal == members.keys() - {"edge"}


@pytest.mark.parametrize("name", [LAYERED, MONOLITHIC])
def test_only_the_edge_is_published_and_by_default_to_this_machine(name: str) -> None:
    edge = "controller" if name == LAYERED else "service"
    for service, told in services_of(name).items():
        ports = [_DEFAULT.sub(r"\1", port) for port in told.get("ports", [])]
        if service == edge and name == LAYERED:
            assert ports == ["127.0.0.1:5000:5000", "127.0.0.1:50050:50050"]
        else:
            # The monolith's are those that it extends.
            assert ports == []


@pytest.mark.parametrize("service", sorted(services_of(LAYERED)))
def test_every_container_is_held_to_limits_and_has_no_rights(service: str) -> None:
    told = services_of(LAYERED)[service]
    assert told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert "cap_add" not in told
    assert "privileged" not in told
    assert {"mem_limit", "cpus", "pids_limit"} <= told.keys()
    assert told["logging"]["options"].keys() == {"max-size", "max-file"}
    assert told["restart"] == ("no" if service in ONCE else "unless-stopped")


def test_a_container_may_take_as_long_to_end_as_its_process_takes_to_drain() -> None:
    services = services_of(LAYERED)
    wait = GrpcServerSettings(bind="127.0.0.1:0").notserving_wait_seconds
    drains = {
        "controller": float(ControllerSettings().drain_seconds),
        "service": ServiceSettings().service_drain_seconds + wait,
        "repository": RepositorySettings().repository_drain_seconds + wait,
    }
    for service, seconds in drains.items():
        grace = float(services[service]["stop_grace_period"].removesuffix("s"))
        assert grace >= seconds + SECONDS_BESIDES_THE_DRAIN, service


def test_hops_go_to_every_replica_at_the_port_it_listens_on() -> None:
    ports = {
        name: environment_of(name)[f"{name.upper()}_BIND"] for name in ("service", "repository")
    }
    assert ports == {"service": "0.0.0.0:50051", "repository": "0.0.0.0:50052"}
    services = services_of(LAYERED)
    for caller in ("controller", "admin", "worker", "seed"):
        assert services[caller]["environment"]["SERVICE_URL"] == "dns:///service:50051"
    assert services["service"]["environment"]["REPOSITORY_URL"] == "dns:///repository:50052"


def test_microservices_are_all_services_and_the_edge_knows_each() -> None:
    services = services_of(MICROSERVICES)
    served = {
        told["environment"]["SERVICES"]: name
        for name, told in services.items()
        if "SERVICES" in told.get("environment", {})
    }
    assert served.keys() == set(SERVICES)
    urls = read_urls(services["controller"]["environment"]["SERVICE_URLS"])
    # What is left over is at SERVICE_URL.
    assert set(SERVICES) - urls.keys() == {"auth"}
    assert served["auth"] == "service"
    assert urls == {
        service: f"dns:///{name}:50051" for service, name in served.items() if service != "auth"
    }
    names = {f"--also=service={name}" for name in served.values()} - {"--also=service=service"}
    assert names <= set(services_of(LAYERED)["certs"]["command"])


def test_only_who_signs_is_given_the_key_that_signs() -> None:
    for name, told in services_of(MICROSERVICES).items():
        if "SERVICES" in told.get("environment", {}) and name != "service":
            assert told["environment"]["JWT_SIGNING_KEY_FILE"] is None
            assert not [each for each in told["volumes"] if each.startswith("secrets-auth")]


def test_each_service_by_itself_has_the_secrets_and_the_mails_that_it_needs_and_no_others() -> None:
    for told in services_of(MICROSERVICES).values():
        environment = told.get("environment", {})
        if (service := environment.get("SERVICES")) is None:
            continue
        # What is not said here is as in the layered file, where the one service has all.
        needs_token_secret = service in _NEEDED_BY["TOKEN_SECRET", "TOKEN_SECRET_FILE"]
        assert (environment.get("TOKEN_SECRET_FILE", "given") == "given") is needs_token_secret
        mounted = {volume.split(":")[0] for volume in told["volumes"]}
        assert ("secrets-service" in mounted) is needs_token_secret, service
        assert ("mail" in mounted) is (service == "jobs"), service
