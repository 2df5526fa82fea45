from __future__ import annotations

import threading
from unittest.mock import create_autospec

import grpc
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]  # ships no types
from structlog.testing import capture_logs

from tier_runtime.health import HealthBoard
from tier_runtime.health_servicer import BoardServicer


def test_a_tier_does_not_serve_before_it_has_started() -> None:
    assert HealthBoard().snapshot() == {"": False}


def test_an_unknown_name_does_not_serve() -> None:
    assert not HealthBoard().is_serving("store.database")


def test_the_board_keeps_what_was_said_last() -> None:
    board = HealthBoard()
    board.set("store.cache", serving=True)
    assert board.is_serving("store.cache")
    board.set("store.cache", serving=False)
    assert board.snapshot() == {"": False, "store.cache": False}


def test_while_draining_nothing_serves_whatever_is_said() -> None:
    board = HealthBoard()
    board.set("", serving=True)
    board.set("store.database", serving=True)
    board.drain()
    board.set("store.database", serving=True)
    board.set("new", serving=True)
    assert set(board.snapshot().values()) == {False}


def test_a_probe_decides_about_its_name() -> None:
    answers = iter([True, False])
    board = HealthBoard()
    board.add_probe("store.database", lambda: next(answers), interval=1.0)
    assert not board.is_serving("store.database")
    board.poll()
    assert board.is_serving("store.database")
    board.poll()
    assert not board.is_serving("store.database")


def test_a_probe_that_raises_means_that_its_name_does_not_serve() -> None:
    class LostError(Exception):
        pass

    def lost() -> bool:
        raise LostError

    board = HealthBoard()
    board.set("store.database", serving=True)
    board.add_probe("store.database", lost, interval=1.0)
    board.add_probe("store.cache", lambda: True, interval=1.0)
    board.poll()
    assert not board.is_serving("store.database")
    assert board.is_serving("store.cache")


def test_a_started_board_polls_by_itself_until_it_is_stopped() -> None:
    polled_thrice = threading.Event()
    threads: list[threading.Thread] = []

    def check() -> bool:
        threads.append(threading.current_thread())
        if len(threads) == 3:
            polled_thrice.set()
        return True

    board = HealthBoard()
    board.add_probe("store.cache", check, interval=0.001)
    board.start()
    assert polled_thrice.wait(timeout=10)
    board.stop()
    threads[0].join(timeout=10)
    assert not threads[0].is_alive()
    assert threads[0].daemon
    assert board.is_serving("store.cache")


def watch(servicer: BoardServicer, context: grpc.ServicerContext) -> list[object]:
    sent: list[object] = []
    servicer.Watch(health_pb2.HealthCheckRequest(service=""), context, sent.append)
    return sent


def test_a_watch_that_comes_after_the_end_ends_at_once() -> None:
    servicer = BoardServicer(lambda _name: True, 8)
    servicer.close()
    assert watch(servicer, create_autospec(grpc.ServicerContext, instance=True)) == [None]


def test_a_watch_whose_caller_has_already_gone_is_forgotten() -> None:
    servicer = BoardServicer(lambda _name: True, 8)
    context = create_autospec(grpc.ServicerContext, instance=True)
    context.add_callback.return_value = False
    assert watch(servicer, context) == [None]
    assert not servicer._watchers


def test_a_probe_that_hangs_delays_no_other() -> None:
    release, seen = threading.Event(), threading.Event()

    def hangs() -> bool:
        return release.wait(timeout=10)

    def well() -> bool:
        seen.set()
        return True

    board = HealthBoard()
    board.add_probe("store.database", hangs, interval=1.0)
    board.add_probe("store.cache", well, interval=1.0)
    board.start()
    assert seen.wait(timeout=10)
    board.stop()
    release.set()


def test_who_watches_when_there_are_enough_watchers_is_sent_away() -> None:
    servicer = BoardServicer(lambda _name: True, 1)
    staying = create_autospec(grpc.ServicerContext, instance=True)
    assert watch(servicer, staying) == []
    second = create_autospec(grpc.ServicerContext, instance=True)
    assert watch(servicer, second) == [None]
    second.set_code.assert_called_once_with(grpc.StatusCode.RESOURCE_EXHAUSTED)
    [leave] = staying.add_callback.call_args.args
    leave()
    third = create_autospec(grpc.ServicerContext, instance=True)
    assert watch(servicer, third) == []
    third.set_code.assert_not_called()


def test_a_neighbour_that_goes_or_comes_is_told_once() -> None:
    answers = iter([False, False, True, True, False])
    board = HealthBoard()
    board.add_probe("store.cache", lambda: next(answers), 60)
    with capture_logs() as lines:
        for _ in range(5):
            board.poll()
    told = [(line["event"], line["name"]) for line in lines]
    assert told == [
        ("neighbour_down", "store.cache"),
        ("neighbour_up", "store.cache"),
        ("neighbour_down", "store.cache"),
    ]
