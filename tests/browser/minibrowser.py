"""A MiniBrowser of WebKitGTK, with the servers of its inspector and of WebDriver."""

import contextlib
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from tests.ports import free_port

from .inspector_relay import InspectorRelay
from .webdriver import Session

T = TypeVar("T")

MINI_BROWSER = "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser"
DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
"""A command is killed too if the tests are."""

START_WITHIN = 30.0
"""Seconds until the programs have started."""

ATTEMPTS = 3
"""Starts of the programs: another program can take a free port before one of them listens on it."""

STYLE = """window, window * {
  min-width: 0; min-height: 0; padding: 0; margin: 0; border-width: 0; font-size: 1px; -gtk-icon-transform: scale(0);
}"""
"""Without it the tool bar of MiniBrowser makes every page at least 447 pixels wide."""


class NotStartedError(Exception):
    """A program did not listen within ``START_WITHIN``."""


class Profile:
    """A running MiniBrowser: one browser profile, of which nothing is left behind."""

    def __init__(self, folder: Path, display: str, proxy: str | None) -> None:
        self.folder = folder
        config = folder / "config"
        (config / "gtk-3.0").mkdir(parents=True)
        (config / "gtk-3.0" / "gtk.css").write_text(STYLE)
        self._environment = {
            **os.environ,
            "DISPLAY": display,
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(config),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "WEBKIT_DISABLE_COMPOSITING_MODE": "1",  # without a GPU it takes most of the CPU time
            "NO_AT_BRIDGE": "1",
            "LC_ALL": "C.UTF-8",
        }
        for attempts_left in reversed(range(ATTEMPTS)):
            try:
                self._start(proxy)
            except NotStartedError:
                if not attempts_left:
                    raise
            else:
                break

    def _start(self, proxy: str | None) -> None:
        """Start the programs on free ports."""
        inspector, driver = free_port(), free_port()
        self._inspector = f"127.0.0.1:{inspector}"
        with ExitStack() as stack:
            log = stack.enter_context((self.folder / "log").open("wb"))

            def start(*command: str) -> int:
                process = subprocess.Popen(
                    (*DIES_WITH_PARENT, *command),
                    env={**self._environment, "WEBKIT_INSPECTOR_HTTP_SERVER": self._inspector},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=self.folder,
                )
                stack.callback(end, process)
                return process.pid

            browser = start(MINI_BROWSER, "--automation")
            # Until its first request, the inspector's server does not note which pages there are.
            self._wait_for(self._targets)
            (automation,) = self._wait_for(lambda: _listening(browser) - {inspector})
            server = start("WebKitWebDriver", f"--port={driver}", f"--target=127.0.0.1:{automation}")
            self._wait_for(lambda: _listening(server))
            capabilities = {"proxy": {"proxyType": "manual", "httpProxy": proxy}} if proxy else {}
            self.session = Session(f"http://127.0.0.1:{driver}", capabilities)
            self._relay = InspectorRelay(self._inspector)
            stack.callback(self._relay.close)
            self._stack = stack.pop_all()

    def endpoint(self, target: int) -> str:
        """Return the URL at which Playwright finds a tab; ``target`` is its number in WebKit's inspector."""
        if target == 1:  # the list of the targets does not name later ones
            self._wait_for(lambda: "/socket/1/1/WebPage" in (self._targets() or ""))
        return self._relay.endpoint(target)

    def close(self) -> None:
        """End all processes."""
        self._stack.close()

    def _wait_for(self, found: Callable[[], T]) -> T:
        """Return the result of ``found`` as soon as it is true."""
        end = time.monotonic() + START_WITHIN
        while not (result := found()):
            if time.monotonic() > end:
                log = (self.folder / "log").read_text(errors="replace")
                raise NotStartedError(f"WebKitGTK did not start within {START_WITHIN:.0f} s: {log[-2000:]}")
            time.sleep(0.02)  # between two attempts
        return result

    def _targets(self) -> str | None:
        try:
            with urllib.request.urlopen(f"http://{self._inspector}/", timeout=5) as response:
                return str(response.read().decode())
        except OSError:
            return None


def _listening(pid: int) -> set[int]:
    """Return the TCP ports on which a process listens."""
    inodes = set()
    for opened in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            if found := re.fullmatch(r"socket:\[(\d+)\]", str(opened.readlink())):
                inodes.add(found[1])
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes}


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
