"""A headless Chromium that a test drives, and what it did on the network."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.stores import debian
from tests.stores.servers import CannotProvideError

PACKAGES = ("chromium", "chromium-driver")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DRIVERS = ("chromedriver", "chromium.chromedriver")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1600",
)
NOT_RUN = "not run in a browser"


@dataclass(frozen=True, slots=True)
class Programs:
    """Where Chromium and its driver are."""

    browser: str
    driver: str


def find_or_install() -> Programs:
    """Find Chromium and its driver, or have apt install them, as root on Debian.

    Raises:
        CannotProvideError: with the reason in one line.
    """
    found = _find()
    if found is not None:
        return found
    if not debian.can_install():
        raise CannotProvideError(
            "no Chromium with its driver was found, and apt could not be asked (not root on Debian)"
        )
    debian.install(PACKAGES)
    found = _find()
    if found is None:
        raise CannotProvideError("apt installed Chromium, but its programs are not on the PATH")
    return found


def require_programs() -> Programs:
    """Find or install the browser, else skip; under REQUIRE_REAL_STORES, fail."""
    try:
        return find_or_install()
    except CannotProvideError as error:
        reason = f"{NOT_RUN}: {error}"
        if os.environ.get("REQUIRE_REAL_STORES", "") not in ("", "0"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


class Browser:
    """One browser with a profile of its own."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    def console_errors(self) -> list[str]:
        """Give what the console has shown as errors since the last call."""
        return [
            str(entry["message"]) for entry in self._log("browser") if entry["level"] == "SEVERE"
        ]

    def requested_hosts(self) -> set[str]:
        """Give host and port of everything that pages have asked for since the last call."""
        hosts = set()
        for entry in self._log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = urlsplit(message["params"]["request"]["url"])
                if url.scheme in {"http", "https", "ws", "wss"}:
                    hosts.add(url.netloc)
        return hosts

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]  # selenium's gap
        return entries


@contextlib.contextmanager
def running_browser(programs: Programs, profile: Path) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = programs.browser
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Named by path, so that selenium looks for no driver of its own on the network.
    driver = webdriver.Chrome(options=options, service=Service(programs.driver))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


def _find() -> Programs | None:
    browser, driver = _first(BROWSERS), _first(DRIVERS)
    return Programs(browser, driver) if browser and driver else None


def _first(names: tuple[str, ...]) -> str:
    return next((path for path in map(shutil.which, names) if path), "")
