"""Write the generated pages of the documentation, or say which of them are stale.

Run as ``python docs/generate.py`` to write them, with ``--check`` to compare them with the code.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.capacity.page import page as page_of_costs
from controller_tier.problems import phrase_of, problem_type, status_of
from controller_tier.settings import ControllerSettings
from launcher.capacity.costs import measured_costs, measured_text
from launcher.capacity.mix import USUAL_MIX
from launcher.settings import LauncherSettings
from monitoring.series import GROUPS
from repository_tier.settings import RepositorySettings
from repository_tier.worker.settings import WorkerSettings
from service_tier.settings import ServiceSettings
from tier_runtime.catalogue import CATALOGUE
from tier_runtime.metrics.families import Family
from tier_runtime.settings import SettingDoc, TierSettings, describe
from tier_runtime.status import STATUS_CODES

HERE = Path(__file__).resolve().parent
NOTE = "<!-- Made by `make docs` from the code. Do not edit. -->"

# Each setting is shown once, with everybody who reads it.
READERS: Mapping[str, type[TierSettings]] = {
    "controller": ControllerSettings,
    "service": ServiceSettings,
    "repository": RepositorySettings,
    "worker": WorkerSettings,
    "`arcana up` and the admin commands": LauncherSettings,
}


def errors_page() -> str:
    """Return the catalogue of error codes as Markdown."""
    lines = [
        NOTE,
        "# Error codes",
        "",
        "Every answer of 400 and above is `application/problem+json` (RFC 9457) with one of these",
        "codes in its member `code`. Codes are stable: branch on them, not on texts. Over gRPC the",
        "code is the `reason` of `google.rpc.ErrorInfo` (domain `arcana`), field errors are a",
        "`google.rpc.BadRequest`, and a time to wait is a `google.rpc.RetryInfo`.",
        "",
        "| status | code | gRPC | when |",
        "|---|---|---|---|",
    ]
    for entry in sorted(CATALOGUE.values(), key=lambda each: (status_of(each.code), each.code)):
        status = status_of(entry.code)
        grpc_code = STATUS_CODES[entry.kind].name
        shown = f"{status} {phrase_of(status)}"
        lines.append(f"| {shown} | `{entry.code}` | {grpc_code} | {entry.description} |")
    lines += [
        "",
        "The member `type` is a URN made from the code:",
        f"`{problem_type('EMAIL_EXISTS')}` for `EMAIL_EXISTS`. A 500 says nothing but its",
        "`request_id`; look for that in the logs.",
    ]
    return "\n".join(lines) + "\n"


def configuration_page() -> str:
    """Return every setting of every tier as Markdown."""
    readers: dict[str, list[str]] = {}
    docs: dict[str, SettingDoc] = {}
    for reader, settings in READERS.items():
        for doc in describe(settings):
            readers.setdefault(doc.env_name, []).append(reader)
            known = docs.setdefault(doc.env_name, doc)
            if settings is LauncherSettings and known.default != doc.default:
                told = f"{known.description} With `arcana up`: {doc.description}"
                docs[doc.env_name] = replace(known, description=told)
    lines = [
        NOTE,
        "# Configuration",
        "",
        "Settings come from the environment, or from a file `.env` in the folder a tier is started",
        "in; the environment wins. Each secret `FOO` may be given by the file that `FOO_FILE`",
        "names instead. A tier refuses to start on a bad setting and names every fault at once;",
        "`arcana controller --check-config` (or `service`, `repository`, `worker`) says so without",
        "starting.",
    ]
    groups: dict[tuple[str, ...], list[SettingDoc]] = {}
    for name, doc in docs.items():
        groups.setdefault(tuple(readers[name]), []).append(doc)
    for group in sorted(groups, key=lambda names: (-len(names), names)):
        lines += ["", f"## Read by {_listed(group)}", ""]
        lines += ["| variable | type | default | meaning |", "|---|---|---|---|"]
        lines += [_setting_row(doc) for doc in sorted(groups[group], key=lambda d: d.env_name)]
    return "\n".join(lines) + "\n"


def _listed(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"{names[0]} only"
    return ", ".join(names[:-1]) + f" and {names[-1]}"


def _setting_row(doc: SettingDoc) -> str:
    default = "" if doc.default is None else f"`{doc.default}`"
    name = f"`{doc.env_name}`" + (f", `{doc.env_name}_FILE`" if doc.secret else "")
    return f"| {name} | {doc.type_name} | {default} | {doc.description} |"


def capacity_page() -> str:
    """Return what requests were measured to cost as Markdown."""
    return f"{NOTE}\n{page_of_costs(measured_costs(), USUAL_MIX)}"


def metrics_page() -> str:
    """Return every series as Markdown."""
    lines = [
        NOTE,
        "# Metrics",
        "",
        "What each program tells at `METRICS_BIND`, under `/metrics`; how it gets there and what",
        "it costs is in [operations.md](operations.md). A histogram `x` is kept as `x_bucket`,",
        "`x_sum` and `x_count`. All times are in seconds. Labels take only values that our own",
        "code knows.",
    ]
    for group, families in GROUPS.items():
        lines += ["", f"## Counted by {group}", "", "| series | labels | what |", "|---|---|---|"]
        lines += [_series_row(family) for family in families]
    return "\n".join(lines) + "\n"


def _series_row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return f"| `{family.name}` | {labels} | {family.kind}: {family.help} |"


PAGES: Mapping[str, Callable[[], str]] = {
    "benchmarks/capacity.json": measured_text,
    "benchmarks/capacity.md": capacity_page,
    "errors.md": errors_page,
    "configuration.md": configuration_page,
    "metrics.md": metrics_page,
}


def stale_pages() -> list[str]:
    """Return the names of the pages that differ from what the code says."""
    return [
        name
        for name, page in PAGES.items()
        if not (HERE / name).exists() or (HERE / name).read_text() != page()
    ]


def main() -> None:
    """Write the pages, or with ``--check`` fail when one is stale."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail when stale")
    if parser.parse_args().check:
        if stale := stale_pages():
            raise SystemExit(f"Run `make docs` and commit: {', '.join(stale)}.")
        return
    for name, page in PAGES.items():
        (HERE / name).write_text(page())


if __name__ == "__main__":
    main()
