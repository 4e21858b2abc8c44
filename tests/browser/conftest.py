"""``broker demo`` as its user starts it, and a Chromium that looks at its page."""

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
STOP_WITHIN = 30.0
"""Seconds."""

ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # a container's root has no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Demo:
    """A running demo and what it has written to its standard output."""

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
        """Press Ctrl-C; the exit status."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(STOP_WITHIN)

    def close(self) -> None:
        """End it, if nothing else has."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()

    def requests_between(self, first: str, last: str) -> list[dict[str, Any]]:
        """The lines of the access log from the request with the id ``first`` to the one with ``last``.

        One demo serves all tests of a module, in any order: what another test asked is not in between.
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
        """What ``found`` finds in the output, as soon as it does."""
        with self._more:
            self._more.wait_for(lambda: found("".join(self._lines)), START_WITHIN)
            answer = found("".join(self._lines))
        assert answer, "".join(self._lines)
        return answer


@contextmanager
def running_demo(folder: Path) -> Iterator[Demo]:
    """A demo with ``folder`` as its temporary folder; nothing of it outlives the block."""
    demo = Demo(folder)
    try:
        yield demo
    finally:
        demo.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for a module's tests."""
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo
        assert demo.interrupt() == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. For a module, not longer: its loop is running, and asyncio tests need that place."""
    executable = shutil.which("chromium")
    assert executable, "these tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser found wrong with the page: errors, warnings, violations of its policy."""
    return []


@pytest.fixture
def page(browser: Browser, demo: Demo, complaints: list[str]) -> Iterator[Page]:
    """The demo's page in a fresh profile, opened by the printed link."""
    context = browser.new_context()
    context.set_default_timeout(15_000)
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.goto(demo.page)
    yield page
    context.close()


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A song of a few megabytes."""
    path = tmp_path_factory.mktemp("music") / "Ωcean Drive (take 3).mp3"
    path.write_bytes(media.mp3(seconds=120, bit_rate=256_000))
    return path
