"""A file on its way at the demo's page: paused, cancelled, interrupted, refused, and tried again."""

import re
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from tests import media

from .conftest import Demo
from .steps import STAGED, body_size, choose, press, ready, requests, row, shown_share, slow_down, state

pytestmark = pytest.mark.browser

expect.set_options(timeout=15_000)

MB = 1_000_000
PARTED = 64 * 2**20
"""Bytes above which a file goes in parts."""


@pytest.fixture(scope="module")
def concert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording so long that it goes in parts."""
    path = tmp_path_factory.mktemp("music") / "concert.wav"
    path.write_bytes(media.wav(seconds=360))
    assert path.stat().st_size > PARTED
    return path


def half_sent(page: Page, path: Path) -> None:
    """Send a file so slowly that it is under way, with something of it stored and much still to go."""
    slow_down(page, 16 * MB)
    choose(page, path)
    expect(row(page, path.name)).to_contain_text(re.compile(r"\d MB/s · \d+ s left"))
    with page.expect_response(lambda answer: "partNumber=" in answer.url and answer.ok):
        pass


def lose_the_store(page: Page) -> None:
    """Let nothing through to the store, and have the page try again without the pauses, whose length it draws."""
    page.evaluate("Math.random = () => 0")
    page.route(STAGED, lambda route: route.abort())


def test_a_big_file_can_be_paused_and_goes_on_where_it_stopped(
    page: Page, concert: Path, complaints: list[str]
) -> None:
    half_sent(page, concert)
    press(page, "Pause", concert.name)
    expect(state(page, concert.name)).to_have_text("Paused")
    with requests(page) as made:
        share = shown_share(page, concert.name)
        page.wait_for_timeout(500)  # there is no event to wait for: nothing may happen
        assert shown_share(page, concert.name) == share
    assert made == []
    assert 0 < share < 1

    slow_down(page, -1)
    with requests(page) as made:
        press(page, "Resume", concert.name)
        ready(page, concert.name)
    assert 0 < sum(body_size(request) for request in made if request.method == "PUT") < concert.stat().st_size
    assert complaints == []


def test_a_paused_file_makes_room_and_waits_for_its_turn_to_go_on(page: Page, song: Path, tmp_path: Path) -> None:
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


def test_a_cancelled_upload_leaves_the_list_the_store_and_the_browsers_memory(
    page: Page, demo: Demo, concert: Path
) -> None:
    half_sent(page, concert)
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as removed:
        press(page, "Cancel", concert.name)
    assert removed.value.status == 204
    expect(page.get_by_role("status")).to_contain_text(f"Cancelled: {concert.name}.")
    expect(row(page, concert.name)).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Choose files to upload")).to_be_enabled()
    expect(row(page, concert.name)).to_have_count(0)


def test_an_upload_that_a_reload_interrupted_goes_on_when_the_same_file_is_chosen_again(
    page: Page, song: Path, concert: Path
) -> None:
    half_sent(page, concert)
    page.reload()
    slow_down(page, -1)
    left = row(page, concert.name)
    expect(left).to_contain_text("Interrupted by a reload. Choose the same file to continue.")
    expect(left).to_contain_text(re.compile(r"\d MB of 69.1 MB"))

    file = left.get_by_label(f"Choose file {concert.name}")
    file.set_input_files(song)
    expect(left).to_contain_text(f"{song.name} is not the interrupted file.")
    with requests(page) as made:
        file.set_input_files(concert)
        ready(page, concert.name)
    assert 0 < sum(body_size(request) for request in made if request.method == "PUT") < concert.stat().st_size
    page.reload()
    ready(page, concert.name)
    expect(row(page, concert.name)).to_have_count(0)


def test_choosing_the_same_file_by_the_usual_button_takes_the_interrupted_row_over(page: Page, song: Path) -> None:
    page.route(STAGED, lambda _: None)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("Sending")
    page.reload()
    expect(state(page, song.name)).to_contain_text("Interrupted")
    page.unroute_all()
    choose(page, song)
    ready(page, song.name)
    expect(row(page, song.name)).to_have_count(0)


def test_an_interrupted_upload_can_be_discarded(page: Page, song: Path) -> None:
    page.route(STAGED, lambda _: None)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("Sending")
    page.reload()
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as removed:
        press(page, "Discard", song.name)
    assert removed.value.status == 204
    expect(row(page, song.name)).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Choose files to upload")).to_be_enabled()
    expect(row(page, song.name)).to_have_count(0)


def test_a_discard_that_fails_says_so_and_the_upload_can_still_go_on(page: Page, song: Path) -> None:
    page.route(STAGED, lambda _: None)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("Sending")
    page.reload()
    page.unroute_all()
    page.route("**/api/v1/uploads/*", lambda route: route.abort())
    press(page, "Discard", song.name)
    expect(row(page, song.name).get_by_role("heading", name="The upload could not be removed")).to_be_visible()
    page.unroute_all()
    row(page, song.name).get_by_label("Choose file").set_input_files(song)
    ready(page, song.name)


def test_the_page_asks_before_it_is_left_only_while_something_is_being_sent(page: Page, song: Path) -> None:
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", stay)
    page.get_by_role("heading", level=1).click()  # a page that was never touched may not ask
    page.reload()
    assert asked == []
    page.get_by_role("heading", level=1).click()
    page.route(STAGED, lambda _: None)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("Sending")
    page.reload()
    assert asked == ["beforeunload"]


def test_a_file_that_is_on_its_way_is_not_sent_a_second_time(page: Page, song: Path) -> None:
    page.route(STAGED, lambda _: None)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("Sending")
    choose(page, song)
    expect(page.get_by_role("status")).to_contain_text(f"{song.name} is already being uploaded.")
    expect(row(page, song.name)).to_have_count(1)


def test_a_text_file_is_refused_in_words_and_with_the_request_id(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "lyrics.txt"
    path.write_text("la la la")
    choose(page, path)
    refused = row(page, path.name)
    expect(refused.get_by_role("heading", name="This file type is not accepted")).to_be_visible()
    expect(refused).to_contain_text("Choose a file of a type listed above.")
    expect(refused).to_contain_text(re.compile(r"Request id: [0-9a-f]{32}"))
    expect(refused.get_by_role("button")).to_have_text(["Remove"])
    press(page, "Remove", path.name)
    expect(refused).to_have_count(0)


def test_an_empty_file_is_refused_in_words(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "silence.mp3"
    path.touch()
    choose(page, path)
    expect(row(page, path.name).get_by_role("heading", name="This file cannot be uploaded")).to_be_visible()
    expect(row(page, path.name)).to_contain_text("size")


def test_a_file_that_is_not_what_its_name_says_is_refused_at_the_last_step(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(media.SAMPLES["image/png"]())
    choose(page, path)
    refused = row(page, path.name)
    expect(refused.get_by_role("heading", name="The content does not match the file type")).to_be_visible()
    expect(refused.get_by_role("button")).to_have_text(["Remove"])
    expect(page.get_by_role("region", name="Ready")).to_be_hidden()


def test_a_refused_file_that_was_mended_is_another_file_and_goes_through(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(media.SAMPLES["image/png"]())
    choose(page, path)
    expect(state(page, path.name)).to_have_text("Failed")
    path.write_bytes(media.SAMPLES["audio/mpeg"]())
    choose(page, path)
    ready(page, path.name)
    expect(row(page, path.name)).to_have_count(1)


def test_a_store_that_is_away_for_a_moment_is_waited_for(page: Page, song: Path) -> None:
    page.route(STAGED, lambda route: route.abort())
    choose(page, song)
    expect(state(page, song.name)).to_have_text("No response, retrying")
    page.unroute_all()
    ready(page, song.name)


def test_a_store_that_stays_away_is_told_and_retry_goes_on(page: Page, song: Path) -> None:
    lose_the_store(page)
    choose(page, song)
    expect(row(page, song.name).get_by_role("heading", name="The connection failed")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text(f"{song.name}: The connection failed.")
    page.unroute_all()
    press(page, "Retry", song.name)
    ready(page, song.name)
    expect(row(page, song.name)).to_have_count(0)


def test_a_failed_upload_that_is_removed_leaves_nothing_behind(page: Page, song: Path) -> None:
    lose_the_store(page)
    choose(page, song)
    expect(state(page, song.name)).to_have_text("Failed")
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as removed:
        press(page, "Remove", song.name)
    assert removed.value.status == 204
    expect(page.get_by_role("status")).to_contain_text(f"Removed: {song.name}.")
    assert page.evaluate("localStorage.length") == 1  # the list of what is ready


def test_an_upload_whose_answer_was_lost_is_not_sent_twice(page: Page, song: Path) -> None:
    def lose_the_answer(route: Route) -> None:
        signed = route.request
        put = urllib.request.Request(signed.url, song.read_bytes(), signed.headers, method="PUT")
        with urllib.request.urlopen(put) as answer:
            assert answer.status == 200
        route.abort()

    page.route(STAGED, lose_the_answer)
    with requests(page) as made:
        choose(page, song)
        ready(page, song.name)
    assert len([request for request in made if request.method == "PUT"]) == 1


def test_a_listener_hears_starts_and_ends_and_no_percents(page: Page, song: Path) -> None:
    slow_down(page, 2 * MB)
    choose(page, song)
    ready(page, song.name)
    said = page.get_by_role("status").locator("p")
    expect(said).to_have_text([f"Uploading {song.name}.", f"{song.name} is ready."])
