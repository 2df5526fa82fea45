from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path
from xml.parsers import expat

import pytest
from rich.console import Console

from benchmarks import __main__ as command
from benchmarks.headline import headline_of
from benchmarks.plots import plots
from benchmarks.report import write_report
from benchmarks.results import Results, save
from benchmarks.table import ConsoleProgress, show
from tests.unit.benchmarks.made_up import results

PLOTS = {
    "headline.svg",
    "hop-latency.svg",
    "hop-ratios.svg",
    "hop-cpu.svg",
    "chain-latency.svg",
    "chain-ratios.svg",
    "chain-cpu.svg",
    "chain-throughput.svg",
}


class References(HTMLParser):
    """Collects what a page would have to load."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"src", "href"} and tag not in {"a", "use"}:
                self.loaded.append(f"{tag} {name}={value}")


def tags(svg: str) -> list[str]:
    """Give the names of all elements; raises where it is not well-formed."""
    found: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _attributes: found.append(name)
    parser.Parse(svg, True)
    return found


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one report for all who only read it; give its folder."""
    folder = tmp_path_factory.mktemp("report")
    write_report(results(), folder)
    return folder


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=160)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_tables_tell_every_variant_and_both_columns(console: Console) -> None:
    made = results()
    show(console, made, headline_of(made))
    text = printed(console)
    for expected in ("grpc-plain", "monolith", "4.00 (3.96 to 4.04)", "hop_point_over_naive"):
        assert expected in text


def test_a_ratio_that_must_not_be_told_is_not_in_the_tables(console: Console) -> None:
    made = results()
    show(console, made, headline_of(made))
    assert "withheld" in printed(console)


def test_too_few_rounds_for_an_interval_are_told_as_a_range(console: Console, report: Path) -> None:
    made = results()
    show(console, made, headline_of(made))
    assert "0.75 [0.75 to 0.75]" in printed(console)
    assert "0.75 [0.75 to 0.75]" in (report / "index.html").read_text()


def test_progress_without_a_terminal_is_a_line_for_each_stage(console: Console) -> None:
    with ConsoleProgress(console, turns=1) as progress:
        progress.stage("starting")
        progress.turn("done")
    assert "starting" in printed(console)


def test_every_plot_is_well_formed(report: Path) -> None:
    assert {file.name for file in report.glob("*.svg")} == PLOTS
    for file in report.glob("*.svg"):
        assert tags(file.read_text())[0] == "svg"


def test_plots_of_nothing_are_the_headline_alone() -> None:
    nothing = Results("nothing", 1)
    assert set(plots(nothing, headline_of(nothing))) == {"headline.svg"}


def test_the_report_is_one_page_that_loads_nothing(report: Path) -> None:
    page = (report / "index.html").read_text()
    references = References()
    references.feed(page)
    assert references.loaded == []
    assert page.count("<svg") == len(PLOTS)


def test_the_report_escapes_what_the_machine_says_of_itself(report: Path) -> None:
    page = (report / "index.html").read_text()
    assert "an &lt;abacus&gt;" in page
    assert "<abacus>" not in page


def test_the_report_says_how_to_make_it_again_and_what_is_withheld(report: Path) -> None:
    page = (report / "index.html").read_text()
    assert "make bench ARGS=--docs" in page
    assert "withheld (as_shipped: one round carries it" in page


def test_the_report_says_what_was_left_out(report: Path) -> None:
    assert "Real stores have no best REST" in " ".join((report / "index.html").read_text().split())


def test_the_plots_and_the_figures_stand_beside_the_page(report: Path) -> None:
    assert {file.name for file in report.iterdir()} == {"index.html", "latest.json", *PLOTS}
    assert json.loads((report / "latest.json").read_text())["headline"]["hop_point_over_fair"]


def test_a_run_can_be_reported_on_again_and_the_same_figures_give_the_same_plots(
    report: Path, tmp_path: Path
) -> None:
    made = results()
    save(made.to_dict({}), tmp_path / "before.json")
    arguments = ["--again", str(tmp_path / "before.json"), "--to", str(tmp_path / "report")]
    assert command.main(arguments) == 0
    document = json.loads((tmp_path / "report" / "latest.json").read_text())
    assert document["headline"] == headline_of(made)
    for plot in PLOTS:
        assert (tmp_path / "report" / plot).read_text() == (report / plot).read_text()
