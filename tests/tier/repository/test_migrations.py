from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, select, text

from repository_tier.engine import PoolSettings, make_engines
from repository_tier.migrate import main, migrate
from repository_tier.revisions import (
    current_revision,
    is_known,
    known_revisions,
    migrations_folder,
    required_revision,
)
from repository_tier.tables import metadata, roles
from tests.stores import Store, StoreKind, Stores, TcpRelay
from tier_runtime.startup import StartupError

VERSIONS = Path(__file__).parents[3] / "migrations" / "versions"
REVISIONS = sorted(path.stem[:4] for path in VERSIONS.glob("[0-9]*.py"))


@pytest.fixture
def engine(store: Store) -> Iterator[Engine]:
    engines = make_engines(store.database_url, PoolSettings(4, 1.0, 5, 30.0))
    yield engines.writers
    engines.close()


@pytest.fixture(scope="module")
def done_store(stores: Stores, store_kind: StoreKind) -> Store:
    """Give a store in which everything is done, whatever is recorded."""
    store = stores.new_store(store_kind)
    migrate(store.database_url)
    return store


def revision_of(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return current_revision(connection)


def kept_besides(engine: Engine) -> set[str]:
    """Return what is not the business of the tables' description, or not this way."""
    names = {"alembic_version"}
    if engine.dialect.name == "sqlite":
        # In place of MySQL's full-text index: a virtual table and what SQLite keeps for it.
        names.add("ix_product_search_words")
        names |= {name for name in inspect(engine).get_table_names() if "search_index" in name}
    return names


def known_roles(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(select(roles.c.name)))


def test_a_new_database_gets_what_the_tables_describe(store: Store, engine: Engine) -> None:
    assert revision_of(engine) is None
    migrate(store.database_url)
    assert revision_of(engine) == required_revision() == REVISIONS[-1]
    besides = kept_besides(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": engine.dialect.name != "sqlite",
                "target_metadata": metadata,
                "include_object": lambda _thing, name, *_rest: name not in besides,
            },
        )
        assert compare_metadata(context, metadata) == []
    assert known_roles(engine) == {"admin", "premium", "user"}


def test_indexes_are_those_that_the_tables_describe(store: Store, engine: Engine) -> None:
    migrate(store.database_url)
    found = inspect(engine)
    besides = kept_besides(engine)
    for table in metadata.sorted_tables:
        kept = {
            index["name"]: index["column_names"]
            for index in found.get_indexes(table.name)
            if not index["unique"]
        }
        described = {
            index.name: index.columns.keys() for index in table.indexes if index.name not in besides
        }
        assert described.items() <= kept.items()


def test_words_have_a_full_text_index(store: Store, engine: Engine) -> None:
    migrate(store.database_url)
    if engine.dialect.name == "sqlite":
        kept = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        # For each thing that can be done to a row.
        expected = {f"product_search_{done}" for done in ("insert", "update", "delete")}
    else:
        kept = (
            "SELECT index_type FROM information_schema.statistics "
            "WHERE table_schema = DATABASE() AND index_name = 'ix_product_search_words'"
        )
        expected = {"FULLTEXT"}
    with engine.connect() as connection:
        assert set(connection.scalars(text(kept))) == expected


def test_migrating_again_changes_nothing(store: Store, engine: Engine) -> None:
    migrate(store.database_url)
    migrate(store.database_url)
    assert revision_of(engine) == REVISIONS[-1]
    assert known_roles(engine) == {"admin", "premium", "user"}


# Takes, as SQLite's last connection would, all that connections lock of the file they share.
TAKE_ALL = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)
"""


def is_taken(file: str) -> bool:
    """Have another process try to take the file's locks."""
    tried = subprocess.run(
        [sys.executable, "-c", TAKE_ALL, file], check=False, capture_output=True, text=True
    )
    assert tried.returncode == 0 or "BlockingIOError" in tried.stderr, tried.stderr
    return tried.returncode == 0


def test_migrating_again_takes_no_lock_from_connections_of_the_same_process(
    stores: Stores,
) -> None:
    url = stores.new_store("embedded").database_url
    file = url.removeprefix("sqlite:///")
    migrate(url)
    engines = make_engines(url, PoolSettings(1, 1.0, 5, 30.0))
    try:
        with engines.readers.connect() as connection:
            connection.execute(select(roles.c.name)).all()
            assert not is_taken(file)
            migrate(url)
            assert not is_taken(file)
    finally:
        engines.close()
    assert is_taken(file)


@pytest.mark.parametrize("behind", ["", *REVISIONS[:-1]])
def test_a_step_that_was_done_and_not_recorded_is_done_again(
    done_store: Store, behind: str
) -> None:
    # The worst of all half-done migrations: everything is there, and nothing after this
    # revision is recorded. Each later step meets what it was going to make.
    engines = make_engines(done_store.database_url, PoolSettings(1, 1.0, 5, 30.0))
    try:
        with engines.writers.begin() as connection:
            connection.execute(text("DELETE FROM alembic_version"))
            if behind:
                connection.execute(
                    text("INSERT INTO alembic_version VALUES (:behind)"), {"behind": behind}
                )
        migrate(done_store.database_url)
        assert revision_of(engines.writers) == REVISIONS[-1]
    finally:
        engines.close()


def test_an_index_that_is_missing_beside_others_is_added(store: Store, engine: Engine) -> None:
    migrate(store.database_url)
    drop = "DROP INDEX ix_users_name_key_id" + (
        "" if engine.dialect.name == "sqlite" else " ON users"
    )
    with engine.begin() as connection:
        connection.execute(text(drop))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    migrate(store.database_url)
    names = {index["name"] for index in inspect(engine).get_indexes("users")}
    assert "ix_users_name_key_id" in names


def test_several_at_once_do_it_once(store: Store, engine: Engine) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _number: migrate(store.database_url), range(6)))
    assert revision_of(engine) == REVISIONS[-1]
    assert known_roles(engine) == {"admin", "premium", "user"}


def test_several_processes_at_once_do_it_once(store: Store, engine: Engine) -> None:
    program = "import sys; from repository_tier.migrate import migrate; migrate(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", program, store.database_url]) for _ in range(3)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert revision_of(engine) == REVISIONS[-1]


def test_a_database_of_a_newer_build_is_left_alone(store: Store, engine: Engine) -> None:
    migrate(store.database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StartupError, match="9999, which a newer Arcana has made"):
        migrate(store.database_url)
    assert revision_of(engine) == "9999"


def test_a_database_that_does_not_answer_is_one_clear_line(real_store: Store) -> None:
    with TcpRelay.to(real_store.database_url) as relay:
        relay.cut()
        with pytest.raises(StartupError) as caught:
            migrate(relay.url)
    message = str(caught.value)
    driver = real_store.database_url.partition("://")[0]
    assert message.startswith(f"Cannot migrate the database {driver}://")
    assert "\n" not in message
    assert real_store.database_url.split(":")[2].split("@")[0] not in message


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "arcana.db"
    file.write_text("This is no database, but a text of some length." * 30)
    with pytest.raises(StartupError, match="file is not a database"):
        migrate(f"sqlite:///{file}")


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match=r"Cannot make .*/file/arcana\.db"):
        migrate(f"sqlite:///{tmp_path}/file/arcana.db")


def test_a_new_database_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "arcana.db"
    migrate(f"sqlite:///{file}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_migration_waits_for_another_one_of_the_same_file(tmp_path: Path) -> None:
    file = tmp_path / "arcana.db"
    with sqlite3.connect(file, isolation_level=None, check_same_thread=False) as other:
        other.execute("BEGIN EXCLUSIVE")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(migrate, f"sqlite:///{file}")
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
            other.execute("COMMIT")
            waiting.result(30)
    other.close()


def test_the_command_migrates_what_the_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("ARCANA_HOME", str(tmp_path / "home"))
    assert main() == 0
    engines = make_engines(f"sqlite:///{tmp_path}/home/arcana.db", PoolSettings(1, 1.0, 1, 3.0))
    try:
        assert revision_of(engines.writers) == REVISIONS[-1]
    finally:
        engines.close()


def test_revisions_follow_one_another() -> None:
    assert [f"{number:04}" for number in range(1, len(REVISIONS) + 1)] == REVISIONS
    config = Config()
    config.set_main_option("script_location", migrations_folder())
    by_alembic = [
        script.revision for script in ScriptDirectory.from_config(config).walk_revisions()
    ]
    assert list(known_revisions()) == REVISIONS == by_alembic[::-1]
    assert all(is_known(revision) for revision in REVISIONS)
    assert not is_known("9999")
