"""The documentation page in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.stores import Stores
from tests.stores.waiting import eventually
from tests.system.browser import Browser, require_programs, running_browser
from tests.system.client import Account, Edge
from tests.system.discretion import watched_edge
from tests.system.processes import ArcanaProcesses

PAGE_SECONDS = 20


@pytest.fixture(scope="module")
def arcana(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArcanaProcesses]:
    home = tmp_path_factory.mktemp("docs")
    with ArcanaProcesses(home, stores.new_store("embedded")) as processes:
        yield processes


@pytest.fixture(scope="module")
def edge(arcana: ArcanaProcesses) -> Iterator[Edge]:
    with watched_edge(arcana) as edge:
        yield edge


@pytest.fixture(scope="module")
def account(edge: Edge) -> Account:
    return edge.new_account()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with running_browser(require_programs(), tmp_path / "profile") as browser:
        yield browser


def _wait(browser: Browser, selector: str) -> WebElement:
    """Wait for the first element of this kind that can be seen."""

    def shown() -> WebElement | None:
        found = browser.driver.find_elements(By.CSS_SELECTOR, selector)
        try:
            return next((each for each in found if each.is_displayed()), None)
        except StaleElementReferenceException:
            # The page drew itself anew in between.
            return None

    element = eventually(shown, PAGE_SECONDS, f"an element of the page, {selector},", interval=0.1)
    assert element is not None
    return element


def _click(browser: Browser, selector: str) -> None:
    element = _wait(browser, selector)
    browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def _operation(browser: Browser, method: str, path: str) -> str:
    """Give a selector of an operation's block on the page."""
    _wait(browser, ".opblock")
    for block in browser.driver.find_elements(By.CSS_SELECTOR, f".opblock-{method}"):
        shown = block.find_element(By.CSS_SELECTOR, ".opblock-summary-path").get_attribute(
            "data-path"
        )
        if shown == path:
            return f"#{block.get_attribute('id')}"
    raise AssertionError(f"the page has no {method} {path}")


def _try_out(browser: Browser, method: str, path: str, body: dict[str, str] | None) -> str:
    """Open an operation, execute it with this body, and give the block's selector."""
    block = _operation(browser, method, path)
    _click(browser, f"{block} .opblock-summary-control")
    _click(browser, f"{block} .try-out__btn")
    if body is not None:
        field = _wait(browser, f"{block} textarea.body-param__text")
        # React listens to the event, and sees a value only if the element's own setter set it.
        browser.driver.execute_script(
            "Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value')"
            ".set.call(arguments[0], arguments[1]);"
            "arguments[0].dispatchEvent(new Event('input', {bubbles: true}))",
            field,
            json.dumps(body),
        )
    _click(browser, f"{block} .btn.execute")
    return block


def _answer(browser: Browser, block: str) -> tuple[str, str]:
    status = _wait(browser, f"{block} .live-responses-table tr.response .response-col_status").text
    text = _wait(
        browser, f"{block} .live-responses-table tr.response .response-col_description"
    ).text
    return status.split()[0], text


def test_the_page_renders_from_its_own_assets_and_a_call_from_it_succeeds(
    browser: Browser, edge: Edge, account: Account
) -> None:
    browser.open(f"{edge.url}/docs")
    title = _wait(browser, ".info .title").text
    assert "Arcana" in title

    health = _try_out(browser, "get", "/health", None)
    status, text = _answer(browser, health)
    assert status == "200"
    assert '"ok"' in text

    body = {"email": account.email, "password": account.password}
    login = _try_out(browser, "post", "/api/v1/auth/login", body)
    status, text = _answer(browser, login)
    assert status == "200"
    assert '"access_token"' in text

    assert browser.console_errors() == []
    assert browser.requested_hosts() == {edge.url.removeprefix("http://")}


def test_every_operation_of_the_document_is_on_the_page(browser: Browser, edge: Edge) -> None:
    browser.open(f"{edge.url}/docs")
    _wait(browser, ".opblock")
    shown = {
        (
            block.find_element(By.CSS_SELECTOR, ".opblock-summary-method").text.lower(),
            block.find_element(By.CSS_SELECTOR, ".opblock-summary-path").get_attribute("data-path"),
        )
        for block in browser.driver.find_elements(By.CSS_SELECTOR, ".opblock")
    }
    document = edge.get("/openapi.json").json()
    verbs = {"get", "put", "post", "patch", "delete"}
    declared = {
        (verb, path)
        for path, operations in document["paths"].items()
        for verb in operations.keys() & verbs
    }
    assert shown == declared
