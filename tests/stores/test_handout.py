"""What tests rely on when they ask for a store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pymysql
import pytest
import redis
from sqlalchemy.engine import make_url

from tests.stores import Store, Stores
from tests.stores.handout import NoRealStoreError
from tests.stores.servers import Servers


class NoServers:
    def servers(self) -> Servers:
        return Servers(notes=["no Docker engine answers"])

    def close(self) -> None: ...


@pytest.fixture
def server(mysql_server_url: str) -> Iterator[pymysql.cursors.Cursor]:
    address = make_url(mysql_server_url)
    connection = pymysql.connect(
        host=address.host or "",
        port=address.port or 0,
        user=address.username,
        password=address.password or "",
    )
    with contextlib.closing(connection), connection.cursor() as cursor:
        yield cursor


def test_two_new_stores_share_nothing(stores: Stores, store: Store) -> None:
    other = stores.new_store(store.kind)

    assert other.database_url != store.database_url
    assert not store.redis_url or other.redis_url != store.redis_url


def test_a_worker_has_one_store_of_its_own(stores: Stores, worker_store: Store) -> None:
    assert stores.worker_store(worker_store.kind) == worker_store


def test_a_new_database_is_there_and_has_no_tables(
    stores: Stores, server: pymysql.cursors.Cursor
) -> None:
    database = make_url(stores.database_url("real")).database

    schemata = "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s"
    tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s"
    server.execute(schemata, (database,))
    assert server.fetchone() == (1,)
    server.execute(tables, (database,))
    assert server.fetchone() == (0,)


def test_a_redis_number_is_empty_when_it_is_given(stores: Stores, redis_server_url: str) -> None:
    with redis.Redis.from_url(stores.redis_url("real")) as client:
        assert client.dbsize() == 0


def test_without_servers_the_reason_names_what_was_tried(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    bare = Stores(NoServers(), tmp_path_factory.mktemp)

    with pytest.raises(NoRealStoreError, match="no Docker engine answers"):
        bare.new_store("real")
    assert bare.new_store("embedded").environ().keys() == {"DATABASE_URL", "BLOB_URL"}
