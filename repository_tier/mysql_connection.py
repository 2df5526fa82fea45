"""PyMySQL's connection, without a search for certificates that it would not look at."""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any

from pymysql.connections import Connection
from sqlalchemy import Engine, event


class MySqlConnection(Connection):
    """A connection that is encrypted where the server offers it, as PyMySQL's own is.

    Unless the URL says by which authority a server is known (`ssl_ca`), PyMySQL believes whoever
    answers. It reads all authorities that this machine knows all the same, anew for each
    connection, which takes longer than all the rest of it.
    """

    def _create_ssl_ctx(self, sslp: dict[str, Any] | ssl.SSLContext) -> ssl.SSLContext:
        if sslp:
            asked: ssl.SSLContext = super()._create_ssl_ctx(sslp)  # type: ignore[misc]  # private
            return asked
        return _unasked()


def connect_by_pymysql(engine: Engine) -> None:
    """Have the engine open such connections, where PyMySQL is its driver."""
    if engine.dialect.driver == "pymysql":
        event.listen(engine, "do_connect", _connect)


def _connect(
    _dialect: Any, _entry: Any, arguments: tuple[Any, ...], options: dict[str, Any]
) -> MySqlConnection:
    return MySqlConnection(*arguments, **options)


@cache
def _unasked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
