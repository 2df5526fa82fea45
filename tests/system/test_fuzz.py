"""Generated requests against the committed OpenAPI document: no 500, no break of a schema.

A run is short here. `make fuzz` selects these tests by their mark, which makes them long;
FUZZ_SECONDS sets the length of each by itself.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.counting import uncounted
from tests.stores import Stores
from tests.system.client import Edge, expect
from tests.system.discretion import watched_edge
from tests.system.document import DOCUMENT
from tests.system.processes import ArcanaProcesses

SHORT_SECONDS = 8.0
LONG_SECONDS = 900.0
SCHEMATHESIS = Path(sysconfig.get_path("scripts")) / "schemathesis"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
    "missing_required_header",
    "ignored_auth",
)
# These end the session that the run is signed in with.
ENDS_THE_RUN = "/auth/(logout-all|sessions/)"
# A stream takes its time, and gives it to no other request.
STREAMS = "/events$"
UNLIMITED = {"RATE_LIMIT_ENABLED": "false"}

pytestmark = pytest.mark.fuzz


@pytest.fixture(scope="module")
def seconds(pytestconfig: pytest.Config) -> float:
    long = pytestconfig.getoption("markexpr") == "fuzz"
    return float(os.environ.get("FUZZ_SECONDS") or (LONG_SECONDS if long else SHORT_SECONDS))


@pytest.fixture(scope="module")
def arcana(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArcanaProcesses]:
    home = tmp_path_factory.mktemp("fuzz")
    with ArcanaProcesses(home, stores.new_store("embedded"), UNLIMITED) as processes:
        yield processes


@pytest.fixture(scope="module")
def edge(arcana: ArcanaProcesses) -> Iterator[Edge]:
    with watched_edge(arcana) as edge:
        yield edge


def _run(folder: Path, url: str, seconds: float, *options: str) -> None:
    """Run schemathesis for so long; its report is the message of a failure."""
    command = [
        str(SCHEMATHESIS),
        "run",
        str(DOCUMENT),
        f"--url={url}",
        f"--checks={','.join(CHECKS)}",
        f"--max-time={seconds:.0f}",
        "--max-examples=15",
        "--max-failures=20",
        # Several threads would run into a fault of CPython 3.11 when hypothesis parses code.
        "--workers=1",
        "--request-timeout=10",
        "--suppress-health-check=all",
        "--generation-database=none",
        "--warnings=off",
        "--no-color",
        *options,
    ]
    # Otherwise it registers somebody by itself, and no run is without a token.
    (folder / "schemathesis.toml").write_text("[auth]\nauto-signup = false\n")
    done = subprocess.run(
        command,
        # What it leaves behind goes with the test's folder, and no proxy stands in between.
        cwd=folder,
        env={**uncounted(os.environ), "NO_PROXY": "127.0.0.1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds * 3 + 120,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-12000:]}"


def _signed_in(access_token: str) -> str:
    return f"--header=Authorization:Bearer {access_token}"


def test_generated_requests_without_a_token_break_nothing(
    arcana: ArcanaProcesses, edge: Edge, seconds: float, tmp_path: Path
) -> None:
    _run(tmp_path, arcana.edge_url, seconds)
    expect(edge.get("/health"), 200)


def test_generated_requests_of_a_user_break_nothing(
    arcana: ArcanaProcesses, edge: Edge, seconds: float, tmp_path: Path
) -> None:
    access = edge.new_account().tokens.access
    options = (_signed_in(access), f"--exclude-path-regex={ENDS_THE_RUN}")
    _run(tmp_path, arcana.edge_url, seconds, *options)
    expect(edge.get("/health"), 200)


def test_generated_requests_of_an_admin_break_nothing(
    arcana: ArcanaProcesses, edge: Edge, seconds: float, tmp_path: Path
) -> None:
    access = edge.sign_in(arcana.admin.email, arcana.admin.password).access
    options = (_signed_in(access), f"--exclude-path-regex={ENDS_THE_RUN}|{STREAMS}")
    _run(tmp_path, arcana.edge_url, seconds, *options)
    expect(edge.get("/health"), 200)


def test_generated_requests_that_end_sessions_break_nothing(
    arcana: ArcanaProcesses, edge: Edge, seconds: float, tmp_path: Path
) -> None:
    access = edge.new_account().tokens.access
    options = (_signed_in(access), f"--include-path-regex={ENDS_THE_RUN}")
    _run(tmp_path, arcana.edge_url, max(1, seconds / 4), *options)
    expect(edge.get("/health"), 200)
