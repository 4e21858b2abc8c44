"""Debian's WebKitGTK under Playwright, which controls it with the protocol of WebKit's inspector.

That protocol has no files, no window, no keys of a person and no second tab: WebKit's WebDriver has them. Here one
MiniBrowser serves both. Methods of Playwright that this mode lacks are replaced while the browser runs, for its pages
only: ``REPLACED`` names them.
"""

import http.server
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright

from .webdriver import Session

T = TypeVar("T")

MINI_BROWSER = "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser"
START_WITHIN = 30.0
"""Seconds until the programs have started."""

STYLE = """window, window * {
  min-width: 0; min-height: 0; padding: 0; margin: 0; border-width: 0; font-size: 1px; -gtk-icon-transform: scale(0);
}"""
"""Without it the tool bar of MiniBrowser makes every page at least 447 pixels wide."""


class Profile:
    """A running MiniBrowser: one browser profile, of which nothing is left behind."""

    def __init__(self, folder: Path, display: str, proxy: str | None) -> None:
        self.folder = folder
        self.downloads = folder / "downloads"
        config = folder / "config"
        (config / "gtk-3.0").mkdir(parents=True)
        self.downloads.mkdir()
        (config / "gtk-3.0" / "gtk.css").write_text(STYLE)
        (config / "user-dirs.dirs").write_text(f'XDG_DOWNLOAD_DIR="{self.downloads}"\n')
        inspector, driver = _free_port(), _free_port()
        self._inspector = f"127.0.0.1:{inspector}"
        environment = {
            **os.environ,
            "DISPLAY": display,
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(config),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "WEBKIT_INSPECTOR_HTTP_SERVER": self._inspector,
            "NO_AT_BRIDGE": "1",
        }
        with ExitStack() as stack:
            log = stack.enter_context((folder / "log").open("wb"))

            def start(*command: str) -> int:
                process = subprocess.Popen(
                    command, env=environment, stdout=log, stderr=log, start_new_session=True, cwd=folder
                )
                stack.callback(_end, process)
                return process.pid

            browser = start(MINI_BROWSER, "--automation")
            # Until its first request, the inspector's server does not note which pages there are.
            _wait(self._targets)
            (automation,) = _wait(lambda: _listening(browser) - {inspector})
            server = start("WebKitWebDriver", f"--port={driver}", f"--target=127.0.0.1:{automation}")
            _wait(lambda: _listening(server))
            capabilities = {"proxy": {"proxyType": "manual", "httpProxy": proxy}} if proxy else {}
            self.session = Session(f"http://127.0.0.1:{driver}", capabilities)
            self.endpoints: list[http.server.ThreadingHTTPServer] = []
            stack.callback(self._close_endpoints)
            self._stack = stack.pop_all()

    def endpoint(self, target: int) -> str:
        """Return a URL at which Playwright finds the address of a tab; ``target`` counts the tabs from 1."""
        found = f"ws://{self._inspector}/socket/1/{target}/WebPage"

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps([{"webSocketDebuggerUrl": found}]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.endpoints.append(server)
        if target == 1:  # the list of the targets does not name later ones
            _wait(lambda: "/socket/1/1/WebPage" in (self._targets() or ""))
        return f"http://127.0.0.1:{server.server_port}"

    def close(self) -> None:
        """End all processes."""
        self._stack.close()

    def _close_endpoints(self) -> None:
        for server in self.endpoints:
            server.shutdown()
            server.server_close()

    def _targets(self) -> str | None:
        try:
            with urllib.request.urlopen(f"http://{self._inspector}/", timeout=5) as response:
                return str(response.read().decode())
        except OSError:
            return None


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _listening(pid: int) -> set[int]:
    """Return the TCP ports on which a process listens."""
    inodes = set()
    for opened in Path(f"/proc/{pid}/fd").iterdir():
        if found := re.fullmatch(r"socket:\[(\d+)\]", str(opened.readlink())):
            inodes.add(found[1])
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes}


def _wait(found: Callable[[], T]) -> T:
    """Return the result of ``found`` as soon as it is true."""
    end = time.monotonic() + START_WITHIN
    while not (result := found()):
        assert time.monotonic() < end, "WebKitGTK did not start"
        time.sleep(0.02)
    return result


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


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
        paths = [files] if isinstance(files, str | Path) else list(files)
        mark = f"choose-{next(self._numbers)}"
        locator.evaluate("(element, mark) => (element.control ?? element).setAttribute('data-test', mark)", mark)
        self._session(locator.page).choose(f"[data-test={mark}]", [str(path) for path in paths])
        locator.page.evaluate(
            "mark => document.querySelector(`[data-test=${mark}]`)?.removeAttribute('data-test')", mark
        )

    def set_viewport_size(self, page: Page, size: dict[str, int]) -> None:
        """Set the size of the window."""
        self._session(page).resize(size["width"], size["height"])
        page.wait_for_function("width => innerWidth === width", arg=size["width"])

    @contextmanager
    def expect_event(self, context: BrowserContext, event: str) -> Iterator["_Download"]:
        """Wait for a download."""
        assert event == "download", f"WebKit has no event {event} here"
        folder = self._profiles[context].downloads
        download = _Download(folder, set(folder.iterdir()))
        yield download
        download.wait()

    def set_offline(self, context: BrowserContext, offline: bool) -> None:
        """Tell the pages what they see of a lost network; the proxy is cut by the caller."""
        for page in [page for page, (profile, _) in self._tabs.items() if profile is self._profiles[context]]:
            page.evaluate(
                """online => {
                  Object.defineProperty(navigator, "onLine", { value: online, configurable: true });
                  dispatchEvent(new Event(online ? "online" : "offline"));
                }""",
                not offline,
            )

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


class _Download:
    """The file that a page downloads inside a block."""

    def __init__(self, folder: Path, before: set[Path]) -> None:
        self._folder = folder
        self._before = before
        self._path = folder
        self.value = self

    def wait(self) -> None:
        """Wait until the file is complete."""
        (self._path,) = _wait(
            lambda: {path for path in self._folder.iterdir() if path.suffix != ".wkdownload"} - self._before
        )

    def path(self) -> Path:
        """Return where the file is."""
        return self._path

    @property
    def suggested_filename(self) -> str:
        """The name with which it was saved."""
        return self._path.name


@contextmanager
def running(playwright: Playwright, folder: Path) -> Iterator[Browser]:
    """Run WebKitGTK, each context in a process of its own; meanwhile methods of Playwright's classes are replaced."""
    for name in ("Xvfb", "WebKitWebDriver", MINI_BROWSER):
        assert shutil.which(name), "these tests need WebKitGTK: apt-get install webkit2gtk-driver xvfb"
    with ExitStack() as stack:
        xvfb = subprocess.Popen(
            ["Xvfb", "-displayfd", "1", "-screen", "0", "1600x1200x24", "-nolisten", "tcp"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        stack.callback(_end, xvfb)
        assert xvfb.stdout
        stack.callback(xvfb.stdout.close)
        webkit = WebKit(playwright, folder, f":{xvfb.stdout.readline().decode().strip()}")
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for kind, name, method in (
            (BrowserContext, "new_page", webkit.new_page),
            (BrowserContext, "close", webkit.close),
            (BrowserContext, "expect_event", webkit.expect_event),
            (BrowserContext, "set_offline", webkit.set_offline),
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


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that becomes a method when a class has it."""

    def method(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    return method
