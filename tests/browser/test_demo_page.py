"""The demo's page in a real Chromium: real files to a real store, and back by their keys."""

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
from .steps import STAGED, body_size, choose, key, press, ready, requests, row, state, transfer_of

pytestmark = pytest.mark.browser

expect.set_options(timeout=15_000)

CREATED, CONFIRMED = "/api/v1/uploads", "/api/v1/uploads/{upload_id}/confirm"

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
    """What a link serves to somebody who has nothing but the link."""
    with urllib.request.urlopen(url or "") as answer:
        data: bytes = answer.read()
        return data


def sample(name: str) -> str:
    """A small file of a media type, in base64."""
    return base64.b64encode(media.SAMPLES[name]()).decode()


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """A song and two pictures."""
    paths = [tmp_path / name for name in ("song.mp3", "cover.png", "back.jpg")]
    for path, kind in zip(paths, ("audio/mpeg", "image/png", "image/jpeg"), strict=True):
        path.write_bytes(media.SAMPLES[kind]())
    return paths


def test_a_song_goes_from_the_browser_to_the_store_and_comes_back_by_its_key(
    page: Page, demo: Demo, song: Path, complaints: list[str]
) -> None:
    with requests(page) as sent:
        choose(page, song)
        card = ready(page, song.name)

    assert re.fullmatch(r"media/[0-9a-f-]{36}\.mp3", key(page, song.name))
    expect(card).to_contain_text("3.84 MB · audio/mpeg")
    expect(row(page, song.name)).to_have_count(0)

    link = card.locator("audio").get_attribute("src")
    assert hashlib.sha256(fetched(link)).digest() == hashlib.sha256(song.read_bytes()).digest()
    assert card.locator("audio").evaluate(PLAY) >= HAVE_FUTURE_DATA

    (put,) = (request for request in sent if request.method == "PUT")
    assert put.url.startswith(f"{demo.store}/")
    assert body_size(put) == song.stat().st_size
    assert 0 < sum(body_size(request) for request in sent if request.url.startswith(demo.origin)) < 1000
    assert complaints == []


def marked_request(page: Page) -> str:
    """The id of a request the page makes now, as a mark in the broker's log."""
    with page.expect_response("**/api/v1/uploads/status") as answer:
        page.evaluate("fetch('/api/v1/uploads/status').then(() => null)")
    return answer.value.headers["x-request-id"]


def test_the_brokers_own_log_knows_of_no_request_that_could_have_carried_the_song(
    page: Page, demo: Demo, song: Path
) -> None:
    first = marked_request(page)
    choose(page, song)
    ready(page, song.name)
    logged = demo.requests_between(first, marked_request(page))
    assert {line["route"] for line in logged if line["method"] != "GET"} == {CREATED, CONFIRMED}
    assert {line["method"] for line in logged} == {"GET", "POST"}


def test_the_pages_policy_lets_it_talk_to_the_broker_and_the_store_alone(page: Page, demo: Demo) -> None:
    answer = page.reload()
    assert answer
    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": f"'self' {demo.store}",
        "media-src": demo.store,
        "img-src": f"'self' {demo.store}",
        "worker-src": "blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


@pytest.mark.parametrize("kind", MEDIA_TYPES, ids=lambda kind: str(kind.name))
def test_every_accepted_type_goes_through_under_the_name_the_browser_gives_it(
    page: Page, tmp_path: Path, kind: MediaType
) -> None:
    path = tmp_path / f"sample.{kind.extension}"
    path.write_bytes(media.SAMPLES[kind.name]())
    choose(page, path)
    card = ready(page, path.name)
    assert key(page, path.name).endswith(f".{kind.extension}")
    expect(card).to_contain_text(kind.name)
    if kind.name == "audio/aiff":
        expect(card).to_contain_text("This browser cannot play audio/aiff. Download the file instead.")
    else:
        card.locator(".player > *").evaluate(SHOWN)


def test_several_files_go_two_at_a_time_and_the_others_wait(page: Page, song: Path, three: list[Path]) -> None:
    page.route(STAGED, lambda _: None)
    choose(page, *three, song)
    for path in three[:2]:
        expect(state(page, path.name)).to_have_text("Sending")
    for path in (three[2], song):
        expect(state(page, path.name)).to_have_text("Queued")
    press(page, "Cancel", song.name)
    expect(row(page, song.name)).to_have_count(0)
    page.unroute_all()
    for path in three:
        ready(page, path.name)
    expect(row(page, song.name)).to_have_count(0)


def test_dropped_files_are_uploaded_like_chosen_ones(page: Page, complaints: list[str]) -> None:
    dropped = {"cover.png": ("image/png", sample("image/png")), "song.mp3": ("audio/mpeg", sample("audio/mpeg"))}
    carried = {"dataTransfer": transfer_of(page, dropped)}
    page.dispatch_event("main", "dragover", carried)
    expect(page.locator("#drop")).to_have_attribute("data-over", "")
    page.dispatch_event("main", "drop", carried)
    ready(page, "cover.png").get_by_role("img", name="cover.png").evaluate(SHOWN)
    ready(page, "song.mp3")
    assert complaints == []


def test_a_pasted_picture_is_uploaded_like_a_chosen_one(page: Page) -> None:
    clipboard = transfer_of(page, {"image.png": ("image/png", sample("image/png"))})
    page.evaluate("carried => dispatchEvent(new ClipboardEvent('paste', {clipboardData: carried}))", clipboard)
    ready(page, "image.png").get_by_role("img", name="image.png").evaluate(SHOWN)


def test_the_download_has_the_files_own_name_and_bytes(page: Page, song: Path) -> None:
    choose(page, song)
    link = ready(page, song.name).get_by_role("link", name="Download")
    with page.context.expect_event("download") as download:
        link.click()
    assert download.value.suggested_filename == song.name
    assert download.value.path().read_bytes() == song.read_bytes()


def test_the_key_and_the_receipt_can_be_read_and_copied(page: Page, song: Path) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose(page, song)
    card = ready(page, song.name)
    press(page, "Copy the key of", song.name)
    expect(page.get_by_role("status")).to_contain_text(f"Copied: the key of {song.name}.")
    assert page.evaluate("navigator.clipboard.readText()") == key(page, song.name)

    card.get_by_text("Receipt", exact=True).click()
    claims = json.loads(card.locator("pre").inner_text())
    assert claims["key"] == key(page, song.name)
    assert claims["sha256"] == base64.b64encode(hashlib.sha256(song.read_bytes()).digest()).decode()
    press(page, "Copy the receipt of", song.name)
    expect(page.get_by_role("status")).to_contain_text(f"Copied: the receipt of {song.name}.")
    assert page.evaluate("navigator.clipboard.readText()").count(".") == 2


def test_what_is_ready_is_there_again_after_a_reload_in_the_same_order(page: Page, three: list[Path]) -> None:
    for path in three:
        choose(page, path)
        ready(page, path.name)
    names = page.get_by_role("region", name="Ready").get_by_role("heading", level=3)
    expect(names).to_have_text(["back.jpg", "cover.png", "song.mp3"])
    page.reload()
    expect(names).to_have_text(["back.jpg", "cover.png", "song.mp3"])
    assert ready(page, "song.mp3").locator("audio").evaluate(PLAY) >= HAVE_FUTURE_DATA


def test_what_was_deleted_elsewhere_is_not_there_after_a_reload(page: Page, three: list[Path]) -> None:
    choose(page, *three)
    for path in three:
        ready(page, path.name)
    assert page.evaluate(DELETE, key(page, "cover.png")) == 204
    page.reload()
    ready(page, "song.mp3")
    ready(page, "back.jpg")
    expect(page.get_by_role("heading", name="cover.png")).to_have_count(0)
    assert "cover.png" not in page.evaluate("Object.values(localStorage).join()")


DELETE = """async key => {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem("broker.token")}` };
  return (await fetch(`/api/v1/objects/${key}`, { method: "DELETE", headers })).status;
}"""


def test_deleting_asks_first_and_then_removes_it_for_good(page: Page, song: Path) -> None:
    choose(page, song)
    card, gone = ready(page, song.name), key(page, song.name)
    link = card.locator("audio").get_attribute("src") or ""
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
    expect(page.get_by_role("status")).to_contain_text(f"Deleted: {song.name}.")
    expect(page.get_by_text(gone)).to_have_count(0)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetched(link)
    page.reload()
    expect(page.get_by_label("Choose files to upload")).to_be_enabled()
    assert page.evaluate("Object.values(localStorage)") == ["[]"]


def test_a_delete_that_fails_says_so_and_the_track_stays(page: Page, song: Path) -> None:
    choose(page, song)
    card = ready(page, song.name)
    page.route("**/api/v1/objects/**", lambda route: route.abort())
    press(page, "Delete", song.name)
    press(page, "Really delete?", song.name)
    expect(card.get_by_role("alert")).to_contain_text("The broker did not respond.")
    page.unroute_all()
    page.reload()
    ready(page, song.name)


def test_the_token_leaves_the_address_bar_and_outlives_a_reload(page: Page, demo: Demo, song: Path) -> None:
    assert page.url == f"{demo.origin}/demo"
    page.reload()
    choose(page, song)
    ready(page, song.name)


def test_a_page_without_a_token_says_where_to_find_one(browser: Browser, demo: Demo) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{demo.origin}/demo")
        expect(page.get_by_role("alert")).to_contain_text("Open the link that “broker demo” printed.")
        expect(page.get_by_label("Choose files to upload")).to_be_disabled()
        page.goto(f"{demo.origin}/demo#token=old")
        expect(page.get_by_label("Choose files to upload")).to_be_enabled()
        expect(page.get_by_role("alert")).to_be_hidden()


def test_ctrl_c_ends_the_demo_and_leaves_nothing_of_its_store(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        assert demo.interrupt() == 0
    host, _, port = demo.store.removeprefix("http://").partition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
    assert list(tmp_path.iterdir()) == []
