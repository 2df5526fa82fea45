from __future__ import annotations

import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from launcher.cli import app
from launcher.secret_files import Stores, accounts_sql, make_secrets, users_acl
from launcher.tiers import new_signing_key
from repository_tier.settings import RepositorySettings
from service_tier.settings import ServiceSettings
from tier_runtime.settings import load
from tier_runtime.startup import StartupError


def _make(folder: Path, stores: Stores | None = None) -> dict[str, bool]:
    return make_secrets(folder, stores or Stores(), new_signing_key)


def _contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def test_each_reader_gets_a_folder_with_its_own_secrets_only(tmp_path: Path) -> None:
    made = _make(tmp_path / "secrets")
    assert set(made) == _contents(tmp_path / "secrets").keys()
    assert set(made) == {
        "admin/password",
        "auth/jwt_signing_key.pem",
        "controller/download_secret",
        "migrate/database_url",
        "mysql/accounts.sql",
        "mysql/root_password",
        "redis/users.acl",
        "repository/database_url",
        "repository/redis_url",
        "service/token_secret",
        "worker/redis_url",
    }
    assert all(made.values())


def test_the_second_time_everything_is_kept(tmp_path: Path) -> None:
    _make(tmp_path)
    before = _contents(tmp_path)
    assert not any(_make(tmp_path).values())
    assert _contents(tmp_path) == before


def test_what_a_first_start_left_unfinished_is_finished_with_the_same_passwords(
    tmp_path: Path,
) -> None:
    _make(tmp_path)
    before = _contents(tmp_path)
    (tmp_path / "mysql" / "accounts.sql").unlink()
    (tmp_path / "redis" / "users.acl").unlink()
    made = _make(tmp_path)
    assert {name for name, is_new in made.items() if is_new} == {
        "mysql/accounts.sql",
        "redis/users.acl",
    }
    assert _contents(tmp_path) == before


def test_a_servers_file_that_was_left_closed_is_opened_by_the_next_start(tmp_path: Path) -> None:
    _make(tmp_path)
    for name in ("mysql/accounts.sql", "redis/users.acl"):
        (tmp_path / name).chmod(0o600)
    _make(tmp_path)
    for name in ("mysql/accounts.sql", "redis/users.acl"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o444


def test_what_two_deployments_make_differs_in_every_file(tmp_path: Path) -> None:
    _make(tmp_path / "one")
    _make(tmp_path / "two")
    one, two = _contents(tmp_path / "one"), _contents(tmp_path / "two")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] == two[name]] == []


def test_only_the_servers_files_can_be_read_by_other_users(tmp_path: Path) -> None:
    made = _make(tmp_path)
    for name in made:
        mode = stat.S_IMODE((tmp_path / name).stat().st_mode)
        is_a_servers = name.startswith(("mysql/", "redis/"))
        assert mode == (0o444 if is_a_servers else 0o600), name


def test_the_tiers_take_what_was_made_for_them(tmp_path: Path) -> None:
    _make(tmp_path, Stores("db.example:3307/shop_one", "cache.example:6380/2"))
    repository = load(
        RepositorySettings,
        {
            "DATABASE_URL_FILE": str(tmp_path / "repository" / "database_url"),
            "REDIS_URL_FILE": str(tmp_path / "repository" / "redis_url"),
        },
    )
    database = make_url(repository.database())
    assert (database.username, database.host, database.port) == ("arcana", "db.example", 3307)
    assert database.database == "shop_one"
    cache = urlsplit(repository.redis())
    assert (cache.username, cache.hostname, cache.port) == ("repository", "cache.example", 6380)
    assert cache.path == "/2"
    service = load(
        ServiceSettings,
        {
            "TOKEN_SECRET_FILE": str(tmp_path / "service" / "token_secret"),
            "JWT_SIGNING_KEY_FILE": str(tmp_path / "auth" / "jwt_signing_key.pem"),
        },
    )
    assert service.token_secret is not None


def test_of_the_two_users_of_the_database_only_the_one_for_migrations_may_change_tables() -> None:
    tier = "mysql+pymysql://arcana:one@mysql:3306/shop_one"
    migrations = "mysql+pymysql://arcana_migrate:two@mysql:3306/shop_one"
    assert accounts_sql(tier, migrations).splitlines() == [
        "CREATE USER 'arcana'@'%' IDENTIFIED BY 'one';",
        r"GRANT SELECT, INSERT, UPDATE, DELETE ON `shop\_one`.* TO 'arcana'@'%';",
        "CREATE USER 'arcana_migrate'@'%' IDENTIFIED BY 'two';",
        (
            "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES "
            r"ON `shop\_one`.* TO 'arcana_migrate'@'%';"
        ),
    ]


def test_whoever_has_not_signed_in_to_redis_may_ask_whether_it_lives_and_nothing_else() -> None:
    lines = users_acl("redis://repository:one@r:6379/0", "redis://worker:two@r:6379/0").splitlines()
    rules = {line.split()[1]: line.split()[2:] for line in lines}
    assert rules["default"] == ["on", "nopass", "resetkeys", "resetchannels", "-@all", "+ping"]
    assert rules["repository"][:3] == ["on", ">one", "~arcana:*"]
    assert rules["worker"][:3] == ["on", ">two", "~arcana:broker:*"]
    for user in ("repository", "worker"):
        rights = rules[user][3:]
        # A rule takes back what the ones before it gave.
        assert rights == ["resetchannels", "&arcana:broker:*", "+@all", "-@admin", "-@dangerous"]


@pytest.mark.parametrize(
    "database", ["mysql:3306", "mysql:3306/", "mysql:3306/a-b", "m:1/a`b", "m/a", ":1/a", "m:x/a"]
)
def test_a_place_of_a_database_that_is_none_is_refused(database: str) -> None:
    with pytest.raises(StartupError, match="host:port/name"):
        Stores(database=database)


@pytest.mark.parametrize("redis", ["redis:6379", "redis:6379/", "redis:6379/x", "redis/0", "r:x/0"])
def test_a_place_of_a_redis_that_is_none_is_refused(redis: str) -> None:
    with pytest.raises(StartupError, match="host:port/number"):
        Stores(redis=redis)


def test_the_command_names_every_file_and_says_whether_it_was_made(tmp_path: Path) -> None:
    words = ["secrets", str(tmp_path), "--database", "db:3306/shop", "--redis", "cache:6379/1"]
    first, second = (CliRunner().invoke(app, words) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert f"Made {tmp_path}/repository/database_url" in first.output
    assert f"Kept {tmp_path}/repository/database_url" in second.output
    told = (tmp_path / "repository" / "database_url").read_text()
    assert told.endswith("@db:3306/shop?charset=utf8mb4")
    assert told not in first.output


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StartupError, match="Cannot keep a secret in"):
        _make(tmp_path / "file")
