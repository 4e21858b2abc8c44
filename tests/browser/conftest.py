"""A running ``broker demo``, and headless browsers with its page."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests import media

from . import engines

START_WITHIN = 60.0
"""Seconds until the demo has printed its page."""

STOP_WITHIN = 30.0
"""Seconds until it has ended after a signal."""

ENGINES = os.environ.get("BROWSERS", "chromium").split()
"""The engines of the tests, separated by blanks: chromium, firefox and webkit. The first one runs all tests."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose the tests of each engine."""
    chosen: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        engine = _engine_of(item)
        is_left_out = engine not in ("", ENGINES[0]) and not item.get_closest_marker("every_engine")
        (left_out if is_left_out else chosen).append(item)
        if reason := engines.CANNOT.get((engine, getattr(item, "originalname", ""))):
            item.add_marker(pytest.mark.xfail(reason=reason, run=False))
    items[:] = chosen
    config.hook.pytest_deselected(items=left_out)


def _engine_of(item: pytest.Item) -> str:
    """Return the engine of a test; it is empty if the test needs no browser."""
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("browser", "")) if callspec else ""


class Demo:
    """A running demo and the lines of its standard output."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "broker", "demo", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder)},
        )
        self._lines: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.page = self._wait(lambda text: re.search(r"http://\S+/demo#token=\S+", text))[0]
        self.origin = self.page.partition("/demo#")[0]
        self.store = self._wait(lambda text: re.search(r"its store at (http://[\d.:]+\d)", text))[1]

    def interrupt(self) -> int:
        """Send SIGINT, as Ctrl-C does; return the exit status."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(STOP_WITHIN)

    def close(self) -> None:
        """Kill the process if it is still running."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()

    def requests_between(self, first: str, last: str) -> list[dict[str, Any]]:
        """Return the log lines from the request with the id ``first`` to the one with the id ``last``.

        All tests of a worker share one demo and run in any order: requests of other tests are not in between.
        """
        self._wait(lambda text: last in text)
        lines = [json.loads(line) for line in list(self._lines) if line.startswith('{"time"')]
        requests = [line for line in lines if line["event"] == "broker.request_completed"]
        ids = [line["requestId"] for line in requests]
        return requests[ids.index(first) : ids.index(last) + 1]

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._more:
                self._lines.append(line)
                self._more.notify_all()

    def _wait(self, found: Callable[[str], Any]) -> Any:
        """Return the result of ``found`` on the output, as soon as it is true."""
        with self._more:
            self._more.wait_for(lambda: found("".join(self._lines)), START_WITHIN)
            result = found("".join(self._lines))
        assert result, "".join(self._lines)
        return result


@contextmanager
def running_demo(folder: Path) -> Iterator[Demo]:
    """Run a demo with ``folder`` as its temporary folder, until the end of the block."""
    demo = Demo(folder)
    try:
        yield demo
    finally:
        demo.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run one demo for the tests of a worker."""
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo
        assert demo.interrupt() == 0


@pytest.fixture(scope="module", params=ENGINES)
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Run a browser for one module only: meanwhile Playwright's event loop runs, and asyncio tests need their own."""
    folder = tmp_path_factory.mktemp(request.param)
    with sync_playwright() as playwright, engines.running(request.param, playwright, folder) as browser:
        yield browser


@pytest.fixture
def complaints() -> list[str]:
    """Return the errors, warnings and policy violations that the browser logs for the page."""
    return []


@contextmanager
def opened(browser: Browser, demo: Demo, complaints: list[str]) -> Iterator[Page]:
    """Open the demo's page in a new browser profile, with the printed link."""
    context = browser.new_context()
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.goto(demo.page)
    yield page
    context.close()


@pytest.fixture
def page(browser: Browser, demo: Demo, complaints: list[str]) -> Iterator[Page]:
    """Open the demo's page for one test."""
    with opened(browser, demo, complaints) as page:
        yield page


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a song of 3.84 MB."""
    path = tmp_path_factory.mktemp("music") / "Ωcean Drive (take 3).mp3"
    path.write_bytes(media.mp3(seconds=120, bit_rate=256_000))
    return path
