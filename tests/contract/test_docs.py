"""The documentation says what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
WRITTEN_PAGES = [
    page
    for page in PAGES
    if page.name not in {"configuration.md", "errors.md", "metrics.md", "alerts.md"}
]
# Words in capitals that are something else: what tests alone are told, and an example's variable.
NOT_SETTINGS = {
    "TEST_DATABASE_URL",
    "TEST_REDIS_URL",
    "ACCESS_TOKEN",
    "ADMIN_TOKEN",
    "NOT_SERVING",
    # The environment of gRPC itself.
    "GRPC_VERBOSITY",
}
LINK = re.compile(r"\]\(([^)#\s]+)")
MAKE_TARGET = re.compile(r"`make ([a-z0-9-]+)")


def test_generated_pages_are_what_the_code_generates() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(MAKE_TARGET.findall(page.read_text())) <= targets


def test_the_readme_names_the_two_commands_first() -> None:
    [first, second] = re.findall(
        r"^    make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE
    )[:2]
    assert (first, second) == ("run", "test")


@pytest.mark.parametrize("page", WRITTEN_PAGES, ids=lambda page: page.name)
def test_every_setting_in_capitals_in_a_hand_written_page_exists(page: Path) -> None:
    known = set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs" / "configuration.md").read_text()))
    known |= set(re.findall(r"`([A-Z_]+)`", (ROOT / "docs" / "errors.md").read_text()))
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", page.read_text()))
    known |= {name.removesuffix("_FILE") for name in known}
    unknown = {name for name in named if name.removesuffix("_FILE") not in known}
    assert unknown <= NOT_SETTINGS
