"""The list of the demo's page with many files: one total, rows that stay where they are, few players and requests."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests import media

from .conftest import Demo
from .steps import STAGED, choose, key, played, press, ready, requests, row, slow_down, state

pytestmark = pytest.mark.browser

expect.set_options(timeout=15_000)

MANY = 60

PLACES = """() => [...document.querySelectorAll(".row")].map((row) => {
  const { y, height } = row.getBoundingClientRect();
  return [row.querySelector("h3").textContent, (y + scrollY).toFixed(1), height.toFixed(1)];
})"""
"""The name, the place and the height of each row; browsers compute fractions of pixels with rounding errors."""


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Write six pictures that differ."""
    return written(tmp_path, 6)


def written(folder: Path, count: int) -> list[Path]:
    """Write pictures that differ."""
    paths = [folder / f"take {number:02}.png" for number in range(1, count + 1)]
    for path in paths:
        path.write_bytes(media.SAMPLES["image/png"]() + path.name.encode())
    return paths


def states(page: Page) -> list[str]:
    """Return the states of all rows, from top to bottom."""
    found: list[str] = page.locator(".row").evaluate_all("rows => rows.map(row => row.dataset.state)")
    return found


def total(page: Page) -> Any:
    """Return the expectations about the text of the total."""
    return expect(page.locator("#total-text"))


@pytest.mark.every_engine
def test_rows_stay(page: Page, pictures: list[Path], tmp_path: Path) -> None:
    """Rows keep their place and their height while files are finished, refused and cancelled."""
    refused = tmp_path / "cover.png"
    refused.write_bytes(media.SAMPLES["audio/mpeg"]())
    page.route(STAGED, lambda _: None)
    choose(page, *pictures[:2], refused, *pictures[2:])
    expect(state(page, "take 02.png")).to_have_text("Sending")
    places = page.evaluate(PLACES)
    assert len({height for _, _, height in places}) <= 2  # the first row has no line above it
    press(page, "Cancel", "take 06.png")
    page.unroute_all()  # the requests that were held continue
    for path in pictures[:5]:
        ready(page, path.name)
    expect(state(page, refused.name)).to_have_text("The content does not match the file type")
    assert page.evaluate(PLACES) == places


def test_buttons_stay_harmless(page: Page, song: Path) -> None:
    """In the place of Cancel there is never a button that deletes or removes something."""
    slow_down(page, 2_000_000)
    choose(page, song)
    box = row(page, song.name).get_by_role("button", name="Cancel").bounding_box()
    ready(page, song.name)
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(row(page, song.name).locator("details")).to_have_attribute("open", "")
    expect(state(page, song.name)).to_have_text("Ready")


def test_pause_and_resume_all(page: Page, pictures: list[Path]) -> None:
    """The total pauses and resumes all files, and counts them."""
    page.route(STAGED, lambda _: None)
    choose(page, *pictures)
    expect(state(page, "take 02.png")).to_have_text("Sending")
    total(page).to_have_text(re.compile(r"^0 of 6 ready · 0 % of \d+ kB"))
    page.get_by_role("button", name="Pause all").click()
    expect(page.locator("[data-state=paused]")).to_have_count(6)
    total(page).to_contain_text("paused")
    page.unroute_all()
    page.get_by_role("button", name="Resume all").click()
    total(page).to_have_text("6 of 6 ready")
    expect(page.get_by_role("button", name=re.compile(" all$"))).to_have_count(0)


def test_cancel_all(page: Page, pictures: list[Path]) -> None:
    """Cancel all asks first; the cancelled rows stay, can be restarted, and are removed together."""
    page.route(STAGED, lambda _: None)
    choose(page, *pictures)
    expect(state(page, "take 02.png")).to_have_text("Sending")
    page.get_by_role("button", name="Cancel all").click()
    assert "cancelled" not in states(page)
    page.get_by_role("button", name="Really cancel all?").click()
    expect(page.locator("[data-state=cancelled]")).to_have_count(6)
    page.unroute_all()
    press(page, "Restart", "take 03.png")
    ready(page, "take 03.png")
    page.get_by_role("button", name="Remove 5 cancelled").click()
    expect(page.locator(".row")).to_have_count(1)
    expect(page.get_by_label("Choose files to upload")).to_be_focused()


def test_retry_failed(page: Page, pictures: list[Path], tmp_path: Path) -> None:
    """Retry repeats the files that may succeed, and not the one that was refused for its type."""
    text = tmp_path / "lyrics.txt"
    text.write_text("la la la")
    page.evaluate("Math.random = () => 0")
    page.route(STAGED, lambda route: route.abort())
    choose(page, *pictures[:3], text)
    total(page).to_have_text("0 of 4 ready · 4 failed")
    page.unroute_all()
    page.get_by_role("button", name="Retry 3 failed").click()
    total(page).to_have_text("3 of 4 ready · 1 failed")
    expect(page.get_by_role("button", name=re.compile("failed$"))).to_have_count(0)


def test_many_files(page: Page, tmp_path: Path) -> None:
    """With 60 files the page is short, has no player, and needs three requests after a reload."""
    choose(page, *written(tmp_path, MANY))
    total(page).to_have_text(f"{MANY} of {MANY} ready", timeout=60_000)
    assert page.locator("audio, video, .player > *").count() == 0
    assert page.evaluate("document.documentElement.scrollHeight") < 6_000
    page.wait_for_function("document.querySelectorAll('#announcements p').length > 1")
    said = page.locator("#announcements p").all_inner_texts()
    assert len(said) <= 8
    assert said[0] == f"Uploading {MANY} files."
    with requests(page) as made:
        page.reload()
        ready(page, "take 60.png")
        page.wait_for_load_state("networkidle")
    api = [request.url.partition("/api/v1")[2] for request in made if "/api/v1" in request.url]
    assert sorted(api) == ["/downloads", "/uploads/confirm", "/uploads/status"]
    played(page, "take 60.png")
    expect(page.locator(".player > *")).to_have_count(1)


def test_total_in_view(page: Page, tmp_path: Path) -> None:
    """The total stays in view while the list is scrolled, and does not cover the element with the focus."""
    page.route(STAGED, lambda _: None)
    choose(page, *written(tmp_path, 30))
    expect(state(page, "take 02.png")).to_have_text("Sending")
    page.get_by_role("button", name="Cancel take 30.png").focus()
    expect(page.get_by_role("button", name="Pause all")).to_be_in_viewport()
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        covered = page.evaluate(
            """() => {
              const { left, top, width, height } = document.activeElement.getBoundingClientRect();
              const found = document.elementFromPoint(left + width / 2, top + height / 2);
              return !document.activeElement.contains(found);
            }"""
        )
        assert not covered, page.evaluate("document.activeElement.ariaLabel")


@pytest.mark.every_engine
def test_thumbnails(page: Page, pictures: list[Path], song: Path, complaints: list[str]) -> None:
    """A chosen picture has a thumbnail, whose URL is revoked, and a song has an icon."""
    page.evaluate(
        """() => {
          window.urls = new Set();
          const { createObjectURL, revokeObjectURL } = URL;
          URL.createObjectURL = (file) => {
            const url = createObjectURL(file);
            if (file.type.startsWith("image/")) urls.add(url);
            return url;
          };
          URL.revokeObjectURL = (url) => (urls.delete(url), revokeObjectURL(url));
        }"""
    )
    choose(page, *pictures, song)
    for path in pictures:
        expect(row(page, path.name).locator(".thumb img")).to_have_js_property("naturalWidth", 320)
    expect(row(page, song.name).locator(".thumb img")).to_have_count(0)
    page.wait_for_function("urls.size === 0")
    assert complaints == []


def test_limits(page: Page, tmp_path: Path) -> None:
    """The page shows the largest size and the types of this broker, and refuses other files in words."""
    status = {"r2Configured": True, "provider": "x", "maxBytes": 5_000, "multipartThreshold": 4_000}
    types = ["audio/mpeg", "audio/ogg", "video/quicktime", "image/png"]
    page.route("**/api/v1/uploads/status", lambda route: route.fulfill(body=json.dumps({**status, "types": types})))
    page.reload()
    expect(page.get_by_text("MP3 or Ogg; MOV video; PNG")).to_be_visible()
    expect(page.get_by_text("Up to 5.00 kB each.")).to_be_visible()
    expect(page.get_by_label("Choose files to upload")).to_have_attribute("accept", ",".join(["audio/*", *types]))
    large = tmp_path / "large.mp3"
    large.write_bytes(media.mp3(seconds=2))
    text = tmp_path / "lyrics.txt"
    text.write_text("la la la")
    choose(page, large, text)
    expect(state(page, large.name)).to_have_text("This file is too large")
    expect(state(page, text.name)).to_have_text("This file type is not accepted")
    row(page, large.name).locator("summary").click()
    expect(row(page, large.name)).to_contain_text("At most 5.00 kB are accepted.")
    row(page, text.name).locator("summary").click()
    expect(row(page, text.name)).to_contain_text("Choose one of these: MP3 or Ogg; MOV video; PNG.")


@pytest.mark.every_engine
def test_audio_in_video_container(page: Page, tmp_path: Path) -> None:
    """A recording without a picture is shown as audio, although its type is that of a video."""
    recording = tmp_path / "recording.webm"
    recording.write_bytes(media.SAMPLES["audio/webm"]())
    choose(page, recording)
    ready(page, recording.name)
    press(page, "Play", recording.name)
    expect(row(page, recording.name).locator("audio")).to_be_visible()
    expect(row(page, recording.name).locator("video")).to_have_count(0)
    expect(row(page, recording.name).locator(".thumb use")).to_have_attribute("href", "#icon-audio")
    press(page, "Close", recording.name)
    expect(row(page, recording.name).locator("audio")).to_have_count(0)


@pytest.mark.every_engine
def test_forced_colours(page: Page, pictures: list[Path]) -> None:
    """With forced colours the bars of the rows and of the total are seen."""
    page.route(STAGED, lambda _: None)
    choose(page, *pictures)
    expect(state(page, "take 02.png")).to_have_text("Sending")
    page.get_by_role("button", name="Pause all").click()
    expect(page.locator("[data-state=paused]")).to_have_count(len(pictures))
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    for bar in page.locator("progress:not(.unused)").all():
        bar.evaluate("bar => { bar.value = 0.5; }")
        picture = Image.open(io.BytesIO(bar.screenshot(animations="disabled"))).convert("RGB")
        done, left = (
            [picture.getpixel((picture.width * quarter // 4, y)) for y in range(picture.height)] for quarter in (1, 3)
        )
        assert done[len(done) // 2] != left[len(left) // 2]
        assert len(set(left)) > 1  # the border of what is left


def test_all_bytes_had_arrived(page: Page, pictures: list[Path]) -> None:
    """An upload that was reloaded between its last byte and its confirm becomes ready without its file."""
    page.route("**/confirm", lambda _: None)
    choose(page, pictures[0])
    expect(state(page, "take 01.png")).to_have_text("Checking the stored file")
    page.unroute_all()
    page.reload()
    ready(page, "take 01.png")
    page.wait_for_function("Object.keys(localStorage).length === 1")
    name = key(page, "take 01.png")
    page.reload()
    assert key(page, "take 01.png") == name


@pytest.mark.every_engine
def test_two_tabs(page: Page, demo: Demo, pictures: list[Path]) -> None:
    """A file that one tab uploads is shown in another, which follows it to its end and cannot discard it."""
    page.route(STAGED, lambda _: None)
    choose(page, *pictures[:2])
    for path in pictures[:2]:
        expect(state(page, path.name)).to_have_text("Sending")
    other = page.context.new_page()
    other.goto(demo.page)
    for path in pictures[:2]:
        expect(state(other, path.name)).to_have_text("Being uploaded in another tab")
        expect(row(other, path.name).get_by_role("button")).to_have_count(0)
    press(page, "Cancel", "take 02.png")
    expect(state(other, "take 02.png")).to_have_text("Cancelled")
    page.unroute_all()
    ready(page, "take 01.png")
    ready(other, "take 01.png")
    assert key(other, "take 01.png") == key(page, "take 01.png")
