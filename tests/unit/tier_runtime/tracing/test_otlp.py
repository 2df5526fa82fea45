"""Spans on their way to a collector, and what happens when there is none."""

from __future__ import annotations

import logging
import socket
import threading
import time

import pytest

from tests.stores.waiting import eventually
from tests.tracing.collector import collecting
from tier_runtime.tracing import otlp
from tier_runtime.tracing.opening import open_tracing
from tier_runtime.tracing.settings import TracingSettings
from tier_runtime.tracing.spans import NOTHING_CARRIED


def test_what_is_recorded_reaches_the_collector_under_the_name_of_the_process() -> None:
    with collecting() as collector:
        settings = TracingSettings(collector.endpoint, (("x-key", "k"),), 1.0, "shop")
        tracing = open_tracing(settings)
        tracing.work("some work", NOTHING_CARRIED).end()
        tracing.close()
        (span,) = collector.spans
        assert (span.name, span.service) == ("some work", "shop")
        assert ("x-key", "k") in collector.metadata


def test_it_is_sent_while_the_process_runs() -> None:
    with collecting() as collector:
        tracing = open_tracing(TracingSettings(collector.endpoint))
        tracing.work("some work", NOTHING_CARRIED).end()
        eventually(lambda: collector.spans, 5 * otlp.BATCH_SECONDS, "the span")
        tracing.close()


@pytest.mark.parametrize("is_silent", [False, True], ids=["nobody listens", "nobody answers"])
def test_a_collector_that_is_away_holds_up_neither_work_nor_the_end(
    is_silent: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if not is_silent:
            listener.close()
        tracing = open_tracing(TracingSettings(f"http://127.0.0.1:{port}"))
        began = time.monotonic()
        for _ in range(2 * otlp.MAX_WAITING):
            tracing.work("some work", NOTHING_CARRIED).end()
        worked = time.monotonic()
        tracing.close()
        ended = time.monotonic()
    # A span costs tens of microseconds; a machine that is busy takes a multiple.
    assert worked - began < 4.0
    assert ended - worked < otlp.CLOSE_SECONDS + otlp.ABORT_SECONDS + 1.0


def test_the_end_is_the_end_of_its_thread_where_there_is_a_collector() -> None:
    with collecting() as collector:
        before = threading.active_count()
        tracing = open_tracing(TracingSettings(collector.endpoint))
        assert threading.active_count() > before
        tracing.work("some work", NOTHING_CARRIED).end()
        tracing.close()
        eventually(
            lambda: not [t for t in threading.enumerate() if "Otel" in t.name], what="its end"
        )
