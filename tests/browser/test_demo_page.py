"""The demo's page in a real Chromium: real files, a real store, and a person's mistakes."""

import base64
import hashlib
import re
import socket
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from broker.core.media import MEDIA_TYPES, MediaType
from tests import media

from .conftest import Demo, running_demo

pytestmark = pytest.mark.browser

expect.set_options(timeout=15_000)

STAGED = "**/incoming/**"
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


def choose(page: Page, path: Path) -> None:
    """Pick a file, as a person does by the button."""
    page.get_by_label("Choose a file to upload").set_input_files(path)


def newest(page: Page) -> Locator:
    """The track on top of the list, once it is complete."""
    track = page.get_by_role("listitem").filter(has=page.get_by_role("link", name="Download")).first
    expect(track.get_by_role("link", name="Download")).to_be_visible()
    return track


def value(track: Locator, term: str) -> str:
    """What the track's list says for ``term``."""
    return track.locator(f"dt:text-is('{term}') + dd").locator("code, :scope").last.inner_text()


def body_size(request: Request) -> int:
    """The bytes of a request's body, as the network layer counted them."""
    return int(request.all_headers().get("content-length", "0"))


def fetched(url: str | None) -> bytes:
    """What a link serves to somebody who has nothing but the link."""
    with urllib.request.urlopen(url or "") as answer:
        data: bytes = answer.read()
        return data


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A song of a few megabytes."""
    path = tmp_path_factory.mktemp("music") / "Ωcean Drive (take 3).mp3"
    path.write_bytes(media.mp3(seconds=120, bit_rate=256_000))
    return path


def test_a_song_goes_from_the_browser_to_the_store_and_comes_back_by_its_key(
    page: Page, demo: Demo, song: Path, complaints: list[str]
) -> None:
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request))  # noqa: PLW0108  Playwright puts a mark on it
    choose(page, song)
    track = newest(page)

    assert re.fullmatch(r"media/[0-9a-f-]{36}\.mp3", value(track, "Key"))
    assert value(track, "Type") == "audio/mpeg"
    assert f"{song.stat().st_size:,} bytes" in value(track, "Size")
    expect(track.get_by_role("heading")).to_contain_text(song.name)
    expect(page.get_by_role("status")).to_have_text(f"{song.name} is ready.")

    link = track.locator("audio").get_attribute("src")
    assert hashlib.sha256(fetched(link)).digest() == hashlib.sha256(song.read_bytes()).digest()
    assert track.locator("audio").evaluate(PLAY) >= HAVE_FUTURE_DATA

    (put,) = (request for request in sent if request.method == "PUT")
    assert put.url.startswith(f"{demo.store}/")
    assert body_size(put) == song.stat().st_size
    assert 0 < sum(body_size(request) for request in sent if request.url.startswith(demo.origin)) < 1000
    assert complaints == []


def test_the_brokers_own_log_knows_of_no_request_that_could_have_carried_the_song(
    page: Page, demo: Demo, song: Path
) -> None:
    choose(page, song)
    newest(page)
    with page.expect_response("**/api/v1/uploads/status") as last:
        page.evaluate("fetch('/api/v1/uploads/status').then(() => null)")
    logged = demo.requests_until(last.value.headers["x-request-id"])
    assert {line["route"] for line in logged if line["method"] != "GET"} == {CREATED, CONFIRMED}
    assert {line["method"] for line in logged} == {"GET", "POST"}


@pytest.mark.parametrize("kind", MEDIA_TYPES, ids=lambda kind: str(kind.name))
def test_every_accepted_type_goes_through_under_the_name_the_browser_gives_it(
    page: Page, tmp_path: Path, kind: MediaType
) -> None:
    path = tmp_path / f"sample.{kind.extension}"
    path.write_bytes(media.SAMPLES[kind.name]())
    choose(page, path)
    track = newest(page)
    assert value(track, "Key").endswith(f".{kind.extension}")
    assert value(track, "Type") == kind.name
    if kind.name == "audio/aiff":
        expect(track).to_contain_text("This browser does not show audio/aiff; the download is there.")
    else:
        track.locator(".player > *").evaluate(SHOWN)


def test_a_dropped_file_is_uploaded_like_a_chosen_one(page: Page, complaints: list[str]) -> None:
    dropped = page.evaluate_handle(
        """data => {
          const carried = new DataTransfer();
          const bytes = Uint8Array.from(atob(data), character => character.charCodeAt(0));
          carried.items.add(new File([bytes], "cover.png", { type: "image/png" }));
          return carried;
        }""",
        base64.b64encode(media.SAMPLES["image/png"]()).decode(),
    )
    page.dispatch_event("#drop", "dragover", {"dataTransfer": dropped})
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    newest(page).get_by_role("img", name="cover.png").evaluate(SHOWN)
    assert complaints == []


def test_the_download_has_the_files_own_name_and_bytes(page: Page, song: Path) -> None:
    choose(page, song)
    with page.expect_download() as download:
        newest(page).get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == song.name
    assert download.value.path().read_bytes() == song.read_bytes()


def test_the_receipt_can_be_read_and_copied(page: Page, song: Path) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose(page, song)
    track = newest(page)
    track.get_by_text("What the receipt says").click()
    expect(track.locator("pre")).to_contain_text(f'"key": "{value(track, "Key")}"')
    track.get_by_role("button", name="Copy the receipt").click()
    expect(page.get_by_role("status")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == track.locator("[data-slot=receipt]").text_content()


def test_a_text_file_is_refused_in_words_and_with_the_request_id(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "lyrics.txt"
    path.write_text("la la la")
    choose(page, path)
    alert = page.get_by_role("alert")
    expect(alert.get_by_role("heading")).to_have_text("Unsupported media type")
    expect(alert).to_contain_text("Choose one of the kinds listed above.")
    expect(alert).to_contain_text(re.compile(r"Request id: [0-9a-f]{32}"))
    expect(alert.get_by_role("button")).to_be_hidden()


def test_a_file_that_is_not_what_its_name_says_is_refused_at_the_last_step(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(media.SAMPLES["image/png"]())
    choose(page, path)
    alert = page.get_by_role("alert")
    expect(alert.get_by_role("heading")).to_have_text("Content mismatch")
    expect(alert).to_contain_text("The file is something else than its name says.")
    expect(page.locator("#confirm")).to_have_attribute("data-state", "failed")
    expect(page.get_by_role("link", name="Download")).to_have_count(0)


def test_a_store_that_cannot_be_reached_is_named_and_trying_again_goes_on(page: Page, demo: Demo, song: Path) -> None:
    page.route(STAGED, lambda route: route.abort())
    choose(page, song)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(demo.store.removeprefix("http://"))
    expect(alert).to_contain_text(f"CORS rules may not allow PUT from {demo.origin}")
    page.unroute_all()
    alert.get_by_role("button", name="Try again").click()
    newest(page)
    expect(alert).to_be_hidden()


def test_a_store_that_refuses_is_quoted(page: Page, song: Path) -> None:
    def spoil(route: Route) -> None:
        route.continue_(url=route.request.url[:-1] + ("1" if route.request.url[-1] == "0" else "0"))

    page.route(STAGED, spoil)
    choose(page, song)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("answered 403 (SignatureDoesNotMatch)")
    expect(alert.get_by_role("button", name="Try again")).to_be_visible()


def test_an_upload_whose_answer_was_lost_counts_as_done_when_tried_again(page: Page, song: Path) -> None:
    def lose_the_answer(route: Route) -> None:
        signed = route.request
        put = urllib.request.Request(signed.url, song.read_bytes(), signed.headers, method="PUT")
        with urllib.request.urlopen(put) as answer:
            assert answer.status == 200
        route.abort()

    page.route(STAGED, lose_the_answer)
    choose(page, song)
    retry = page.get_by_role("button", name="Try again")
    expect(retry).to_be_visible()
    page.unroute_all()
    with page.expect_response(STAGED) as again:
        retry.click()
    assert again.value.status == 412
    assert value(newest(page), "Key").endswith(".mp3")


def test_an_upload_can_be_cancelled(page: Page, song: Path) -> None:
    page.route(STAGED, lambda _: None)
    choose(page, song)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status")).to_have_text("Cancelled.")
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.get_by_label("Choose a file to upload")).to_be_enabled()


def test_the_token_leaves_the_address_bar_and_outlives_a_reload(page: Page, demo: Demo, song: Path) -> None:
    assert page.url == f"{demo.origin}/demo"
    page.reload()
    choose(page, song)
    newest(page)


def test_a_page_without_a_token_says_where_to_find_one(browser: Browser, demo: Demo) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{demo.origin}/demo")
        expect(page.get_by_role("alert")).to_contain_text("Open the page by the link")
        expect(page.get_by_label("Choose a file to upload")).to_be_disabled()
        page.goto(f"{demo.origin}/demo#token=old")
        expect(page.get_by_label("Choose a file to upload")).to_be_enabled()
        expect(page.get_by_role("alert")).to_be_hidden()


def test_a_narrow_screen_needs_no_sideways_scrolling(page: Page, song: Path) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    choose(page, song)
    newest(page).get_by_text("What the receipt says").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_ctrl_c_ends_the_demo_and_leaves_nothing_of_its_store(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        assert demo.interrupt() == 0
    host, _, port = demo.store.removeprefix("http://").partition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
    assert list(tmp_path.iterdir()) == []
