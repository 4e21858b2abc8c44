"""The accessibility of the demo's page: keyboard, screen reader, contrast, narrow screens, reduced motion."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests import media

from .conftest import Demo, opened
from .steps import STAGED, choose, details, played, press, ready, row, state

pytestmark = pytest.mark.browser

expect.set_options(timeout=15_000)

SCHEMES = ["light", "dark"]

CONTRASTS = """() => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, index) => sum + c * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length === 3) return colour;
      if (colour[3] !== 0) throw new Error(`${at.outerHTML} is neither clear nor opaque`);
    }
  };
  const contrast = element => {
    const [one, other] = [ground(element), channels(getComputedStyle(element).color)].map(light);
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  };
  const own = element => [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
  return [...document.querySelectorAll("main *")].filter(element => own(element) && element.checkVisibility())
    .map(element => [contrast(element), `${element.textContent.trim()} (${element.tagName})`]);
}"""

FOCUS = """() => {
  const label = document.activeElement.closest("label");
  const marked = [document.activeElement, label].some(one => one && getComputedStyle(one).outlineStyle === "solid");
  return [document.activeElement.ariaLabel ?? document.activeElement.textContent.trim(), marked];
}"""

WIDER = """width => [...document.querySelectorAll("main *:not(.visually-hidden)")]
  .filter(one => one.getBoundingClientRect().right > width).map(one => one.outerHTML)"""


@pytest.fixture(scope="module")
def shown(browser: Browser, demo: Demo, song: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Open a page with an upload or a track in every state that lasts."""
    with opened(browser, demo, []) as page:
        show(page, song, tmp_path_factory.mktemp("files"))
        yield page


@pytest.fixture
def busy(shown: Page) -> Page:
    """Return the page with all states, on a wide screen in light."""
    shown.set_viewport_size({"width": 1280, "height": 720})
    shown.emulate_media(color_scheme="light", reduced_motion="no-preference")
    return shown


def show(page: Page, song: Path, folder: Path) -> None:
    """Show an upload or a track in every state that lasts."""
    names = ["lyrics.txt", "cover.png", "left.png", "paused.png", "first.png", "second.png", "queued.png"]
    text, cover, left, *others = [folder / name for name in names]
    for path in (cover, left, *others):
        path.write_bytes(media.SAMPLES["image/png"]() + path.name.encode())
    text.write_text("la la la")

    choose(page, song, cover)
    ready(page, song.name)
    ready(page, cover.name)
    page.route(STAGED, lambda _: None)
    choose(page, left)
    expect(state(page, left.name)).to_have_text("Sending")
    page.reload()
    expect(state(page, left.name)).to_contain_text("Interrupted")
    choose(page, text, *others)
    expect(state(page, "first.png")).to_have_text("Sending")
    press(page, "Pause", "paused.png")
    choose(page, folder / "queued.png")
    expect(state(page, text.name)).to_have_text("This file type is not accepted")
    expect(state(page, "paused.png")).to_have_text("Paused")
    expect(state(page, "second.png")).to_have_text("Sending")
    expect(state(page, "queued.png")).to_have_text("Queued")
    played(page, song.name)
    details(page, song.name)
    details(page, text.name)
    details(page, cover.name)
    press(page, "Delete", cover.name)


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element with this accessible name has the focus, and check that the focus is visible."""
    for _ in range(40):
        page.keyboard.press("Tab")
        label, marked = page.evaluate(FOCUS)
        if label == name:
            assert marked, f"{name} does not show its focus"
            return
    pytest.fail(f"{name} cannot be reached by Tab")


def focused(page: Page) -> Locator:
    """Return the focused element."""
    return page.locator(":focus")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_contrast(busy: Page, scheme: str) -> None:
    """All text has a contrast of at least 4.5 to its background (WCAG 2.2, 1.4.3), in light and dark."""
    busy.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    contrasts = busy.evaluate(CONTRASTS)
    assert len(contrasts) > 40
    assert [(ratio, words) for ratio, words in contrasts if ratio < 4.5] == []


@pytest.mark.parametrize("width", [320, pytest.param(390, marks=pytest.mark.every_engine), 1280])
def test_narrow_screens(busy: Page, width: int) -> None:
    """No screen width needs horizontal scrolling (WCAG 2.2, 1.4.10)."""
    busy.set_viewport_size({"width": width, "height": 640})
    assert busy.evaluate("document.documentElement.scrollWidth") == width
    assert busy.evaluate(WIDER, width) == []


def test_accessible_names(busy: Page) -> None:
    """Every control has an accessible name, and no two buttons have the same."""
    tree = busy.locator("main").aria_snapshot()
    parts = re.findall(r"- (button|link|textbox|progressbar|img|audio|region)(?: \"(.+?)\")?(?=[ :\n]|$)", tree)
    names = [name for role, name in parts if role in ("button", "progressbar", "region", "img")]
    assert len(names) > 20
    assert "" not in names
    buttons = [name for role, name in parts if role == "button"]
    assert sorted(buttons) == sorted(set(buttons))
    ids = busy.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
    assert sorted(ids) == sorted(set(ids))


def test_headings(busy: Page) -> None:
    """The page has one heading of level 1, and no heading skips a level."""
    headings = busy.get_by_role("heading").filter(visible=True)
    levels = headings.evaluate_all("all => all.map(heading => Number(heading.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))


@pytest.mark.every_engine
def test_keyboard(page: Page, song: Path, complaints: list[str]) -> None:
    """A file can be uploaded, paused, copied and deleted with the keyboard alone."""
    page.route(STAGED, lambda _: None)
    page.on("filechooser", lambda chooser: chooser.set_files(song))
    expect(page.get_by_label("Choose files to upload")).to_be_enabled()
    tab_to(page, "Choose files to upload")
    page.keyboard.press("Enter")
    expect(state(page, song.name)).to_have_text("Sending")

    tab_to(page, f"Pause {song.name}")
    page.keyboard.press("Space")
    expect(state(page, song.name)).to_have_text("Paused")
    expect(focused(page)).to_have_text("Resume")
    page.keyboard.press("Space")
    expect(focused(page)).to_have_text("Pause")
    page.unroute_all()
    ready(page, song.name)
    expect(focused(page)).to_have_text("Play")
    page.keyboard.press("Enter")
    expect(page.locator("audio")).to_be_visible()

    tab_to(page, f"Details {song.name}")
    page.keyboard.press("Enter")
    tab_to(page, f"Copy the key of {song.name}")
    tab_to(page, f"Receipt of {song.name}")
    tab_to(page, f"Delete {song.name}")
    page.keyboard.press("Enter")
    expect(focused(page)).to_have_text("Really delete?")
    page.keyboard.press("Enter")
    expect(state(page, song.name)).to_have_text("Deleted")
    expect(focused(page)).to_have_text(song.name)
    tab_to(page, f"Remove {song.name}")
    page.keyboard.press("Enter")
    expect(row(page, song.name)).to_have_count(0)
    expect(page.get_by_label("Choose files to upload")).to_be_focused()
    assert complaints == []


def test_focus_moves_to_neighbour(page: Page, song: Path, tmp_path: Path) -> None:
    """The focus of a button whose row is removed moves to the next row."""
    other = tmp_path / "cover.png"
    other.write_bytes(media.SAMPLES["image/png"]())
    page.route(STAGED, lambda _: None)
    choose(page, song, other)
    expect(state(page, other.name)).to_have_text("Sending")
    tab_to(page, f"Cancel {song.name}")
    page.keyboard.press("Enter")
    expect(state(page, song.name)).to_have_text("Cancelled")
    expect(focused(page)).to_have_text(song.name)
    tab_to(page, f"Remove {song.name}")
    page.keyboard.press("Enter")
    expect(row(page, song.name)).to_have_count(0)
    expect(focused(page)).to_have_text(other.name)


def test_reduced_motion(busy: Page) -> None:
    """With reduced motion the page has no animations and no transitions."""
    busy.emulate_media(reduced_motion="reduce")
    moving = """[...document.querySelectorAll("*")].filter(one => {
      const style = getComputedStyle(one);
      return style.animationName !== "none" || style.transitionDuration !== "0s";
    }).map(one => one.outerHTML)"""
    assert busy.evaluate(moving) == []
