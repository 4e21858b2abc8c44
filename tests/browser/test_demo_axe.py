"""axe-core finds no violation of the demo's page, in every state, in light and dark."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, Route, expect

from tests import media
from tests.npm import install

from .engines import network_of
from .steps import STAGED, choose, details, played, press, ready, state

pytestmark = pytest.mark.browser

expect.set_options(timeout=15_000)

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

REFUSAL = '{"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "-", "code": "unauthenticated"}'

AXE = """async () => (await axe.run({ resultTypes: ["violations"] })).violations
  .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`))"""


@pytest.fixture(scope="module")
def axe() -> bytes:
    """Return the source of axe-core."""
    install(Path(__file__).parent)
    return (Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js").read_bytes()


def load(page: Page, axe: bytes) -> None:
    """Load axe-core from the origin of the page: it is too large for a message to the inspector of WebKitGTK."""
    url = page.evaluate("new URL('/axe.js', location).href")
    network_of(page).scripts[url] = axe
    page.add_script_tag(url=url)


def pictures(folder: Path, *names: str) -> list[Path]:
    """Write pictures that differ."""
    paths = [folder / f"{name}.png" for name in names]
    for path in paths:
        path.write_bytes(media.SAMPLES["image/png"]() + path.name.encode())
    return paths


def empty(_page: Page, _folder: Path) -> None:
    """Show the page as it is opened."""


def uploading(page: Page, folder: Path) -> None:
    """Show two uploads, and one in the queue."""
    page.route(STAGED, lambda _: None)
    choose(page, *pictures(folder, "first", "second", "third"))
    expect(state(page, "second.png")).to_have_text("Sending")


def paused(page: Page, folder: Path) -> None:
    """Show uploads that are paused."""
    uploading(page, folder)
    page.get_by_role("button", name="Pause all").click()
    expect(state(page, "third.png")).to_have_text("Paused")


def waiting(page: Page, folder: Path) -> None:
    """Show an upload before its next attempt."""
    page.route(STAGED, lambda route: route.abort())
    page.evaluate("Math.random = () => 0.999")
    choose(page, *pictures(folder, "first"))
    expect(state(page, "first.png")).to_contain_text("No response")


def failed(page: Page, folder: Path) -> None:
    """Show refused files with their details, a cancelled one, and the question of Cancel all."""
    texts = [folder / name for name in ("lyrics.txt", "notes.txt")]
    for text in texts:
        text.write_text("la la la")
    choose(page, *texts)
    for text in texts:
        expect(state(page, text.name)).to_have_text("This file type is not accepted")
        details(page, text.name)
    uploading(page, folder)
    press(page, "Cancel", "first.png")
    expect(state(page, "first.png")).to_have_text("Cancelled")
    page.get_by_role("button", name="Cancel all").click()


def finished(page: Page, folder: Path) -> None:
    """Show confirmed files with an open player, details and the question of Delete."""
    song = folder / "song.mp3"
    song.write_bytes(media.SAMPLES["audio/mpeg"]())
    choose(page, song, *pictures(folder, "cover"))
    for name in (song.name, "cover.png"):
        ready(page, name)
        played(page, name)
        details(page, name)
    press(page, "Delete", song.name)


def interrupted(page: Page, folder: Path) -> None:
    """Show an upload that a reload has interrupted, after another file was chosen for it."""
    page.route(STAGED, lambda _: None)
    left, other = pictures(folder, "left", "other")
    choose(page, left)
    expect(state(page, left.name)).to_have_text("Sending")
    page.reload()
    expect(state(page, left.name)).to_contain_text("Interrupted")
    page.get_by_label(f"Choose file {left.name}").set_input_files(other)
    details(page, left.name)


def expired(page: Page, folder: Path) -> None:
    """Show uploads that wait for a fresh token, and the refusal of another one."""

    def refuse(route: Route) -> None:
        route.fulfill(status=401, content_type="application/problem+json", body=REFUSAL)

    page.route(lambda url: "/api/v1/" in url and "/status" not in url, refuse)
    choose(page, *pictures(folder, "first", "second"))
    expect(state(page, "first.png")).to_have_text("Waiting for a fresh link")
    page.get_by_label("Link or token").fill("old")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("This link is not valid any more either.")).to_be_visible()


def without_token(page: Page, _folder: Path) -> None:
    """Show the page without a token."""
    page.evaluate("sessionStorage.clear()")
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("This page has no token")


STATES = (empty, uploading, paused, waiting, failed, finished, interrupted, expired, without_token)


@pytest.mark.every_engine
@pytest.mark.parametrize("shown", STATES, ids=lambda shown: str(shown.__name__))
def test_axe(page: Page, axe: bytes, shown: Callable[[Page, Path], None], tmp_path: Path) -> None:
    """axe-core finds no violation, on a wide and on a narrow screen, in light and dark."""
    page.emulate_media(reduced_motion="reduce")
    shown(page, tmp_path)
    load(page, axe)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert page.evaluate(f"matchMedia('(prefers-color-scheme: {scheme})').matches")
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(AXE) == []
