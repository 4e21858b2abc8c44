"""The browser engines of the tests, each one a package of Debian, behind the interface of Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from . import firefox, webkit
from .network import Network

CHROMIUM_ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # Chromium refuses to run as root with its sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

CANNOT = {
    ("webkit", "test_download"): "The inspector stops a navigation to another origin, and does not report downloads.",
    ("webkit", "test_delete_needs_a_second_click"): "A click of the driver does not move the focus.",
    ("webkit", "test_forced_colours"): "The media feature forced-colors of WebKitGTK is always none.",
    ("webkit", "test_leaving_asks_while_sending"): "An automated page accepts beforeunload prompts itself (WebDriver).",
    ("webkit", "test_page_without_token"): "The driver waits for a new document when only the fragment changes.",
}
"""Tests that an engine cannot pass, and why: the cause is the engine or its driver, not the code under test."""

ONLINE = """online => {
  Object.defineProperty(navigator, "onLine", { value: online, configurable: true });
  dispatchEvent(new Event(online ? "online" : "offline"));
}"""

_networks: dict[BrowserContext, Network] = {}


def network_of(page: Page) -> Network:
    """Return the network of a page."""
    return _networks[page.context]


@contextmanager
def running(engine: str, playwright: Playwright, folder: Path) -> Iterator[Browser]:
    """Run a browser with ``folder`` for its files; each of its contexts has a network of its own."""
    start = {"chromium": _chromium, "firefox": firefox.running, "webkit": webkit.running}[engine]
    with start(playwright, folder) as browser, pytest.MonkeyPatch.context() as patch:
        kind = type(browser)
        new_context, new_page, close = kind.new_context, BrowserContext.new_page, BrowserContext.close

        def connected(browser: Browser, **options: Any) -> BrowserContext:
            with ExitStack() as stack:
                network = stack.enter_context(Network())
                context = new_context(browser, proxy={"server": network.endpoint}, **options)
                stack.pop_all()
            _networks[context] = network
            return context

        def opened(context: BrowserContext) -> Page:
            page = new_page(context)
            _networks[page.context] = _networks[context]  # in WebKitGTK every tab has a context of its own
            return page

        def disconnected(context: BrowserContext, **options: Any) -> None:
            close(context, **options)
            network = _networks[context]
            for one in [one for one, its in _networks.items() if its is network]:
                del _networks[one]
            network.__exit__(None, None, None)

        patch.setattr(kind, "new_context", connected)
        patch.setattr(BrowserContext, "new_page", opened)
        patch.setattr(BrowserContext, "close", disconnected)
        if engine == "webkit":
            patch.setattr(BrowserContext, "set_offline", _set_offline)
        yield browser


def _set_offline(context: BrowserContext, offline: bool) -> None:
    """Cut the network, and tell the pages what they would see of that."""
    network = _networks[context]
    if offline:
        network.cut()
    network.is_offline = offline
    for page in context.pages:
        page.evaluate(ONLINE, not offline)


@contextmanager
def _chromium(playwright: Playwright, _: Path) -> Iterator[Browser]:
    executable = shutil.which("chromium")
    assert executable, "these tests need Chromium: apt-get install chromium"
    browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
    yield browser
    browser.close()
