"""Write the dashboards, the rules and their runbook, or say which of them are stale.

Run as ``python -m monitoring.generate`` to write them, with ``--check`` to compare them with the
code.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from monitoring.boards import DASHBOARDS
from monitoring.boards_json import dashboard_json
from monitoring.rules import RUNBOOK, rules_yaml, runbook

ROOT = Path(__file__).resolve().parents[1]


def files() -> Mapping[str, str]:
    """Return what is generated, by its path in the project."""
    boards = {
        f"monitoring/grafana/{board.name}.json": json.dumps(
            dashboard_json(board), indent=1, ensure_ascii=False
        )
        + "\n"
        for board in DASHBOARDS
    }
    return {**boards, "monitoring/prometheus/alerts.yml": rules_yaml(), RUNBOOK: runbook()}


def stale(root: Path) -> list[str]:
    """Return the paths of the files in a project that differ from what the code says."""
    return [
        path
        for path, text in files().items()
        if not (root / path).exists() or (root / path).read_text() != text
    ]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> None:
    """Do what the command line asks for, in the project that is there."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail when stale")
    if parser.parse_args(arguments).check:
        if found := stale(root):
            raise SystemExit(f"Run `make monitoring` and commit: {', '.join(found)}.")
        return
    for path, text in files().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


if __name__ == "__main__":
    main()
