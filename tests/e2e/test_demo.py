"""``broker demo``: the printed commands work, and Ctrl-C removes everything."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.patience import PATIENCE

from .steps import digest, fetch, mp3


@contextmanager
def demo(
    *words: str, until: str = "downloads/", stop: signal.Signals = signal.SIGINT, folder: Path | None = None
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run the demo; yield the process and its output up to ``until``. ``folder`` is its temporary folder."""
    command = [sys.executable, "-m", "broker", "demo", "--port", "0", *words]
    environment = {**os.environ, **({"TMPDIR": str(folder)} if folder else {})}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    try:
        printed = ""
        for line in process.stdout:
            printed += line
            if until in line:
                break
        try:
            yield process, printed
        finally:
            process.send_signal(stop)
            rest = process.stdout.read()
            process.stdout.close()
            assert process.wait(PATIENCE) == 0
            assert "have stopped" in rest
    finally:
        process.kill()  # no effect on a process that has ended
        process.wait()


def opened(printed: str) -> str:
    """Return the URL of the broker, which must be ready."""
    found = re.search(r"(http://\S+)/demo#token=", printed)
    assert found
    assert fetch(f"{found[1]}/healthz").status_code == 200
    return found[1]


def test_page_is_served_once_printed() -> None:
    """The page is served as soon as its address is printed."""
    with demo(until="/demo#") as (_, printed):
        assert fetch(f"{opened(printed)}/demo").status_code == 200


@pytest.mark.curl
def test_printed_commands(tmp_path: Path) -> None:
    """The printed commands work when they are pasted into a shell."""
    (tmp_path / "song.mp3").write_bytes(mp3())
    with demo() as (_, printed):
        opened(printed)
        script = "set -e\n" + printed[printed.index("  export BROKER") :]
        pasted = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
        track, link = (json.loads(line) for line in pasted.stdout.strip().splitlines()[-2:])
        assert track["status"] == "ready"
        assert digest(fetch(link["url"]).content) == digest(mp3())


def test_page_and_policy() -> None:
    """The page and its files are served, with a policy that allows the store."""
    with demo() as (_, printed):
        broker = opened(printed)
        store = re.search(r"its store at (http://\S+)\.", printed)
        assert store
        response = fetch(f"{broker}/demo")
        assert response.status_code == 200
        assert f"connect-src 'self' {store[1]};" in response.headers["content-security-policy"]
        for path in set(re.findall(r'(?:src|href)="(/[^"]+)"', response.text)):
            assert fetch(broker + path).status_code == 200


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stop(tmp_path: Path, stop: signal.Signals) -> None:
    """SIGINT and SIGTERM stop the store and remove its data."""
    with demo(stop=stop, folder=tmp_path) as (_, printed):
        store = re.search(r"its store at (http://\S+)\.", printed)
        assert len(list(tmp_path.glob("broker-demo-*"))) == 1
    assert store
    with pytest.raises(httpx2.TransportError):
        fetch(store[1])
    assert list(tmp_path.iterdir()) == []


def test_data_folder(tmp_path: Path) -> None:
    """The data stays in a folder that --data names."""
    folder = tmp_path / "kept"
    with demo("--data", str(folder)):
        pass
    assert any(folder.iterdir())


@pytest.mark.parametrize("inherited", [signal.SIG_DFL, signal.SIG_IGN])
def test_stop_while_store_starts(inherited: signal.Handlers) -> None:
    """Ctrl-C ends the demo while its store is starting, even if the shell had SIGINT ignored."""
    before = signal.signal(signal.SIGINT, inherited)
    try:
        with demo(until="Starting the store"):
            pass
    finally:
        signal.signal(signal.SIGINT, before)
