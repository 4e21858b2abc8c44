"""``broker demo`` as a newcomer runs it: what it prints works when pasted, and Ctrl-C leaves nothing behind."""

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
    """The running demo and what it printed; ``folder`` is where it may put what goes away."""
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
        process.kill()  # which does nothing to one that has ended
        process.wait()


def opened(printed: str) -> str:
    """Where the broker is, which answers by then."""
    found = re.search(r"(http://\S+)/demo#token=", printed)
    assert found
    assert fetch(f"{found[1]}/healthz").status_code == 200
    return found[1]


def test_it_answers_once_it_is_printed() -> None:
    """A connection that is made as soon as the page's address is printed gets the page."""
    with demo(until="/demo#") as (_, printed):
        assert fetch(f"{opened(printed)}/demo").status_code == 200


@pytest.mark.curl
def test_the_printed_lines_work_when_pasted(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(mp3())
    with demo() as (_, printed):
        opened(printed)
        script = "set -e\n" + printed[printed.index("  export BROKER") :]
        pasted = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
        track, link = (json.loads(line) for line in pasted.stdout.strip().splitlines()[-2:])
        assert track["status"] == "ready"
        assert digest(fetch(link["url"]).content) == digest(mp3())


def test_the_page_it_names_is_there_and_may_talk_to_nobody_but_the_broker_and_the_store() -> None:
    with demo() as (_, printed):
        broker = opened(printed)
        store = re.search(r"its store at (http://\S+)\.", printed)
        assert store
        answer = fetch(f"{broker}/demo")
        assert answer.status_code == 200
        assert f"connect-src 'self' {store[1]};" in answer.headers["content-security-policy"]
        for path in set(re.findall(r'(?:src|href)="(/[^"]+)"', answer.text)):
            assert fetch(broker + path).status_code == 200


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_the_store_and_removes_its_data(tmp_path: Path, stop: signal.Signals) -> None:
    with demo(stop=stop, folder=tmp_path) as (_, printed):
        store = re.search(r"its store at (http://\S+)\.", printed)
        assert len(list(tmp_path.glob("broker-demo-*"))) == 1
    assert store
    with pytest.raises(httpx2.TransportError):
        fetch(store[1])
    assert list(tmp_path.iterdir()) == []


def test_a_named_folder_keeps_the_data(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with demo("--data", str(folder)):
        pass
    assert any(folder.iterdir())


@pytest.mark.parametrize("inherited", [signal.SIG_DFL, signal.SIG_IGN])
def test_ctrl_c_ends_it_while_the_store_is_starting_too(inherited: signal.Handlers) -> None:
    """Also where the shell that started it in the background had the signal ignored."""
    before = signal.signal(signal.SIGINT, inherited)
    try:
        with demo(until="Starting the store"):
            pass
    finally:
        signal.signal(signal.SIGINT, before)
