"""An expired token on the demo's page: uploads wait for a fresh one, and go on where they were."""

import base64
import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from .conftest import Demo
from .steps import STAGED, choose, ready, requests, row, state

pytestmark = pytest.mark.browser

expect.set_options(timeout=15_000)

REFUSAL = '{"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "-", "code": "unauthenticated"}'


class Tokens:
    """The tokens of a page, which the broker refuses while ``expired`` is true."""

    def __init__(self, page: Page) -> None:
        self.expired = False
        page.route("**/api/v1/**", self._handle)

    def _handle(self, route: Route) -> None:
        if self.expired and "authorization" in route.request.headers:
            route.fulfill(status=401, content_type="application/problem+json", body=REFUSAL)
        else:
            route.continue_()


def paste(page: Page, link: str) -> None:
    """Give the page a link."""
    page.get_by_label("Link or token").fill(link)
    page.get_by_role("button", name="Continue").click()


def link_of(demo: Demo, subject: str) -> str:
    """Return a link whose token names a user, and has no valid signature."""
    claims = base64.urlsafe_b64encode(json.dumps({"sub": subject}).encode()).decode().rstrip("=")
    return f"{demo.origin}/demo#token=e30.{claims}.x"


@pytest.mark.every_engine
def test_expired_at_the_end(page: Page, demo: Demo, song: Path) -> None:
    """After a token has expired at 100 %, a fresh link confirms the file, and no byte is sent again."""
    tokens = Tokens(page)

    def expire(route: Route) -> None:
        tokens.expired = True
        route.continue_()

    page.route(STAGED, expire)
    with requests(page) as made:
        choose(page, song)
        expect(page.get_by_role("alert")).to_contain_text("Your link has expired")
        expect(state(page, song.name)).to_have_text("Waiting for a fresh link")
        paste(page, link_of(demo, "demo-user"))
        expect(page.get_by_text("This link is not valid any more either.")).to_be_visible()
        tokens.expired = False
        paste(page, demo.page)
        ready(page, song.name)
    expect(page.get_by_role("alert")).to_be_hidden()
    assert len([request for request in made if request.method == "PUT"]) == 1


def wait_for_fresh_link(page: Page, song: Path) -> None:
    """Choose a file with an expired token, and accept tokens again once the page requests a fresh link."""
    tokens = Tokens(page)
    tokens.expired = True
    choose(page, song)
    expect(page.get_by_role("alert")).to_contain_text("Your link has expired")
    tokens.expired = False


def test_fresh_link_in_the_same_tab(page: Page, demo: Demo, song: Path) -> None:
    """A fresh link that is opened in the tab of the uploads lets them go on."""
    wait_for_fresh_link(page, song)
    page.evaluate("link => { location.hash = new URL(link).hash; }", demo.page)
    ready(page, song.name)
    assert page.url == f"{demo.origin}/demo"


@pytest.mark.every_engine
def test_fresh_link_in_another_tab(page: Page, demo: Demo, song: Path) -> None:
    """A fresh link that is opened in another tab lets the uploads of this one go on."""
    wait_for_fresh_link(page, song)
    other = page.context.new_page()
    other.goto(demo.page)
    ready(page, song.name)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_expired_at_a_reload(page: Page, demo: Demo, song: Path) -> None:
    """A reload with an expired token keeps the list, and asks for a fresh link."""
    choose(page, song)
    ready(page, song.name)
    tokens = Tokens(page)
    tokens.expired = True
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("Your link has expired")
    expect(state(page, song.name)).to_have_text("Ready")
    tokens.expired = False
    paste(page, demo.page)
    ready(page, song.name)


@pytest.mark.every_engine
def test_another_user(page: Page, demo: Demo, song: Path) -> None:
    """The next user of the same browser sees no file of the last one, neither a confirmed nor an unfinished one."""
    choose(page, song)
    ready(page, song.name)
    page.route(STAGED, lambda _: None)
    choose(page, song)
    expect(state(page, song.name)).to_have_text(["Sending", "Ready"])
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(link_of(demo, "somebody else"))
    expect(row(page, song.name)).to_have_count(0)
    expect(page.get_by_label("Choose files to upload")).to_be_enabled()
    page.goto(demo.page)
    expect(row(page, song.name)).to_have_count(2)
