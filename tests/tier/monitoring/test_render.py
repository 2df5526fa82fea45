"""Dashboards drawn from what a Prometheus answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from monitoring.panels import Dashboard, Panel, Query
from monitoring.render import RATE_INTERVAL, Line, Window, main
from tests.tier.benchmarks.http_server import SmallServer, small_server

BOARD = Dashboard(
    "shown",
    "Shown",
    (
        Panel("Requests", "How many.", "reqps", [Query("rate(a[$__rate_interval])", "{{code}}")]),
        Panel("Share", "Of all.", "percentunit", [Query("b / c", "share")]),
        Panel("Nothing", "Is never counted.", "s", [Query("d", "d")]),
    ),
)
# By expression: what labels its one line has, and its points.
KNOWN: Mapping[str, tuple[dict[str, str], list[tuple[float, str]]]] = {
    f"rate(a[{RATE_INTERVAL}])": ({"code": "200"}, [(100.0, "1"), (101.0, "2.5")]),
    "b / c": ({}, [(100.0, "NaN"), (101.0, "0.5"), (102.0, "+Inf")]),
    "empty / empty": ({}, [(100.0, "NaN")]),
}


def _asked(request: str) -> dict[str, str]:
    address = urlsplit(request.split(" ")[1])
    assert address.path == "/api/v1/query_range"
    return {name: values[0] for name, values in parse_qs(address.query).items()}


def _prometheus(request: str) -> bytes:
    """Answer as prometheus.io/docs/prometheus/latest/querying/api tells."""
    found = KNOWN.get(_asked(request)["query"])
    result = [] if found is None else [{"metric": found[0], "values": found[1]}]
    body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def _lines(expression: str, legend: str) -> tuple[list[Line], SmallServer]:
    with small_server(_prometheus) as server:
        return Window(server.url, 100.0, 190.0).lines(expression, legend), server


def test_a_line_has_the_legend_of_its_labels_and_begins_at_zero() -> None:
    lines, server = _lines("rate(a[$__rate_interval])", "code {{code}} of {{nothing}}")

    assert lines == [Line("code 200 of ", [0.0, 1.0], [1.0, 2.5])]
    (asked,) = map(_asked, server.requests)
    assert (asked["start"], asked["end"], asked["step"]) == ("100.0", "190.0", "1.0")


@pytest.mark.parametrize(
    ("expression", "values"), [("b / c", [[0.5]]), ("empty / empty", []), ("unknown", [])]
)
def test_what_is_no_number_is_no_point_and_no_line(
    expression: str, values: list[list[float]]
) -> None:
    lines, _ = _lines(expression, "it")
    assert [line.values for line in lines] == values


def _draw(folder: Path, answer: Callable[[str], bytes], board: Dashboard) -> int:
    with small_server(answer) as server:
        return main([f"{server.url}/", str(folder), "--seconds", "30"], [board])


def test_a_board_is_a_picture_and_an_empty_panel_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "made" / "here"

    assert _draw(folder, _prometheus, BOARD) == 1

    assert capsys.readouterr().out == "Nothing in shown: Nothing\n"
    with Image.open(folder / "shown.png") as picture:
        width, height = picture.size
        assert width > height > 200
        # Lines and words, not a white sheet.
        assert len(picture.convert("RGB").getcolors() or ()) > 4


def test_a_board_whose_panels_all_show_something_is_a_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board = Dashboard(BOARD.name, BOARD.title, BOARD.panels[:2])

    assert _draw(tmp_path, _prometheus, board) == 0
    assert capsys.readouterr().out == ""
