"""Uploads on the demo's page: paused, cancelled, interrupted, refused and retried."""

import re
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from tests import media

from .conftest import Demo
from .steps import STAGED, body_size, choose, details, press, ready, requests, row, shown_share, slow_down, state

pytestmark = pytest.mark.browser

expect.set_options(timeout=15_000)

MB = 1_000_000
PARTED = 16 * 2**20
"""The size in bytes above which a file is uploaded in parts."""


@pytest.fixture(scope="module")
def concert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a recording that is uploaded in parts."""
    path = tmp_path_factory.mktemp("music") / "concert.wav"
    path.write_bytes(media.wav(seconds=360))
    assert path.stat().st_size > PARTED
    return path


def half_sent(page: Page, path: Path) -> None:
    """Start a slow upload in parts, and wait until one part is stored."""
    slow_down(page, 16 * MB)
    choose(page, path)
    expect(row(page, path.name)).to_contain_text(re.compile(r"\d MB/s · \d+ s left"))
    with page.expect_response(lambda response: "partNumber=" in response.url and response.ok):
        pass


def lose_the_store(page: Page) -> None:
    """Block all requests to the store, and let the page retry without pauses."""
    page.evaluate("Math.random = () => 0")
    page.route(STAGED, lambda route: route.abort())


@pytest.mark.every_engine
def test_pause_and_resume(page: Page, concert: Path, complaints: list[str]) -> None:
    """A paused upload starts no request, parts in flight are completed, and no stored part is sent again."""
    half_sent(page, concert)
    press(page, "Pause", concert.name)
    expect(state(page, concert.name)).to_have_text("Paused")
    with requests(page) as made:
        share = shown_share(page, concert.name)
        page.wait_for_timeout(500)  # there is no event to wait for: the test shows that nothing is started
        assert 0 < share <= shown_share(page, concert.name) < 1
    assert made == []

    slow_down(page, -1)
    with requests(page) as made:
        press(page, "Resume", concert.name)
        ready(page, concert.name)
    assert 0 < sum(body_size(request) for request in made if request.method == "PUT") < concert.stat().st_size
    assert complaints == []


def test_pause_frees_a_place(page: Page, song: Path, tmp_path: Path) -> None:
    """A paused upload frees its place in the queue, and is queued again when it is resumed."""
    pictures = [tmp_path / name for name in ("one.png", "two.png")]
    for picture in pictures:
        picture.write_bytes(media.SAMPLES["image/png"]() + picture.name.encode())
    page.route(STAGED, lambda _: None)
    choose(page, song, *pictures)
    expect(state(page, "two.png")).to_have_text("Queued")
    expect(state(page, song.name)).to_have_text("Sending")
    press(page, "Pause", song.name)
    expect(state(page, "two.png")).to_have_text("Sending")
    press(page, "Resume", song.name)
    expect(state(page, song.name)).to_have_text("Queued")
    expect(state(page, "one.png")).to_have_text("Sending")
    press(page, "Cancel", "two.png")
    expect(state(page, song.name)).to_have_text("Sending")
    page.unroute_all()
    ready(page, song.name)
    ready(page, "one.png")


def test_cancel(page: Page, demo: Demo, concert: Path) -> None:
    """A cancelled upload keeps its row, and is removed from the store and the browser's memory."""
    half_sent(page, concert)
    with page.expect_response(lambda response: response.request.method == "DELETE") as removed:
        press(page, "Cancel", concert.name)
    assert removed.value.status == 204
    expect(page.locator("#announcements")).to_contain_text(f"Cancelled: {concert.name}.")
    expect(state(page, concert.name)).to_have_text("Cancelled")
    page.reload()
    expect(page.get_by_label("Choose files to upload")).to_be_enabled()
    expect(row(page, concert.name)).to_have_count(0)


@pytest.mark.every_engine
def test_interrupted_upload_resumes(page: Page, song: Path, concert: Path) -> None:
    """An upload that a reload has interrupted continues with the same file, and refuses a different one."""
    half_sent(page, concert)
    page.reload()
    slow_down(page, -1)
    left = row(page, concert.name)
    expect(left).to_contain_text("Interrupted. Choose the file again")
    expect(left).to_contain_text("69.1 MB")

    file = left.get_by_label(f"Choose file {concert.name}")
    file.set_input_files(song)
    expect(state(page, concert.name)).to_have_text("This is a different file")
    with requests(page) as made:
        file.set_input_files(concert)
        ready(page, concert.name)
    assert 0 < sum(body_size(request) for request in made if request.method == "PUT") < concert.stat().st_size
    page.reload()
    ready(page, concert.name)
    expect(row(page, concert.name)).to_have_count(1)


def test_main_button_resumes(page: Page, song: Path) -> None:
    """An interrupted upload continues too if its file is chosen with the main button."""
    page.route(STAGED, lambda _: None)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("Sending")
    page.reload()
    expect(state(page, song.name)).to_contain_text("Interrupted")
    page.unroute_all()
    choose(page, song)
    ready(page, song.name)
    expect(row(page, song.name)).to_have_count(1)


def test_discard(page: Page, song: Path) -> None:
    """An interrupted upload that is discarded is removed from the store and the browser's memory."""
    page.route(STAGED, lambda _: None)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("Sending")
    page.reload()
    with page.expect_response(lambda response: response.request.method == "DELETE") as removed:
        press(page, "Discard", song.name)
    assert removed.value.status == 204
    expect(state(page, song.name)).to_have_text("Discarded")
    page.reload()
    expect(page.get_by_label("Choose files to upload")).to_be_enabled()
    expect(row(page, song.name)).to_have_count(0)


def test_failed_discard(page: Page, song: Path) -> None:
    """A failed discard is explained, and the upload can still continue."""
    page.route(STAGED, lambda _: None)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("Sending")
    page.reload()
    page.unroute_all()
    page.route("**/api/v1/uploads/*", lambda route: route.abort())
    press(page, "Discard", song.name)
    expect(state(page, song.name)).to_have_text("The upload could not be removed")
    page.unroute_all()
    row(page, song.name).get_by_label("Choose file").set_input_files(song)
    ready(page, song.name)


@pytest.mark.every_engine
def test_leaving_asks_while_sending(page: Page, song: Path) -> None:
    """The browser asks before the page is left only while a file is being sent."""
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", stay)
    page.get_by_role("heading", level=1).click()  # browsers ignore beforeunload on a page without any user action
    page.reload()
    assert asked == []
    page.get_by_role("heading", level=1).click()
    page.route(STAGED, lambda _: None)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("Sending")
    page.reload()
    assert asked == ["beforeunload"]


def test_same_file_twice(page: Page, song: Path) -> None:
    """A file that is being uploaded is not sent a second time."""
    page.route(STAGED, lambda _: None)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("Sending")
    choose(page, song)
    expect(page.locator("#announcements")).to_contain_text(f"{song.name} is already being uploaded.")
    expect(row(page, song.name)).to_have_count(1)


def test_unsupported_type(page: Page, tmp_path: Path) -> None:
    """A text file is refused in words for a person, the broker's text is one click away, and the row can be removed."""
    path = tmp_path / "lyrics.txt"
    path.write_text("la la la")
    choose(page, path)
    refused = row(page, path.name)
    expect(state(page, path.name)).to_have_text("This file type is not accepted")
    expect(refused.get_by_role("button")).to_have_text(["Remove"])
    shown = details(page, path.name)
    expect(shown).to_contain_text(re.compile("Choose (a file of a type listed above|one of these: MP3)"))
    expect(shown).to_contain_text("What was reported:")
    press(page, "Remove", path.name)
    expect(refused).to_have_count(0)


def test_empty_file(page: Page, tmp_path: Path) -> None:
    """An empty file is refused, and the details contain the rule of the broker."""
    path = tmp_path / "silence.mp3"
    path.touch()
    choose(page, path)
    expect(state(page, path.name)).to_have_text("This file is empty")
    expect(details(page, path.name)).to_contain_text("size")


def test_content_mismatch(page: Page, tmp_path: Path) -> None:
    """A file whose content does not match its type is refused by the confirm, and has no Retry."""
    path = tmp_path / "song.mp3"
    path.write_bytes(media.SAMPLES["image/png"]())
    choose(page, path)
    refused = row(page, path.name)
    expect(state(page, path.name)).to_have_text("The content does not match the file type")
    expect(refused.get_by_role("button")).to_have_text(["Remove"])


def test_corrected_file(page: Page, tmp_path: Path) -> None:
    """A corrected file counts as a different file: it is uploaded, and the refused one stays in the list."""
    path = tmp_path / "song.mp3"
    path.write_bytes(media.SAMPLES["image/png"]())
    choose(page, path)
    states = state(page, path.name)
    expect(states).to_have_text("The content does not match the file type")
    path.write_bytes(media.SAMPLES["audio/mpeg"]())
    choose(page, path)
    expect(states).to_have_text(["Ready", "The content does not match the file type"])


@pytest.mark.every_engine
def test_store_briefly_unreachable(page: Page, song: Path) -> None:
    """The page retries by itself while the store cannot be reached for a moment."""
    page.route(STAGED, lambda route: route.abort())
    choose(page, song)
    expect(state(page, song.name)).to_have_text(re.compile("^No response, (next try in|trying again)"))
    page.unroute_all()
    ready(page, song.name)


def test_retry(page: Page, song: Path) -> None:
    """A store that stays unreachable is explained, and Retry continues the upload."""
    lose_the_store(page)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("The connection failed")
    expect(page.locator("#announcements")).to_contain_text(f"{song.name}: The connection failed.")
    page.unroute_all()
    press(page, "Retry", song.name)
    ready(page, song.name)


def test_remove_failed_upload(page: Page, song: Path) -> None:
    """A failed upload that is removed is aborted at the broker and forgotten by the browser."""
    lose_the_store(page)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("The connection failed")
    with page.expect_response(lambda response: response.request.method == "DELETE") as removed:
        press(page, "Remove", song.name)
    assert removed.value.status == 204
    expect(row(page, song.name)).to_have_count(0)
    page.wait_for_function("localStorage.length === 0")


def test_lost_response(page: Page, song: Path) -> None:
    """A file whose PUT was stored is not sent again when the response is lost."""

    def lose_the_response(route: Route) -> None:
        signed = route.request
        put = urllib.request.Request(signed.url, song.read_bytes(), signed.headers, method="PUT")
        with urllib.request.urlopen(put) as response:
            assert response.status == 200
        route.abort()

    page.route(STAGED, lose_the_response)
    with requests(page) as made:
        choose(page, song)
        ready(page, song.name)
    assert len([request for request in made if request.method == "PUT"]) == 1


def test_announcements(page: Page, song: Path) -> None:
    """A screen reader announces the start and the end of an upload, and no progress."""
    slow_down(page, 2 * MB)
    choose(page, song)
    ready(page, song.name)
    said = page.locator("#announcements p")
    expect(said).to_have_text([f"Uploading {song.name}.", f"{song.name} is ready."])
