from __future__ import annotations

from pathlib import Path

import pytest

from controller_tier.settings import ControllerSettings
from launcher.certificates import make_certificates
from launcher.peers import tls_variables
from launcher.settings import LauncherSettings
from repository_tier.settings import RepositorySettings
from repository_tier.worker.settings import WorkerSettings
from service_tier.settings import ServiceSettings
from tier_runtime.settings import SettingsError, TierSettings, load

PLAINTEXT = [
    (RepositorySettings, {"REPOSITORY_BIND": "0.0.0.0:50052"}, "REPOSITORY_BIND"),
    (ServiceSettings, {"SERVICE_BIND": "10.0.0.7:50051"}, "SERVICE_BIND"),
    (ServiceSettings, {"REPOSITORY_URL": "dns:///repository:50052"}, "REPOSITORY_URL"),
    (WorkerSettings, {"SERVICE_URL": "http://127.0.0.1:1,10.0.0.7:1"}, "SERVICE_URL"),
    (ControllerSettings, {"SERVICE_URL": "grpc://service:50051"}, "SERVICE_URL"),
    (ControllerSettings, {"SERVICE_URLS": "auth=grpc://auth:50051"}, "SERVICE_URLS"),
    (LauncherSettings, {"SERVICE_URL": "grpc://service:50051"}, "SERVICE_URL"),
]


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, str]:
    make_certificates(tmp_path)
    return tls_variables(tmp_path, "service")


@pytest.mark.parametrize(("cls", "environ", "name"), PLAINTEXT)
def test_a_hop_that_leaves_the_machine_needs_tls_or_a_word_that_it_may_go_without(
    cls: type[TierSettings], environ: dict[str, str], name: str, tls: dict[str, str]
) -> None:
    with pytest.raises(SettingsError) as raised:
        load(cls, environ)
    (fault,) = raised.value.faults
    assert fault.startswith(f"{name}: ")
    assert "TLS_CERT_FILE" in fault
    assert "ALLOW_PLAINTEXT=true" in fault
    load(cls, environ | {"ALLOW_PLAINTEXT": "true"})
    load(cls, environ | tls)


@pytest.mark.parametrize(
    ("cls", "environ"),
    [
        (RepositorySettings, {"REPOSITORY_BIND": "[::1]:50052"}),
        (ServiceSettings, {"REPOSITORY_URL": "dns:///localhost:50052"}),
        (ControllerSettings, {"SERVICE_URL": "grpc://127.0.0.1:1,127.0.0.2:1"}),
        (ControllerSettings, {"SERVICE_URL": "dns://10.0.0.1:53/localhost:1"}),
        # Consumers come without certificates; TLS ends before them.
        (ControllerSettings, {"CONTROLLER_BIND": "0.0.0.0:5000"}),
        (ControllerSettings, {"PUBLIC_GRPC_BIND": "0.0.0.0:50050"}),
        (ServiceSettings, {"HEALTH_BIND": "0.0.0.0:50061"}),
        (LauncherSettings, {"SERVICE_URL": "grpc://service:1", "ARCANA_TLS": "true"}),
    ],
)
def test_what_stays_on_the_machine_or_is_no_hop_needs_none(
    cls: type[TierSettings], environ: dict[str, str]
) -> None:
    load(cls, environ)


def test_all_three_files_are_given_or_none(tls: dict[str, str]) -> None:
    for name in tls:
        with pytest.raises(SettingsError, match="all three or none"):
            load(WorkerSettings, {each: path for each, path in tls.items() if each != name})


def test_files_that_do_not_belong_together_are_told_by_a_check_of_the_settings(
    tls: dict[str, str],
) -> None:
    other = tls["TLS_KEY_FILE"].replace("/service/", "/worker/")
    with pytest.raises(SettingsError, match=r"TLS_CERT_FILE: .* is not the unencrypted key"):
        load(ServiceSettings, tls | {"TLS_KEY_FILE": other})
    with pytest.raises(SettingsError, match="TLS_CERT_FILE: cannot read"):
        load(ServiceSettings, tls | {"TLS_CA_FILE": "/nowhere/ca.crt"})


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (ServiceSettings, "SERVICE_CALLERS"),
        (RepositorySettings, "REPOSITORY_CALLERS"),
        (RepositorySettings, "REPOSITORY_READERS"),
    ],
)
def test_a_list_of_callers_does_not_name_everybody(cls: type[TierSettings], name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: must not name localhost"):
        load(cls, {name: "service,localhost"})


def test_a_server_knows_its_callers_only_with_tls(tls: dict[str, str]) -> None:
    assert load(RepositorySettings, {}).grpc().tls is None
    found = load(RepositorySettings, tls | {"REPOSITORY_READERS": "reports"}).grpc().tls
    assert found is not None
    assert found.callers == {"service", "launcher"}
    assert found.readers == {"reports"}
    served = load(ServiceSettings, tls).server().tls
    assert served is not None
    assert served.callers == {"controller", "worker", "launcher"}


def test_the_launcher_calls_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    home = {"ARCANA_HOME": str(tmp_path)}
    assert load(LauncherSettings, home).own_tls() is None
    own = load(LauncherSettings, home | {"ARCANA_TLS": "true"}).own_tls()
    assert own is not None
    assert own.certificate == tmp_path / "tls" / "launcher" / "tls.crt"
