from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from service_tier.assembly.key_material import read_keys, read_token_secret
from service_tier.assembly.services import make_services
from service_tier.common_passwords import read_common_passwords
from service_tier.hashing import WerkzeugFunction
from service_tier.repository import Repository
from service_tier.settings import ServiceSettings
from tests.fakes.audit import KeptActs
from tests.fakes.clock import FakeClock
from tests.fakes.repository import FakeRepository
from tier_runtime.ids import Uuid7Source
from tier_runtime.settings import SettingsError, describe, load

PUBLIC_PEM = (
    Ed25519PrivateKey.generate()
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
)
SECRET = "s3cret-s3cret-s3cret-s3cret-s3cret"


def test_every_setting_is_described() -> None:
    names = {doc.env_name for doc in describe(ServiceSettings)}
    assert {"SERVICE_BIND", "REPOSITORY_URL", "TOKEN_SECRET", "HASH_QUEUE"} <= names


def test_the_defaults_are_those_of_the_design() -> None:
    settings = load(ServiceSettings, {})
    assert settings.service_bind == "127.0.0.1:50051"
    assert settings.repository_url == "grpc://127.0.0.1:50052"
    assert settings.password_hash_method == "scrypt:131072:8:1"
    assert (settings.access_token_expires, settings.refresh_token_expires) == (3600, 604_800)
    assert settings.hash_slots >= 1


def test_every_fault_is_named_at_once_by_its_variable() -> None:
    with pytest.raises(SettingsError) as refused:
        load(
            ServiceSettings,
            {
                "JWT_ALGORITHM": "none",
                "TOKEN_SECRET": "short",
                "PASSWORD_HASH_METHOD": "md5",
                "ACCESS_TOKEN_EXPIRES": "0",
            },
        )
    assert [fault.partition(":")[0] for fault in refused.value.faults] == [
        "ACCESS_TOKEN_EXPIRES",
        "JWT_ALGORITHM",
        "PASSWORD_HASH_METHOD",
        "TOKEN_SECRET",
    ]
    assert "short" not in str(refused.value)


def test_an_audit_log_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    assert load(ServiceSettings, {}).audit_log_file is None
    path = tmp_path / "audit.jsonl"
    assert load(ServiceSettings, {"AUDIT_LOG_FILE": str(path)}).audit_log_file == path
    for bad in (tmp_path, tmp_path / "no" / "folder"):
        with pytest.raises(SettingsError) as refused:
            load(ServiceSettings, {"AUDIT_LOG_FILE": str(bad)})
        assert refused.value.faults[0].startswith("AUDIT_LOG_FILE: ")


@pytest.mark.parametrize(
    "method", ["scrypt", "scrypt:1000:8:1", "scrypt:1:8:1", "scrypt:1048576:16:1"]
)
def test_scrypt_parameters_that_cannot_work_are_refused(method: str) -> None:
    with pytest.raises(ValidationError):
        ServiceSettings(password_hash_method=method)


def test_hs256_needs_its_secret_and_signs_with_it(tmp_path: Path) -> None:
    for secret in ("", "short"):
        with pytest.raises(SettingsError) as refused:
            load(ServiceSettings, {"JWT_ALGORITHM": "HS256", "JWT_SECRET": secret})
        # Word for word what the edge says of it, so that `arcana up` says it once.
        assert refused.value.faults == ("JWT_SECRET: HS256 needs a secret of at least 32 bytes.",)
    settings = load(
        ServiceSettings,
        {"JWT_ALGORITHM": "HS256", "JWT_SECRET": SECRET, "ARCANA_HOME": str(tmp_path)},
    )
    ring = read_keys(settings)
    assert (ring.signing.algorithm, ring.published) == ("HS256", ())
    assert SECRET not in repr(settings)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_secret_is_named_beside_a_bad_value_and_not_missed_by_who_signs_nothing() -> None:
    with pytest.raises(SettingsError) as refused:
        load(ServiceSettings, {"JWT_ALGORITHM": "HS256", "HASH_QUEUE": "x"})
    names = [fault.partition(":")[0] for fault in refused.value.faults]
    assert names == ["HASH_QUEUE", "JWT_SECRET"]
    unsigned = load(ServiceSettings, {"JWT_ALGORITHM": "HS256", "SERVICES": "users,orders"})
    assert unsigned.jwt_secret is None


def test_keys_of_a_rotation_come_from_their_files(tmp_path: Path) -> None:
    old = load(ServiceSettings, {"ARCANA_HOME": str(tmp_path / "old")})
    new = load(ServiceSettings, {"ARCANA_HOME": str(tmp_path / "new")})
    old_key, new_key = read_keys(old).published[0], read_keys(new).published[0]
    files = {name: tmp_path / name / "keys" / "jwt_signing_key.pem" for name in ("old", "new")}
    rotated = load(
        ServiceSettings,
        {
            "JWT_SIGNING_KEY_FILE": str(files["new"]),
            "JWT_VERIFICATION_KEY_FILES": f"{files['old']}, {files['new']}",
        },
    )
    assert read_keys(rotated).published == (new_key, old_key)


def test_every_key_file_that_cannot_be_used_is_named_and_never_quoted(tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("a line that is nobody's business")
    public = tmp_path / "public.pem"
    public.write_bytes(PUBLIC_PEM)
    missing = tmp_path / "missing.pem"
    environ = {
        "JWT_SIGNING_KEY_FILE": str(public),
        "JWT_VERIFICATION_KEY_FILES": f"{text},{public},{missing}",
        "HASH_QUEUE": "-1",
    }
    with pytest.raises(SettingsError) as refused:
        load(ServiceSettings, environ)
    assert [fault.partition(":")[0] for fault in refused.value.faults] == [
        "HASH_QUEUE",
        "JWT_SIGNING_KEY_FILE",
        "JWT_VERIFICATION_KEY_FILES",
    ]
    told = str(refused.value)
    assert str(text) in refused.value.faults[2]
    assert str(missing) in refused.value.faults[2]
    assert str(public) not in refused.value.faults[2]
    assert "business" not in told
    assert PUBLIC_PEM.decode().splitlines()[1] not in told


def test_key_files_left_over_from_eddsa_do_no_harm_to_hs256() -> None:
    environ = {"JWT_ALGORITHM": "HS256", "JWT_SECRET": SECRET, "JWT_SIGNING_KEY_FILE": "/gone.pem"}
    assert load(ServiceSettings, environ).jwt_algorithm == "HS256"


def test_the_token_secret_is_made_once_or_taken_from_the_settings(tmp_path: Path) -> None:
    made = load(ServiceSettings, {"ARCANA_HOME": str(tmp_path)})
    secret = read_token_secret(made)
    assert len(secret) >= 32
    assert read_token_secret(made) == secret
    file = tmp_path / "keys" / "token_secret"
    named = load(ServiceSettings, {"TOKEN_SECRET_FILE": str(file)})
    assert read_token_secret(named) == secret


def test_whoever_hashes_waits_or_streams_has_a_thread_on_top() -> None:
    settings = ServiceSettings(hash_concurrency=3, hash_queue=5, service_threads=7)
    server = settings.server()
    assert (
        server.threads == 7 + 3 + 5 + settings.service_max_streams + settings.service_max_followers
    )
    assert server.max_concurrent_rpcs >= server.threads


def services_of(**environ: str) -> list[str]:
    settings, clock = load(ServiceSettings, environ), FakeClock()
    repository = Repository.over(FakeRepository(clock).channel())
    function = WerkzeugFunction("scrypt:1024:8:1")
    services = make_services(settings, repository, function, clock, Uuid7Source(), audit=KeptActs())
    return [service.service_full_name.rpartition(".")[2] for service in services]


def test_a_process_builds_only_the_services_that_it_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environ = {"ARCANA_HOME": str(home)}
    assert services_of(SERVICES="rate_limits", **environ) == ["RateLimitService"]
    # Nothing of what only the others need: no key, no secret.
    assert not home.exists()
    assert services_of(SERVICES="users", **environ) == ["UserService"]
    assert [file.name for file in (home / "keys").iterdir()] == ["token_secret"]
    assert services_of(SERVICES="orders,products", **environ) == ["ProductService", "OrderService"]
    accounts = ["AuthService", "UserService", "RateLimitService"]
    assert services_of(SERVICES="rate_limits, users, auth", **environ) == accounts
    shop = ["ProductService", "OrderService"]
    background = ["JobService", "EventService"]
    assert services_of(**environ) == [*accounts, *shop, *background, "FileService"]


@pytest.mark.parametrize("name", ["products", "orders", "jobs"])
def test_what_signs_no_token_needs_no_key_but_that_of_fingerprints(
    tmp_path: Path, name: str
) -> None:
    assert len(services_of(SERVICES=name, ARCANA_HOME=str(tmp_path))) == 1
    assert [file.name for file in (tmp_path / "keys").iterdir()] == ["token_secret"]


def test_a_service_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="SERVICES") as refused:
        load(ServiceSettings, {"SERVICES": "auth,mail"})
    assert "'orders', 'jobs', 'events' or 'files'" in str(refused.value)


def test_one_process_serves_grpc_unless_it_is_told_otherwise() -> None:
    serving = load(ServiceSettings, {}).serving()
    assert (serving.name, serving.protocol, serving.workers) == ("service", "grpc", 1)
    told = load(ServiceSettings, {"COMMUNICATION_PROTOCOL": "http", "WORKERS": "3"}).serving()
    assert (told.protocol, told.workers) == ("http", 3)
    with pytest.raises(SettingsError, match="COMMUNICATION_PROTOCOL"):
        load(ServiceSettings, {"COMMUNICATION_PROTOCOL": "soap"})


def test_the_list_of_common_passwords_ships_with_the_tier() -> None:
    assert "password" in read_common_passwords()
