"""One JSON line per event, from our own code and from every library alike."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from tier_runtime.call import current_call
from tier_runtime.redaction import redact

# What `configure_logging` itself puts into every event.
_OURS = frozenset({"time", "level", "tier"})
_LIBRARIES = (
    "alembic",
    "grpc",
    "gunicorn.access",
    "gunicorn.error",
    "sqlalchemy",
    "sqlalchemy.engine",
)


def configure_logging(
    tier: str,
    level: str,
    stream: TextIO = sys.stdout,
    json: bool = True,
) -> None:
    """Send all logging of this process to the stream, one line per event.

    Each line has `time` (RFC 3339, UTC), `level`, `tier`, `logger`, `event` and, while a call is
    being served, its `request_id`; an exception is one field. The standard library's logging
    (grpc, gunicorn, sqlalchemy, alembic) goes the same way. With `json` false the lines are made
    for a console. Calling it again replaces what was configured.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _TierName(tier),
        add_request_id,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(serializer=_json_line)
        if json
        else structlog.dev.ConsoleRenderer(colors=False, timestamp_key="time")
    )
    last: list[Processor] = [
        # The text of an exception may quote anything, so it is text before redaction.
        structlog.processors.format_exc_info,
        redact_event,
        renderer,
    ]
    # Our own events do not take the way through the standard library: every request and every
    # RPC of every tier writes one, and its records and formatters cost twice as much as the rest.
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda name: _LineLogger(name, stream),
        # Loggers made at import are proxies; caching would tie them to the first configuration.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Warnings of Python itself are events too.
    logging.captureWarnings(capture=True)
    adopt_loggers(*_LIBRARIES)


def adopt_loggers(*names: str) -> None:
    """Make loggers that brought handlers of their own write through ours instead.

    `configure_logging` does it for the libraries we know; call it for one that sets itself up
    later, as gunicorn does when it starts.
    """
    for name in names:
        logger = logging.getLogger(name)
        for handler in logger.handlers[:]:
            logger.removeHandler(handler)
        logger.propagate = True


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of that name. It may be asked for before logging is configured."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def add_request_id(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the ids of the call that this thread is serving: ours, and the caller's trace if any."""
    call = current_call()
    if call is not None:
        event.setdefault("request_id", call.request_id)
        if call.traceparent:
            # W3C Trace Context, section 3.2: version-traceid-parentid-flags.
            event.setdefault("trace_id", call.traceparent.split("-")[1])
    return event


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Take secrets, e-mail addresses and tokens out of every field."""
    return {
        str(key): value if key in _OURS else redact(value, str(key)) for key, value in event.items()
    }


class _LineLogger:
    """Writes lines. One that cannot be written is lost: no request fails for it."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name = name
        self._stream = stream

    def msg(self, line: str) -> None:
        # In one piece, so that lines of several threads do not mix.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = info = warning = error = critical = msg


class _TierName:
    def __init__(self, tier: str) -> None:
        self._tier = tier

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["tier"] = self._tier
        return event


def _json_line(event: EventDict, **_options: Any) -> str:
    # `time`, `level`, `tier` and `event` first: people read these lines too.
    first = {key: event[key] for key in ("time", "level", "tier", "event") if key in event}
    return orjson.dumps({**first, **event}).decode()
