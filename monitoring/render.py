"""Draw the dashboards from a Prometheus that has watched the system under load.

    python -m monitoring.render http://127.0.0.1:9090 docs/monitoring --seconds 90

The pictures are made by the dashboards' own queries, through Prometheus's HTTP API, so that they
can be looked at without a Grafana. A panel without a line is named at the end, with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from PIL import Image

from monitoring.boards import DASHBOARDS
from monitoring.panels import Dashboard, Panel, Unit

COLUMNS = 2
POINTS = 90
COLOURS = 24
# What Grafana would put in for so short a time and scrapes of a second or two.
RATE_INTERVAL = "10s"
LONGEST_LEGEND = 6
_UNITS: Mapping[Unit, str] = {
    "reqps": "/s",
    "ops": "/s",
    "s": "s",
    "percentunit": "%",
    "short": "",
    "bytes": "MB",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a panel: its legend, and its times and values."""

    legend: str
    times: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Window:
    """What is looked at: a Prometheus, and a time of it in seconds since 1970."""

    url: str
    start: float
    end: float

    def lines(self, expression: str, legend: str) -> list[Line]:
        """Return what a query gives, without gaps."""
        asked = urllib.parse.urlencode(
            {
                "query": expression.replace("$__rate_interval", RATE_INTERVAL),
                "start": self.start,
                "end": self.end,
                "step": max((self.end - self.start) / POINTS, 1.0),
            }
        )
        # The address is the one that the caller typed.
        with urllib.request.urlopen(  # noqa: S310 - see above.
            f"{self.url}/api/v1/query_range?{asked}", timeout=30
        ) as answer:
            found = json.load(answer)["data"]["result"]
        return [line for each in found if (line := _line(each, legend, self.start)).values]


def _line(found: Mapping[str, Any], legend: str, start: float) -> Line:
    labels = found["metric"]
    name = re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), legend)
    # What a division by nothing gives, NaN or without an end, has no place in a picture.
    values = [(float(at) - start, float(value)) for at, value in found["values"]]
    points = [(at, value) for at, value in values if math.isfinite(value)]
    return Line(name, [at for at, _ in points], [value for _, value in points])


def draw(board: Dashboard, window: Window, folder: Path) -> list[str]:
    """Draw a dashboard into the folder, and return the titles of its empty panels."""
    rows = -(-len(board.panels) // COLUMNS)
    figure, places = plt.subplots(
        rows, COLUMNS, figsize=(12, 2.6 * rows), layout="constrained", squeeze=False
    )
    figure.suptitle(board.title)
    axes = list(places.flat)
    empty = [
        panel.title
        for place, panel in zip(axes, board.panels, strict=False)
        if not _drawn(place, panel, window)
    ]
    for place in axes[len(board.panels) :]:
        place.axis("off")
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"{board.name}.png"
    figure.savefig(picture, dpi=55)
    # A few colours are all there are, and a third of the size.
    with Image.open(picture) as drawn:
        drawn.convert("RGB").quantize(COLOURS).save(picture, optimize=True)
    plt.close(figure)
    return empty


def _drawn(place: Axes, panel: Panel, window: Window) -> bool:
    lines = [
        line for query in panel.queries for line in window.lines(query.expression, query.legend)
    ]
    # The most first: what is cut from the legend is what matters least.
    lines.sort(key=lambda line: -max(line.values))
    for number, line in enumerate(lines):
        label = line.legend.removeprefix("arcana.") if number < LONGEST_LEGEND else "_"
        place.plot(line.times, line.values, label=label, linewidth=1.2)
    place.set_title(panel.title, fontsize=9)
    # The legend must not lie on the lines.
    place.set_ylim(0, place.get_ylim()[1] * 1.4)
    place.grid(alpha=0.3)
    place.tick_params(labelsize=7)
    place.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _shown(value, panel.unit)))
    if lines:
        place.legend(fontsize=6, loc="upper left", ncols=2)
    return bool(lines)


def _shown(value: float, unit: Unit) -> str:
    factor = {"percentunit": 100.0, "bytes": 1e-6}.get(unit, 1.0)
    return f"{value * factor:g} {_UNITS[unit]}".strip()


def main(arguments: Sequence[str] | None = None, boards: Sequence[Dashboard] = DASHBOARDS) -> int:
    """Draw the dashboards and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.render")
    parser.add_argument("url", help="where Prometheus answers")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--ago", type=float, default=0.0, help="seconds since the end")
    options = parser.parse_args(arguments)
    mpl.use("Agg")
    end = time.time() - options.ago
    window = Window(options.url.rstrip("/"), end - options.seconds, end)
    empty = {board.name: draw(board, window, options.folder) for board in boards}
    for name, titles in empty.items():
        for title in titles:
            print(f"Nothing in {name}: {title}")
    return 1 if any(empty.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
