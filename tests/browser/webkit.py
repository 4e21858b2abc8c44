"""Debian's WebKitGTK under Playwright, which controls it with the protocol of WebKit's inspector.

That protocol has no files, no window, no keys of a person and no second tab: WebKit's WebDriver has them. Here one
MiniBrowser serves both. Methods of Playwright that this mode lacks are replaced while the browser runs, by ``running``.
"""

import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Playwright

from .minibrowser import DIES_WITH_PARENT, MINI_BROWSER, Profile, end
from .webdriver import Session

CHOOSER = "A file chooser would open."
NOTICE_CHOOSER = """text => addEventListener("click", event => {
  if (!event.target.matches("input[type=file]")) return;
  event.preventDefault();
  event.target.dataset.chooser = "";
  console.debug(text);
}, true)"""


class WebKit:
    """The contexts and pages of WebKitGTK, with the parts of Playwright's classes of which this mode is not capable."""

    def __init__(self, playwright: Playwright, folder: Path, display: str) -> None:
        self._playwright = playwright
        self._folder = folder
        self._display = display
        self._numbers = itertools.count()
        self._profiles: dict[BrowserContext, Profile] = {}
        self._browsers: dict[BrowserContext, list[Browser]] = {}
        self._tabs: dict[Page, tuple[Profile, str]] = {}
        self._on: Callable[..., Any] = Page.on

    # The methods of Playwright's classes

    def new_context(self, *, proxy: dict[str, str]) -> BrowserContext:
        """Start a new browser with an empty profile."""
        profile = Profile(self._folder / str(next(self._numbers)), self._display, urlsplit(proxy["server"]).netloc)
        browser = self._connect(profile, 1)
        (context,) = browser.contexts
        self._profiles[context] = profile
        self._browsers[context] = [browser]
        return context

    def new_page(self, context: BrowserContext) -> Page:
        """Return the first page, which the browser has from its start, or open a tab."""
        profile, browsers = self._profiles[context], self._browsers[context]
        (page,) = context.pages
        handle = profile.session.handle
        if page in self._tabs:
            handle = profile.session.open_tab()
            browser = self._connect(profile, len(browsers) + 2)  # the second target is the WebDriver session
            browsers.append(browser)
            (page,) = browser.contexts[0].pages
        self._tabs[page] = (profile, handle)
        return page

    def close(self, context: BrowserContext) -> None:
        """End the browser."""
        for browser in self._browsers.pop(context):
            browser.close()
        self._profiles.pop(context).close()

    def keyboard(self, page: Page) -> "_Keyboard":
        """Return a keyboard whose keys count as a person's."""
        return _Keyboard(self._session(page))

    def set_input_files(self, page: Page, selector: str, files: Any, **_: Any) -> None:
        """Choose files in the input that a selector finds."""
        self.choose(page.locator(selector), files)

    def choose(self, locator: Locator, files: Any, **_: Any) -> None:
        """Choose files in an input, or in the input of a label."""
        mark = f"choose-{next(self._numbers)}"
        locator.evaluate("(element, mark) => (element.control ?? element).setAttribute('data-test', mark)", mark)
        self._session(locator.page).choose(f"[data-test={mark}]", _paths(files))
        locator.page.evaluate(
            "mark => document.querySelector(`[data-test=${mark}]`)?.removeAttribute('data-test')", mark
        )

    def on(self, page: Page, event: str, handler: Callable[..., Any]) -> None:
        """Call ``handler`` at every event; a file chooser is noticed by a click on its input."""
        if event != "filechooser":
            self._on(page, event, handler)
            return

        def opened(message: ConsoleMessage) -> None:
            if message.text == CHOOSER:
                handler(_FileChooser(self._session(page)))

        page.evaluate(NOTICE_CHOOSER, CHOOSER)
        self._on(page, "console", opened)

    def set_viewport_size(self, page: Page, size: dict[str, int]) -> None:
        """Set the size of the window."""
        self._session(page).resize(size["width"], size["height"])
        page.wait_for_function("width => innerWidth === width", arg=size["width"])

    def _session(self, page: Page) -> Session:
        profile, handle = self._tabs[page]
        profile.session.switch(handle)
        return profile.session

    def _connect(self, profile: Profile, target: int) -> Browser:
        return self._playwright.webkit.connect_over_cdp(profile.endpoint(target), is_local=True)


class _Keyboard:
    """The keyboard of a page."""

    def __init__(self, session: Session) -> None:
        self.press = session.press


class _FileChooser:
    """The dialog that a click on a file input opens."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def set_files(self, files: Any) -> None:
        """Choose files."""
        self._session.choose("[data-chooser]", _paths(files))


@contextmanager
def running(playwright: Playwright, folder: Path) -> Iterator[Browser]:
    """Run WebKitGTK, each context in a process of its own; meanwhile methods of Playwright's classes are replaced."""
    for name in ("Xvfb", "WebKitWebDriver", MINI_BROWSER):
        assert shutil.which(name), "these tests need WebKitGTK: apt-get install webkit2gtk-driver xvfb"
    with ExitStack() as stack:
        xvfb = subprocess.Popen(
            [*DIES_WITH_PARENT, "Xvfb", "-displayfd", "1", "-screen", "0", "1600x1200x24", "-nolisten", "tcp"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        stack.callback(end, xvfb)
        assert xvfb.stdout
        stack.callback(xvfb.stdout.close)
        webkit = WebKit(playwright, folder, f":{xvfb.stdout.readline().decode().strip()}")
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for kind, name, method in (
            (BrowserContext, "new_page", webkit.new_page),
            (BrowserContext, "close", webkit.close),
            (BrowserContext, "grant_permissions", lambda *_: None),
            (Page, "on", webkit.on),
            (Page, "set_input_files", webkit.set_input_files),
            (Page, "set_viewport_size", webkit.set_viewport_size),
            (Locator, "set_input_files", webkit.choose),
        ):
            patch.setattr(kind, name, _method(method))
        patch.setattr(Page, "keyboard", property(webkit.keyboard))
        yield cast("Browser", _Browser(webkit))


class _Browser:
    """The part of Playwright's browser that the tests use."""

    def __init__(self, webkit: WebKit) -> None:
        self._webkit = webkit

    def new_context(self, **options: Any) -> BrowserContext:
        """Open a new profile."""
        return self._webkit.new_context(**options)


def _paths(files: Any) -> list[str]:
    return [str(path) for path in ([files] if isinstance(files, str | Path) else files)]


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that becomes a method when a class has it."""

    def method(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    return method
