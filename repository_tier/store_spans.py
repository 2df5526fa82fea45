"""Spans of what the stores are asked, inside of a call that is traced.

The two instrumentations that OpenTelemetry has for this are not used: the one of SQLAlchemy is for
releases before ours, and both write the text of errors into spans, which quotes the values of rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Engine, event
from sqlalchemy.dialects.mysql.base import MySQLDialect
from sqlalchemy.engine import Connection, ExceptionContext

from tier_runtime.call import current_call
from tier_runtime.tracing.spans import NO_TRACING, Query, Tracing, is_recorded

# Where a statement of ours names its table. Ones that begin otherwise go without.
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+[`\"]?(\w+)", re.IGNORECASE)
# Enough to tell statements apart; a list of a thousand ids is as long as a thousand placeholders.
_MAX_TEXT = 1024
_SPAN = "arcana_span"


def trace_statements(engine: Engine, tracing: Tracing) -> None:
    """Have each statement of an engine, and no value of it, told as a span."""
    spans = _StatementSpans(engine, tracing)
    # First, so that the text is the one that was written, without a deadline that no two share.
    event.listen(engine, "before_cursor_execute", spans.begin, insert=True)
    event.listen(engine, "after_cursor_execute", spans.end)
    event.listen(engine, "handle_error", spans.fail)


class _StatementSpans:
    def __init__(self, engine: Engine, tracing: Tracing) -> None:
        self._tracing = tracing
        url = engine.url
        # The path of SQLite's file says where this process lives, and nothing of the statement.
        is_server = bool(url.host)
        self._namespace = (url.database or "") if is_server else ""
        self._host, self._port = url.host or "", url.port or 0

    def begin(
        self,
        connection: Connection,
        _cursor: Any,
        statement: str,
        _parameters: Any,
        context: Any,
        _executemany: bool,
    ) -> None:
        call = current_call()
        if call is None or context is None or not is_recorded(call.traceparent):
            return
        dialect = connection.dialect
        is_mariadb = isinstance(dialect, MySQLDialect) and dialect.is_mariadb
        table = _TABLE.search(statement, 0, _MAX_TEXT * 4)
        query = Query(
            system="mariadb" if is_mariadb else dialect.name,
            operation=statement.lstrip().partition(" ")[0].upper()[:16],
            collection=table[1] if table else "",
            text=statement[:_MAX_TEXT],
            namespace=self._namespace,
            host=self._host,
            port=self._port,
        )
        setattr(context, _SPAN, self._tracing.asked(query, call.carried))

    def end(
        self,
        _connection: Connection,
        _cursor: Any,
        _statement: str,
        _parameters: Any,
        context: Any,
        _executemany: bool,
    ) -> None:
        span = getattr(context, _SPAN, None)
        if span is not None:
            span.end()

    def fail(self, failure: ExceptionContext) -> None:
        span = getattr(failure.execution_context, _SPAN, None)
        if span is not None:
            # Its kind: its text quotes values.
            span.end(type(failure.original_exception).__name__)


class TracedRedis(Redis):
    """A client whose commands, without their arguments, are told as spans.

    What goes by a pipeline is not: only the relay and consumers of events use those.
    """

    tracing: Tracing = NO_TRACING

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command and return its answer."""
        with self._span(args):
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # has none

    @contextmanager
    def _span(self, args: tuple[Any, ...]) -> Iterator[None]:
        call = current_call()
        if call is None or not is_recorded(call.traceparent):
            yield
            return
        where = self.connection_pool.connection_kwargs
        query = Query(
            system="redis",
            operation=str(args[0]).partition(" ")[0].upper()[:32],
            host=str(where.get("host", "")),
            port=int(where.get("port", 0)),
        )
        span = self.tracing.asked(query, call.carried)
        try:
            yield
        except RedisError as error:
            span.end(type(error).__name__)
            raise
        else:
            span.end()
