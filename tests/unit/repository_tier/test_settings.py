from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from repository_tier.expired import JOBS_KEPT
from repository_tier.settings import BucketPlace, FolderPlace, RepositorySettings
from tier_runtime.settings import SettingsError, describe, load


def faults(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(RepositorySettings, environ)
    return str(caught.value)


def test_without_a_setting_the_stores_are_embedded() -> None:
    settings = load(RepositorySettings, {"ARCANA_HOME": "/srv/arcana"})
    assert settings.database() == "sqlite:////srv/arcana/arcana.db"
    assert settings.redis() == ""
    assert settings.grpc().bind == "127.0.0.1:50052"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////tmp/x.db",
        "mysql+pymysql://user:pw@db:3306/arcana?charset=utf8mb4",
        "mariadb+pymysql://user@db/arcana",
    ],
)
def test_these_databases_are_known(url: str) -> None:
    assert load(RepositorySettings, {"DATABASE_URL": url}).database() == url


@pytest.mark.parametrize(
    "url",
    ["postgresql://user:hunter2@db/x", "mysql+pymysql://user:hunter2@db", "sqlite://", "nonsense"],
)
def test_another_database_is_refused_without_telling_its_password(url: str) -> None:
    told = faults(DATABASE_URL=url)
    assert told.startswith("DATABASE_URL: must name a database")
    assert "hunter2" not in told


def test_the_faster_driver_is_taken_only_where_it_is_installed() -> None:
    environ = {"DATABASE_URL": "mysql+mysqldb://user:hunter2@db/arcana"}
    if find_spec("MySQLdb") is None:
        assert "DATABASE_URL: needs mysqlclient" in faults(**environ)
        assert "hunter2" not in faults(**environ)
    else:
        assert load(RepositorySettings, environ).database() == environ["DATABASE_URL"]


def test_another_cache_is_refused() -> None:
    assert faults(REDIS_URL="memcached://x").startswith("REDIS_URL: must be a URL")
    assert faults(REDIS_URL="x").startswith("REDIS_URL: must be a URL")
    assert load(RepositorySettings, {"REDIS_URL": "redis://r:6379/1"}).redis() == "redis://r:6379/1"


def test_files_lie_in_a_folder_or_in_a_bucket() -> None:
    at_home = load(RepositorySettings, {"ARCANA_HOME": "/srv/arcana"})
    assert at_home.blobs() == FolderPlace(Path("/srv/arcana/files"))
    elsewhere = load(RepositorySettings, {"BLOB_URL": "file:///srv/my%20files"})
    assert elsewhere.blobs() == FolderPlace(Path("/srv/my files"))
    environ = {"BLOB_URL": "s3://bucket/some/prefix", "S3_ENDPOINT_URL": "https://store:9000"}
    bucket = load(RepositorySettings, environ)
    assert bucket.blobs() == BucketPlace("https://store:9000", "bucket", "/some/prefix")


@pytest.mark.parametrize(
    "url",
    ["/srv/files", "ftp://h/x", "file://host/x", "file:///", "s3:///x", "s3://b/x?y", "s3://"],
)
def test_another_place_for_files_is_refused(url: str) -> None:
    assert faults(BLOB_URL=url).startswith("BLOB_URL: ")


def test_an_object_store_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repository_tier.settings.find_spec", lambda _name: None)
    assert "needs boto3" in faults(BLOB_URL="s3://bucket")


@pytest.mark.parametrize("url", ["store:9000", "s3://store", "http://"])
def test_an_endpoint_is_a_web_address(url: str) -> None:
    assert faults(S3_ENDPOINT_URL=url).startswith("S3_ENDPOINT_URL: must be http")


def test_streams_have_threads_of_their_own() -> None:
    told = {
        "REPOSITORY_THREADS": "6",
        "REPOSITORY_MAX_STREAMS": "5",
        "EVENT_MAX_CONSUMERS": "2",
        "EVENT_MAX_FOLLOWERS": "3",
    }
    grpc = load(RepositorySettings, told).grpc()
    assert (grpc.threads, grpc.max_at_once) == (6 + 5 + 2 + 3, 6)
    assert grpc.stream_limit == 5
    assert sorted(grpc.max_open_streams_of.values()) == [2, 3]


def test_a_pool_that_starves_threads_is_refused() -> None:
    told = faults(DATABASE_POOL_SIZE="8", REPOSITORY_THREADS="9")
    assert told == "DATABASE_POOL_SIZE: must be at least REPOSITORY_THREADS."


def test_a_database_that_is_waited_for_has_more_threads_than_a_file() -> None:
    on_server = {"DATABASE_URL": "mysql+pymysql://user:hunter2@db/arcana"}
    assert load(RepositorySettings, {}).threads() == 4
    assert load(RepositorySettings, on_server).threads() == 16
    assert load(RepositorySettings, {**on_server, "REPOSITORY_THREADS": "5"}).threads() == 5
    assert faults(REPOSITORY_THREADS="3") == "REPOSITORY_THREADS: must be 0 or at least 4."


def test_every_rule_that_is_broken_is_named_beside_every_bad_value() -> None:
    told = faults(DATABASE_POOL_SIZE="1", WORKERS="2", CACHE_TTL_SECONDS="0")
    assert [line.partition(":")[0] for line in told.splitlines()] == [
        "CACHE_TTL_SECONDS",
        "DATABASE_POOL_SIZE",
        "WORKERS",
    ]


def test_the_url_can_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("mysql+pymysql://user:pw@db/arcana\n")
    settings = load(RepositorySettings, {"DATABASE_URL_FILE": str(file)})
    assert settings.database() == "mysql+pymysql://user:pw@db/arcana"
    assert "pw@" not in repr(settings)


def test_several_processes_need_stores_that_are_servers() -> None:
    database = {"DATABASE_URL": "mysql+pymysql://user@db/arcana"}
    cache = {"REDIS_URL": "redis://r:6379/1"}
    for embedded in ({}, database, cache):
        told = faults(WORKERS="2", **embedded)
        assert told.startswith("WORKERS: must be 1 on embedded stores")
    serving = load(RepositorySettings, {"WORKERS": "2", **database, **cache}).serving()
    assert (serving.name, serving.workers) == ("repository", 2)
    assert serving.grpc.bind == "127.0.0.1:50052"


def test_no_event_outlives_the_keys_of_the_jobs_that_were_made_for_it() -> None:
    longest = JOBS_KEPT.total_seconds() / 2
    assert load(RepositorySettings, {"EVENT_KEPT_SECONDS": str(longest)}).event_kept_seconds
    assert faults(EVENT_KEPT_SECONDS=str(longest + 1)).startswith("EVENT_KEPT_SECONDS")


def test_every_setting_is_described() -> None:
    assert len(describe(RepositorySettings)) == len(RepositorySettings.model_fields)


@pytest.mark.parametrize("password", ["p@ss/w:rd", "p@ss"])
def test_a_password_that_is_not_percent_encoded_is_refused_and_not_shown(password: str) -> None:
    told = faults(DATABASE_URL=f"mysql+pymysql://arcana:{password}@127.0.0.1:3306/arcana")
    assert told.startswith("DATABASE_URL:")
    assert "%40" in told
    assert "@ss" not in told
