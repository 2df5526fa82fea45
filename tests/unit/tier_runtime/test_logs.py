from __future__ import annotations

import io
import json
import logging
import warnings
from datetime import UTC, datetime
from typing import Any

import pytest

from tier_runtime.call import Actor, Call, call_scope
from tier_runtime.deadline import Deadline
from tier_runtime.logs import adopt_loggers, configure_logging, get_logger


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure_logging("service", "info", stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_time_level_tier_and_event(stream: io.StringIO) -> None:
    get_logger("arcana.test").info("user_created", user_id="u-1", text="two\nlines")
    (line,) = lines(stream)
    assert list(line)[:4] == ["time", "level", "tier", "event"]
    assert line["time"].endswith("Z")
    assert datetime.fromisoformat(line["time"]).tzinfo == UTC
    assert (line["level"], line["tier"], line["event"]) == ("info", "service", "user_created")
    assert (line["logger"], line["user_id"], line["text"]) == ("arcana.test", "u-1", "two\nlines")
    assert "request_id" not in line


def test_a_line_carries_the_request_id_of_the_call_being_served(stream: io.StringIO) -> None:
    with call_scope(Call(Actor(), "r-1", Deadline.after(1))):
        get_logger("x").info("ours")
        logging.getLogger("sqlalchemy").warning("theirs")
    assert [line["request_id"] for line in lines(stream)] == ["r-1", "r-1"]


def test_the_standard_library_speaks_through_the_same_formatter(stream: io.StringIO) -> None:
    logging.getLogger("grpc").warning("peer %s is gone", "b:1", extra={"attempt": 2})
    (line,) = lines(stream)
    assert line["event"] == "peer b:1 is gone"
    assert (line["logger"], line["level"], line["tier"]) == ("grpc", "warning", "service")
    assert line["attempt"] == 2


def test_a_library_that_brought_its_own_handler_writes_through_ours(
    stream: io.StringIO,
) -> None:
    own = io.StringIO()
    logger = logging.getLogger("gunicorn.error")
    logger.addHandler(logging.StreamHandler(own))
    logger.propagate = False
    adopt_loggers("gunicorn.error")
    logger.error("worker died")
    assert own.getvalue() == ""
    assert [line["event"] for line in lines(stream)] == ["worker died"]


def test_warnings_are_events_too(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        # It does nothing where it is believed to be on, as pytest's own capture leaves it.
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    (line,) = lines(stream)
    assert "old thing" in line["event"]
    assert line["logger"] == "py.warnings"


def test_an_exception_is_one_field_and_has_no_secret(stream: io.StringIO) -> None:
    def fail() -> None:
        raise ValueError("no such user: ada@example.org")

    for log in (get_logger("ours"), logging.getLogger("theirs")):
        try:
            fail()
        except ValueError:
            log.exception("failed")
    for line in lines(stream):
        assert line["event"] == "failed"
        assert line["exception"].startswith("Traceback (most recent call last):")
        assert "ValueError" in line["exception"]
        assert "exc_info" not in line
    assert "ada" not in stream.getvalue()


def test_secrets_in_fields_and_in_texts_are_redacted(stream: io.StringIO) -> None:
    get_logger("x").info("mail to ada@example.org", password="hunter2", nested={"token": "t"})
    logging.getLogger("gunicorn").error("bad header: %s", "Bearer abcdef")
    for secret in ("ada", "hunter2", "abcdef"):
        assert secret not in stream.getvalue()
    assert lines(stream)[0]["nested"] == {"token": "[redacted]"}


def test_lines_below_the_level_are_not_written(stream: io.StringIO) -> None:
    get_logger("x").debug("quiet")
    logging.getLogger("y").debug("quiet")
    configure_logging("service", "error", stream)
    get_logger("x").warning("quiet")
    assert stream.getvalue() == ""


def test_a_logger_made_before_configuration_follows_it() -> None:
    early = get_logger("early")
    for tier in ("one", "two"):
        stream = io.StringIO()
        configure_logging(tier, "info", stream)
        early.info("hello")
        assert [line["tier"] for line in lines(stream)] == [tier]


def test_a_console_gets_readable_lines() -> None:
    stream = io.StringIO()
    configure_logging("service", "info", stream, json=False)
    get_logger("x").info("user_created", email="ada@example.org", user_id="u-1")
    logging.getLogger("grpc").warning("hm")
    text = stream.getvalue()
    assert "user_created" in text
    assert "user_id=u-1" in text
    assert "ada" not in text
    assert len(text.splitlines()) == 2
    assert not text.startswith("{")


def test_a_line_inside_a_traced_call_names_the_trace(stream: io.StringIO) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    call = Call(Actor(), "r-1", Deadline.after(1), f"00-{trace}-b7ad6b7169203331-01")
    with call_scope(call):
        get_logger("ours").info("traced")
    get_logger("ours").info("untraced")
    traced, untraced = lines(stream)
    assert traced["trace_id"] == trace
    assert "trace_id" not in untraced
