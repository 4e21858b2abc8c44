"""The snippets for pages, in a real Chromium with the page of the demo."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Demo, browser, running_demo
from tests.media import mp3

from .markdown import block

__all__ = ["browser"]

pytestmark = pytest.mark.browser

PRELUDE = """async ([content, name, token]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt());
  const file = new File([bytes], name, { type: "audio/mpeg" });
  const session = { token: () => token };
  const drawn = [], shown = [];
  const draw = (share) => drawn.push(share);
  const show = (...words) => shown.push(words);
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Start a demo."""
    with running_demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture
def page(browser: Browser, demo: Demo) -> Iterator[Page]:
    """Open the page of the demo."""
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(demo.page)
    yield opened
    context.close()


def run(page: Page, demo: Demo, note: str, result: str, content: bytes = b"", more: str = "") -> object:
    """Run a snippet in the page; return the value of the expression ``result`` after it."""
    snippet = re.sub(r'import (\{[^}]+\}) from "(\S+)";', r'const \1 = await import("\2");', block(note))
    body = snippet.replace("https://broker.example", demo.origin)
    token = demo.page.partition("#token=")[2]
    given = [base64.b64encode(content).decode(), "song.mp3", token]
    return page.evaluate(f"{PRELUDE}{more}\n{body}\nreturn {result};\n}}", given)


def test_readme_snippet_uploads(page: Page, demo: Demo) -> None:
    """README's snippet uploads the file and returns its key."""
    assert str(run(page, demo, "test: browser client", "track.key", mp3())).startswith("media/")


def test_progress_is_drawn(page: Page, demo: Demo) -> None:
    """The snippet of clients.md draws the progress until the file is ready."""
    track, drawn = json.loads(str(run(page, demo, "test: browser upload", "JSON.stringify([track, drawn])", mp3())))
    assert track["status"] == "ready"
    assert drawn[-1] == 1


def test_queue_reports_each_file(page: Page, demo: Demo) -> None:
    """The queue of clients.md shows the key of each file and draws the total."""
    files = "const files = [file, new File([bytes], 'b.mp3', { type: 'audio/mpeg' })];"
    shown = json.loads(str(run(page, demo, "test: browser queue", "JSON.stringify(shown)", mp3(), files)))
    assert sorted(name for name, _ in shown) == ["b.mp3", "song.mp3"]
    assert all(key.startswith("media/") for _, key in shown)


def test_error_is_shown(page: Page, demo: Demo, tmp_path: Path) -> None:
    """The second snippet of clients.md shows the error of a file that is not what its name says."""
    shown = run(page, demo, "test: browser errors", "shown", b"this is not a song")
    assert isinstance(shown, list)
    assert shown[0][1] == "Choose another file"
