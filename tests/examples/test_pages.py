"""The pages of the examples in Chromium."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import browser
from tests.browser.site import Site, digest_of, song
from tests.browser.site import running as running_site
from tests.e2e.processes import token
from tests.patience import until

from .conftest import copied

__all__ = ["browser"]

pytestmark = pytest.mark.examples
SLOW = 60_000
"""Milliseconds."""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server of files that logs nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def opened(browser: Browser, name: str, folder: Path) -> Iterator[tuple[Page, Site]]:
    """Open the page of an example."""
    with (
        served(copied(name, folder)) as origin,
        running_site(folder, BROKER_CORS_ORIGINS=origin) as site,
        browser.new_context() as context,
    ):
        site.allow(origin)
        page = context.new_page()
        page.goto(f"{origin}/?broker={site.broker.url}&token={token()}")
        yield page, site


def files(folder: Path) -> tuple[Path, Path]:
    """Return a song of several parts, and a file that is not one."""
    bad = folder / "bad.mp3"
    bad.write_text("this is not a song")
    return song(folder / "good.mp3", 20 * 2**20), bad


def test_plain_page_uploads(browser: Browser, tmp_path: Path) -> None:
    """The plain page uploads chosen files, and shows the key and the error of each."""
    good, bad = files(tmp_path)
    with opened(browser, "plain-page", tmp_path) as (page, site):
        page.get_by_label("Files").set_input_files([good, bad])
        row = page.get_by_role("listitem").filter(has_text="good.mp3")
        expect(row).to_contain_text("media/", timeout=SLOW)
        assert site.served(row.inner_text().split(": ")[1]) == digest_of(good)
        failed = page.get_by_role("listitem").filter(has_text="bad.mp3")
        expect(failed).not_to_contain_text("%", timeout=SLOW)
        expect(failed).not_to_contain_text("media/")


def test_filepond_uploads(browser: Browser, tmp_path: Path) -> None:
    """FilePond uploads chosen files, shows an error, has the key in the form, and deletes a removed file."""
    good, bad = files(tmp_path)
    with opened(browser, "filepond", tmp_path) as (page, site):
        page.locator("input[type=file]").set_input_files([good, bad])
        expect(page.locator("[data-filepond-item-state=processing-complete]")).to_have_count(1, timeout=SLOW)
        expect(page.locator("[data-filepond-item-state=processing-error]")).to_have_count(1, timeout=SLOW)
        keys = page.locator("input[type=hidden][name=track]").evaluate_all("all => all.map((one) => one.value)")
        (key,) = [key for key in keys if key]
        assert site.served(key) == digest_of(good)
        page.locator("[data-filepond-item-state=processing-complete] .filepond--action-revert-item-processing").click()
        expect(page.locator("[data-filepond-item-state=processing-complete]")).to_have_count(0, timeout=SLOW)
        with site.broker.client() as client:
            until(lambda: client.get(f"/objects/{key}").status_code == 404)
