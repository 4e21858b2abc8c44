"""A running ``broker demo``, and a headless Chromium with its page."""

import json
import os
import re
import shutil
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

START_WITHIN = 60.0
"""Seconds until the demo has printed its page."""

STOP_WITHIN = 30.0
"""Seconds until it has ended after a signal."""

ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # Chromium refuses to run as root with its sandbox
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


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

        All tests of a module share one demo and run in any order: requests of other tests are not in between.
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


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Run one demo for the tests of a module."""
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo
        assert demo.interrupt() == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run Chromium for one module only: meanwhile Playwright's event loop runs, and asyncio tests need their own."""
    executable = shutil.which("chromium")
    assert executable, "these tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """Return the errors, warnings and policy violations that the browser logs for the page."""
    return []


@pytest.fixture
def page(browser: Browser, demo: Demo, complaints: list[str]) -> Iterator[Page]:
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


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a song of 3.84 MB."""
    path = tmp_path_factory.mktemp("music") / "Ωcean Drive (take 3).mp3"
    path.write_bytes(media.mp3(seconds=120, bit_rate=256_000))
    return path
