"""The shell script of the examples."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import Broker, token
from tests.e2e.steps import digest, mp3, served
from tests.media import wav
from tests.patience import PATIENCE

from .conftest import EXAMPLES

pytestmark = pytest.mark.examples


def run(folder: Path, broker: Broker, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the script."""
    line = ["sh", str(EXAMPLES / "curl" / "upload.sh"), *words]
    environment = {"PATH": os.environ["PATH"], "BROKER": broker.url, "TOKEN": token(), "TMPDIR": str(folder)}
    return subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize(
    ("name", "content_type", "content"),
    [
        ("my song.mp3", "audio/mpeg", mp3()),
        ('a "b" é.mp3', "audio/mpeg", mp3()),
        ("long.wav", "audio/wav", wav() + bytes(17 * 2**20)),
    ],
    ids=["one PUT", "a name with quotes", "parts"],
)
def test_script_uploads(broker: Broker, tmp_path: Path, name: str, content_type: str, content: bytes) -> None:
    """The script uploads a file by one PUT or in parts, and prints the result of confirm."""
    (tmp_path / name).write_bytes(content)
    done = run(tmp_path, broker, name, content_type)
    assert done.returncode == 0, done.stderr
    track = json.loads(done.stdout)
    assert track["filename"] == name
    with broker.client() as client:
        assert digest(served(client, track["key"])) == digest(content)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_script_shows_the_refusal(broker: Broker, tmp_path: Path) -> None:
    """A refused upload ends with an error status, and the broker's error is printed."""
    (tmp_path / "page.html").write_text("<html>")
    done = run(tmp_path, broker, "page.html", "text/html")
    assert done.returncode != 0
    assert "unsupported_type" in done.stdout + done.stderr
