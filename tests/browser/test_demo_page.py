"""The demo's page in Chromium: files are uploaded to the store, and read back by their keys."""

import base64
import hashlib
import json
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from broker.core.media import MEDIA_TYPES, MediaType
from tests import media

from .conftest import Demo, running_demo
from .steps import STAGED, body_size, choose, details, key, played, press, ready, requests, state, transfer_of

pytestmark = pytest.mark.browser

expect.set_options(timeout=15_000)

CREATED, CONFIRMED, LINKS = "/api/v1/uploads", "/api/v1/uploads/{upload_id}/confirm", "/api/v1/downloads"

PLAY = """player => new Promise((resolve, reject) => {
  player.addEventListener("error", () => reject(player.error));
  player.addEventListener("timeupdate", () => player.currentTime > 0.2 && resolve(player.readyState));
  player.muted = true;
  player.play().catch(reject);
})"""
HAVE_FUTURE_DATA = 3

SHOWN = """shown => new Promise((resolve, reject) => {
  shown.addEventListener("error", reject);
  shown.addEventListener(shown.tagName === "IMG" ? "load" : "loadeddata", resolve);
  if (shown.naturalWidth || shown.readyState >= 2) resolve();
})"""


def fetched(url: str | None) -> bytes:
    """Return the response body of a URL that is requested without a token."""
    with urllib.request.urlopen(url or "") as response:
        data: bytes = response.read()
        return data


def sample(name: str) -> str:
    """Return a small file of a media type, in base64."""
    return base64.b64encode(media.SAMPLES[name]()).decode()


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Write a song and two pictures."""
    paths = [tmp_path / name for name in ("song.mp3", "cover.png", "back.jpg")]
    for path, kind in zip(paths, ("audio/mpeg", "image/png", "image/jpeg"), strict=True):
        path.write_bytes(media.SAMPLES[kind]())
    return paths


@pytest.mark.every_engine
def test_song(page: Page, demo: Demo, song: Path, complaints: list[str]) -> None:
    """A song goes straight to the store, gets a key, and is played unchanged."""
    with requests(page) as sent:
        choose(page, song)
        shown = ready(page, song.name)

    assert re.fullmatch(r"media/[0-9a-f-]{36}\.mp3", key(page, song.name))
    expect(shown).to_contain_text("3.84 MB · MP3")

    player = played(page, song.name)
    assert hashlib.sha256(fetched(player.get_attribute("src"))).digest() == hashlib.sha256(song.read_bytes()).digest()
    assert player.evaluate(PLAY) >= HAVE_FUTURE_DATA

    (put,) = (request for request in sent if request.method == "PUT")
    assert put.url.startswith(f"{demo.store}/")
    assert body_size(put) == song.stat().st_size
    assert 0 < sum(body_size(request) for request in sent if request.url.startswith(demo.origin)) < 1000
    assert complaints == []


def marked_request(page: Page) -> str:
    """Make a request of the page, as a mark in the broker's log; return its id."""
    with page.expect_response("**/api/v1/uploads/status") as response:
        page.evaluate("fetch('/api/v1/uploads/status').then(() => null)")
    return response.value.headers["x-request-id"]


def test_broker_log(page: Page, demo: Demo, song: Path) -> None:
    """The broker's log of an upload contains a create, a confirm, a request for links, and none with the file."""
    first = marked_request(page)
    choose(page, song)
    ready(page, song.name)
    logged = demo.requests_between(first, marked_request(page))
    assert {line["route"] for line in logged if line["method"] != "GET"} == {CREATED, CONFIRMED, LINKS}
    assert {line["method"] for line in logged} == {"GET", "POST"}


def test_content_security_policy(page: Page, demo: Demo) -> None:
    """The page's content security policy allows the broker and the store only."""
    response = page.reload()
    assert response
    policy = dict(rule.split(" ", 1) for rule in response.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": f"'self' {demo.store}",
        "media-src": demo.store,
        "img-src": f"'self' blob: {demo.store}",
        "worker-src": "blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


@pytest.mark.every_engine
@pytest.mark.parametrize("kind", MEDIA_TYPES, ids=lambda kind: str(kind.name))
def test_every_media_type(page: Page, tmp_path: Path, kind: MediaType) -> None:
    """A file of every accepted media type is uploaded, and shown if the browser can play it."""
    path = tmp_path / f"sample.{kind.extension}"
    path.write_bytes(media.SAMPLES[kind.name]())
    choose(page, path)
    shown = ready(page, path.name)
    assert key(page, path.name).endswith(f".{kind.extension}")
    browser = page.context.browser
    assert browser
    if kind.name in media.UNPLAYABLE[browser.browser_type.name]:
        press(page, "Play", path.name)
        expect(shown).to_contain_text(f"This browser cannot play {kind.name}. Download the file instead.")
    else:
        played(page, path.name).evaluate(SHOWN)


def test_two_files_at_a_time(page: Page, song: Path, three: list[Path]) -> None:
    """Two files are sent at a time, the others are queued, and a queued one can be cancelled."""
    page.route(STAGED, lambda _: None)
    choose(page, *three, song)
    for path in three[:2]:
        expect(state(page, path.name)).to_have_text("Sending")
    for path in (three[2], song):
        expect(state(page, path.name)).to_have_text("Queued")
    press(page, "Cancel", song.name)
    expect(state(page, song.name)).to_have_text("Cancelled")
    page.unroute_all()
    for path in three:
        ready(page, path.name)
    expect(state(page, song.name)).to_have_text("Cancelled")


@pytest.mark.every_engine
def test_drop(page: Page, complaints: list[str]) -> None:
    """Files that are dropped on the page are uploaded."""
    dropped = {"cover.png": ("image/png", sample("image/png")), "song.mp3": ("audio/mpeg", sample("audio/mpeg"))}
    carried = {"dataTransfer": transfer_of(page, dropped)}
    page.dispatch_event("main", "dragover", carried)
    expect(page.locator("#drop")).to_have_attribute("data-over", "")
    page.dispatch_event("main", "drop", carried)
    played(page, "cover.png").evaluate(SHOWN)
    ready(page, "song.mp3")
    assert complaints == []


PASTE = """carried => {
  const event = new Event("paste", { bubbles: true });
  Object.defineProperty(event, "clipboardData", { value: carried });
  dispatchEvent(event);
}"""
"""Firefox ignores the clipboardData of a ClipboardEvent that a script makes."""


@pytest.mark.every_engine
def test_paste(page: Page) -> None:
    """A picture that is pasted is uploaded."""
    clipboard = transfer_of(page, {"image.png": ("image/png", sample("image/png"))})
    page.evaluate(PASTE, clipboard)
    played(page, "image.png").evaluate(SHOWN)


@pytest.mark.every_engine
def test_download(page: Page, song: Path) -> None:
    """The downloaded file has the name and the bytes of the uploaded one."""
    choose(page, song)
    link = ready(page, song.name).get_by_role("link", name="Download")
    with page.context.expect_event("download") as download:
        link.click()
    assert download.value.suggested_filename == song.name
    assert download.value.path().read_bytes() == song.read_bytes()


@pytest.mark.every_engine
def test_copy_key_and_receipt(page: Page, song: Path) -> None:
    """The key and the receipt are shown and can be copied, and the receipt contains the checksum."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose(page, song)
    ready(page, song.name)
    shown = details(page, song.name)
    press(page, "Copy the key of", song.name)
    expect(page.locator("#announcements")).to_contain_text(f"Copied: the key of {song.name}.")
    assert page.evaluate("navigator.clipboard.readText()") == key(page, song.name)

    claims = json.loads(shown.locator("pre").inner_text())
    assert claims["key"] == key(page, song.name)
    assert claims["sha256"] == base64.b64encode(hashlib.sha256(song.read_bytes()).digest()).decode()
    press(page, "Copy the receipt of", song.name)
    expect(page.locator("#announcements")).to_contain_text(f"Copied: the receipt of {song.name}.")
    assert page.evaluate("navigator.clipboard.readText()").count(".") == 2


@pytest.mark.every_engine
def test_reload_keeps_tracks(page: Page, three: list[Path], tmp_path: Path) -> None:
    """Confirmed files are shown again after a reload, in the same order: the last chosen first."""
    others = [tmp_path / name for name in ("first.png", "second.png")]
    for path in others:
        path.write_bytes(media.SAMPLES["image/png"]() + path.name.encode())
    for path in three:
        choose(page, path)
        ready(page, path.name)
    choose(page, *others)
    names = page.get_by_role("region", name="Files").get_by_role("heading", level=3)
    order = ["first.png", "second.png", "back.jpg", "cover.png", "song.mp3"]
    for path in others:
        ready(page, path.name)
    expect(names).to_have_text(order)
    page.reload()
    expect(names).to_have_text(order)
    assert played(page, "song.mp3").evaluate(PLAY) >= HAVE_FUTURE_DATA


def test_track_deleted_elsewhere(page: Page, three: list[Path]) -> None:
    """A file that was deleted elsewhere is shown as deleted after a reload, and is forgotten."""
    choose(page, *three)
    for path in three:
        ready(page, path.name)
    assert page.evaluate(DELETE, key(page, "cover.png")) == 204
    page.reload()
    ready(page, "song.mp3")
    ready(page, "back.jpg")
    expect(state(page, "cover.png")).to_have_text("Deleted")
    assert "cover.png" not in page.evaluate("Object.values(localStorage).join()")


DELETE = """async key => {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem("broker.token")}` };
  return (await fetch(`/api/v1/objects/${key}`, { method: "DELETE", headers })).status;
}"""


def test_delete_needs_a_second_click(page: Page, song: Path) -> None:
    """The first click on Delete asks, Escape or a click elsewhere cancels, and the second click deletes the object."""
    choose(page, song)
    ready(page, song.name)
    link = played(page, song.name).get_attribute("src") or ""
    card = details(page, song.name)
    with requests(page) as made:
        press(page, "Delete", song.name)
        expect(card.get_by_role("button", name=f"Really delete? {song.name}")).to_have_text("Really delete?")
        page.keyboard.press("Escape")
        press(page, "Delete", song.name)
        page.get_by_role("heading", level=1).click()
        expect(card.get_by_role("button", name=f"Delete {song.name}")).to_have_text("Delete")
    assert made == []
    press(page, "Delete", song.name)
    press(page, "Really delete?", song.name)
    expect(page.locator("#announcements")).to_contain_text(f"Deleted: {song.name}.")
    expect(state(page, song.name)).to_have_text("Deleted")
    expect(page.locator("audio")).to_have_count(0)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetched(link)
    page.reload()
    expect(page.get_by_label("Choose files to upload")).to_be_enabled()
    expect(page.get_by_role("listitem").filter(visible=True)).to_have_count(3)  # the steps below the list
    assert page.evaluate("Object.values(localStorage)") == ["[]"]


def test_failed_delete(page: Page, song: Path) -> None:
    """A failed deletion is explained, and the track stays."""
    choose(page, song)
    ready(page, song.name)
    card = details(page, song.name)
    page.route("**/api/v1/objects/**", lambda route: route.abort())
    press(page, "Delete", song.name)
    press(page, "Really delete?", song.name)
    expect(card.get_by_role("alert")).to_contain_text("The connection failed.")
    page.unroute_all()
    page.reload()
    ready(page, song.name)


def test_token_after_reload(page: Page, demo: Demo, song: Path) -> None:
    """The token is removed from the address bar and is still known after a reload."""
    assert page.url == f"{demo.origin}/demo"
    page.reload()
    choose(page, song)
    ready(page, song.name)


def test_page_without_token(browser: Browser, demo: Demo) -> None:
    """A page without a token names the link to open, and accepts a token in its fragment."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{demo.origin}/demo")
        expect(page.get_by_role("alert")).to_contain_text("Open the link that “broker demo” printed.")
        expect(page.get_by_label("Choose files to upload")).to_be_disabled()
        page.goto(f"{demo.origin}/demo#token=old")
        expect(page.get_by_label("Choose files to upload")).to_be_enabled()
        expect(page.get_by_role("alert")).to_be_hidden()


def test_ctrl_c(tmp_path: Path) -> None:
    """Ctrl-C ends the demo and its store, and removes the data."""
    with running_demo(tmp_path) as demo:
        assert demo.interrupt() == 0
    host, _, port = demo.store.removeprefix("http://").partition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
    assert list(tmp_path.iterdir()) == []
