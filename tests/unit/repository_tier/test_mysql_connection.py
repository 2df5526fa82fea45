"""What stands between the repository tier and MySQL, before anything is connected."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from pymysql.connections import Connection
from sqlalchemy import Engine

from repository_tier.engine import PoolSettings, make_engines
from repository_tier.mysql_connection import MySqlConnection

# A server that nobody has started; connections to it are made, but not opened.
URL = "mysql+pymysql://user:password@127.0.0.1:9/arcana"


@pytest.fixture
def unopened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect the connections that would have been opened."""
    made: list[Any] = []

    def connect(connection: Any, _socket: Any = None) -> None:
        made.append(connection)
        raise OSError("There is no server.")

    monkeypatch.setattr(Connection, "connect", connect)
    return made


def _opened(engine: Engine) -> None:
    with pytest.raises(OSError, match="There is no server"):
        engine.connect()


def test_connections_are_encrypted_as_pymysql_s_own_are() -> None:
    ours: Any = MySqlConnection(defer_connect=True)
    own: Any = Connection(defer_connect=True)
    for told in ("verify_mode", "check_hostname", "options", "minimum_version"):
        assert getattr(ours.ctx, told) == getattr(own.ctx, told)
    assert ours.ctx.get_ciphers() == own.ctx.get_ciphers()
    assert (ours.ssl, ours._ssl_required) == (own.ssl, own._ssl_required) == (True, False)


def test_no_authority_is_read_where_none_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_context: ssl.SSLContext, _purpose: Any = None) -> None:
        raise AssertionError("The machine's authorities are read.")

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", read)
    first: Any = MySqlConnection(defer_connect=True)
    second: Any = MySqlConnection(defer_connect=True)
    assert first.ctx is second.ctx


def test_a_server_s_authority_is_asked_where_the_url_names_one(tmp_path: Path) -> None:
    missing = tmp_path / "authority.pem"
    with pytest.raises(FileNotFoundError):
        MySqlConnection(defer_connect=True, ssl_ca=str(missing), ssl_verify_cert=True)
    context = ssl.create_default_context()
    given: Any = MySqlConnection(defer_connect=True, ssl=context)
    assert given.ctx is context
    assert given._ssl_required


def test_both_pools_open_such_connections(unopened: list[Any]) -> None:
    engines = make_engines(URL, PoolSettings(1, 1.0, 1, 1.0))
    _opened(engines.readers)
    _opened(engines.writers)
    assert [type(connection) for connection in unopened] == [MySqlConnection, MySqlConnection]
    engines.close()
