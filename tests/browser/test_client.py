"""The browser client in a real Chromium, page and broker and store on three origins, against what networks do.

In all of them the upload ends confirmed and bit by bit what was chosen, and no part that the store has is sent again:
that is counted at the store.
"""

import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route

from tests.e2e.processes import Broker, token
from tests.faults.proxy import Fault, RequestCycle

from .site import Site, digest_of, running, song

pytestmark = pytest.mark.browser

MIB = 2**20
PART = 16 * MIB
IN_PARTS = {"multipart": True, "maxConcurrency": 1}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for all."""
    with running(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A song of 5 MB."""
    return song(tmp_path_factory.mktemp("songs") / "small.mp3", 5_000_000)


@pytest.fixture(scope="module")
def three_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A song of two parts and a bit."""
    return song(tmp_path_factory.mktemp("songs") / "three parts.mp3", 2 * PART + 54_321)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile."""
    with browser.new_context() as context:
        context.set_default_timeout(60_000)
        yield context


@pytest.fixture
def page(context: BrowserContext, site: Site) -> Page:
    """The product's page."""
    site.proxy.exchanges.clear()
    site.proxy.pause = 0
    page = context.new_page()
    site.open(page)
    return page


def begin(page: Page, *paths: Path, **options: Any) -> None:
    """Choose files and upload the first."""
    page.set_input_files("#files", paths)
    page.evaluate("options => window.begin(options)", options)


def outcome(page: Page) -> dict[str, Any]:
    """What the upload ended in."""
    return dict(page.evaluate("window.outcome"))


def confirmed(page: Page, site: Site, path: Path) -> dict[str, Any]:
    """The track-ready answer of an upload that kept every promise."""
    ended = outcome(page)
    assert "track" in ended, ended
    track = dict(ended["track"])
    assert site.served(track["key"]) == digest_of(path)
    stored = site.proxy.stored_parts()
    assert len(stored) == len(set(stored))
    assert not any("authorization" in exchange.headers for exchange in site.proxy.exchanges)
    assert page.evaluate("unfinished()") == []
    last = page.evaluate("window.progress.at(-1)")
    assert (last["phase"], last["loaded"], last["total"]) == ("ready", path.stat().st_size, path.stat().st_size)
    return track


def hold(site: Site, part: int) -> Fault:
    """Stop the next request with this part before the store."""
    return site.proxy.next(Fault(lambda one: one.part == part, held=threading.Event()))


def let_go(fault: Fault) -> None:
    """Let it pass."""
    assert fault.held
    fault.held.set()


def reached(fault: Fault) -> Fault:
    """Once it happens."""
    assert fault.happened.wait(30)
    return fault


def is_put(exchange: RequestCycle) -> bool:
    """Whether it sends bytes."""
    return exchange.method == "PUT" and "x-amz-copy-source" not in exchange.headers


@pytest.mark.parametrize("size", [5_000_000, 64 * MIB + 1, 300_000_000])
def test_a_file_arrives_bit_by_bit(page: Page, site: Site, tmp_path: Path, size: int) -> None:
    path = song(tmp_path / "song.mp3", size)
    begin(page, path)
    track = confirmed(page, site, path)
    assert track["size"] == size
    puts = [exchange for exchange in site.proxy.exchanges if is_put(exchange)]
    assert len(puts) == (1 if size <= 64 * MIB else -(-size // PART))
    assert sum(exchange.received for exchange in puts) == size
    reports = page.evaluate("window.progress")
    loaded = [report["loaded"] for report in reports]
    assert loaded == sorted(loaded)
    assert [report["phase"] for report in reports if report["phase"] != "sending"] == [
        "starting",
        "confirming",
        "ready",
    ]


def test_a_small_file_is_three_requests(page: Page, site: Site, small: Path) -> None:
    sent: list[tuple[str, str]] = []
    page.on("request", lambda request: sent.append((request.method, request.url.split("?")[0].rpartition("/")[2])))
    begin(page, small)
    track = confirmed(page, site, small)
    assert sent == [("POST", "uploads"), ("PUT", track["key"].removeprefix("media/")), ("POST", "confirm")]


def test_a_part_that_is_cut_in_the_middle_is_sent_again_and_no_other(page: Page, site: Site, three_parts: Path) -> None:
    site.proxy.next(Fault(lambda one: one.part == 2, cut_after=5 * MIB))
    begin(page, three_parts, multipart=True)
    confirmed(page, site, three_parts)
    assert sorted(one.part for one in site.proxy.exchanges if one.part) == [1, 2, 2, 3]


def test_a_part_whose_answer_is_lost_is_not_sent_again(page: Page, site: Site, three_parts: Path) -> None:
    lost = site.proxy.next(Fault(lambda one: one.part == 2, loses_answer=True))
    begin(page, three_parts, **IN_PARTS)
    confirmed(page, site, three_parts)
    assert lost.happened.is_set()
    assert [one.part for one in site.proxy.exchanges if one.part] == [1, 2, 3]


def test_an_expired_url_of_a_part_is_replaced(
    context: BrowserContext, site: Site, three_parts: Path, tmp_path: Path
) -> None:
    with Broker(tmp_path, {**site.environment, "UPLOAD_URL_LIFETIME": "10s"}) as hasty:
        page = context.new_page()
        site.proxy.exchanges.clear()
        site.open(page, hasty)
        late = hold(site, 2)
        begin(page, three_parts, **IN_PARTS)
        reached(late)
        time.sleep(11)  # until it has expired
        let_go(late)
        confirmed(page, site, three_parts)
    assert [(one.part, one.status) for one in site.proxy.exchanges if one.part][:3] == [(1, 200), (2, 403), (2, 200)]


def test_an_expired_token_is_renewed_once(page: Page, site: Site, three_parts: Path) -> None:
    soon = int(time.time()) + 2
    page.evaluate(
        "([old, fresh]) => { window.token = (refresh) => (refresh ? fresh : old); }", [token(exp=soon), token()]
    )
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    time.sleep(max(0, soon + 1 - time.time()))  # until it has expired
    let_go(late)
    confirmed(page, site, three_parts)
    assert page.evaluate("window.tokens") == [False, True]


def test_a_token_that_stays_bad_ends_the_upload_which_can_be_taken_up(page: Page, site: Site, small: Path) -> None:
    page.evaluate("([good]) => { window.good = good; window.token = () => 'bad'; }", [token()])
    begin(page, small)
    assert outcome(page)["error"]["code"] == "unauthenticated"
    assert page.evaluate("window.tokens") == [False, True]
    page.evaluate("() => { window.token = () => window.good; }")
    begin(page, small)
    confirmed(page, site, small)


def test_a_broker_that_is_killed_and_comes_back_is_waited_for(page: Page, site: Site, three_parts: Path) -> None:
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    site.broker.kill()
    let_go(late)
    page.wait_for_function("window.progress.at(-1).phase === 'waiting'")
    site.broker.__enter__()
    confirmed(page, site, three_parts)


def test_a_store_that_stops_and_comes_back_is_waited_for(page: Page, site: Site, three_parts: Path) -> None:
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    site.store.stop()
    let_go(late)
    page.wait_for_function("window.progress.at(-1).phase === 'waiting'")
    site.store.start()
    confirmed(page, site, three_parts)


def test_a_page_that_cannot_get_a_token_may_take_the_upload_up_later(page: Page, site: Site, three_parts: Path) -> None:
    page.evaluate(
        """() => {
          const good = window.token();
          let asked = 0;
          window.token = () => { if (asked++ === 1) throw new Error("the identity service is down"); return good; };
        }"""
    )
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    page.route("**/parts", lambda route: route.fulfill(status=401, headers={"Access-Control-Allow-Origin": "*"}))
    let_go(late)
    error = outcome(page)["error"]
    assert (error["code"], error["message"]) == ("unauthenticated", "getToken failed: the identity service is down")
    page.unroute_all()
    begin(page, three_parts, **IN_PARTS)
    confirmed(page, site, three_parts)


def test_after_a_reload_the_same_file_goes_on_where_it_stopped(page: Page, site: Site, three_parts: Path) -> None:
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    site.open(page)
    let_go(late)
    (known,) = page.evaluate("unfinished()")
    assert (known["filename"], known["size"]) == (three_parts.name, three_parts.stat().st_size)
    begin(page, three_parts, **IN_PARTS)
    confirmed(page, site, three_parts)
    assert page.evaluate("window.progress.find(({ phase }) => phase === 'sending').loaded") == PART


def test_a_page_that_was_left_while_confirming_gets_the_same_answer(page: Page, site: Site, three_parts: Path) -> None:
    page.route("**/confirm", lambda route: route.abort())
    begin(page, three_parts, multipart=True)
    page.wait_for_function("window.progress.at(-1).phase === 'waiting'")
    page.unroute_all()
    site.open(page)
    sent = len(site.proxy.stored_parts())
    begin(page, three_parts, multipart=True)
    confirmed(page, site, three_parts)
    assert len(site.proxy.stored_parts()) == sent == 3


def test_a_create_whose_answer_is_lost_begins_no_second_upload(page: Page, site: Site, three_parts: Path) -> None:
    def lose_the_first(route: Route) -> None:
        if created:
            route.continue_()
        else:
            created.append(route.fetch())
            route.abort()

    created: list[object] = []
    page.route(
        "**/api/v1/uploads",
        lambda route: lose_the_first(route) if route.request.method == "POST" else route.continue_(),
    )
    begin(page, three_parts, multipart=True)
    confirmed(page, site, three_parts)
    assert created
    assert len([one for one in site.proxy.exchanges if one.method == "POST" and "uploads" in one.query]) == 1


def test_a_single_put_whose_answer_is_lost_is_not_sent_again(page: Page, site: Site, small: Path) -> None:
    site.proxy.next(Fault(is_put, loses_answer=True))
    begin(page, small)
    confirmed(page, site, small)
    assert len([one for one in site.proxy.exchanges if is_put(one)]) == 1


def test_a_single_put_that_is_cut_is_sent_again(page: Page, site: Site, small: Path) -> None:
    site.proxy.next(Fault(is_put, cut_after=MIB))
    begin(page, small)
    confirmed(page, site, small)
    assert [one.status for one in site.proxy.exchanges if is_put(one)] == [None, 200]


def test_a_paused_upload_sends_nothing_until_it_goes_on(page: Page, site: Site, three_parts: Path) -> None:
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    page.evaluate("window.run.pause()")
    assert page.evaluate("window.progress.at(-1)")["phase"] == "paused"
    let_go(late)
    page.evaluate("window.run.resume()")
    confirmed(page, site, three_parts)


def test_an_upload_that_is_paused_while_nothing_answers_waits_quietly(page: Page, site: Site, small: Path) -> None:
    def fail(route: Route) -> None:
        asked.append(route)
        route.abort()

    asked: list[Route] = []
    page.route("**/api/v1/uploads", fail)
    begin(page, small)
    page.wait_for_function("window.progress.at(-1).phase === 'waiting'")
    page.evaluate("window.run.pause()")
    page.wait_for_timeout(1500)
    assert len(asked) <= 2
    page.unroute_all()
    page.evaluate("window.run.resume()")
    confirmed(page, site, small)


@pytest.mark.parametrize("how", ["window.run.cancel()", "window.stop.abort()"])
@pytest.mark.parametrize("storage", ["localStorage", "null"])
def test_a_cancelled_upload_leaves_nothing(page: Page, site: Site, three_parts: Path, how: str, storage: str) -> None:
    before = site.left_behind()
    late = hold(site, 2)
    page.set_input_files("#files", three_parts)
    page.evaluate("window.stop = new AbortController()")
    begun = f"options => {{ window.begin({{ ...options, signal: window.stop.signal, storage: {storage} }}); }}"
    page.evaluate(begun, IN_PARTS)
    reached(late)
    page.evaluate(how)
    error = outcome(page)["error"]
    let_go(late)
    assert (error["name"], error["code"], error["retryable"]) == ("UploadError", "cancelled", False)
    assert site.left_behind() == before
    assert page.evaluate("unfinished()") == []


def test_a_cancel_that_comes_while_the_upload_is_created_leaves_nothing(
    page: Page, site: Site, three_parts: Path
) -> None:
    before = site.left_behind()
    begin(page, three_parts, multipart=True)
    page.evaluate("window.run.cancel()")
    assert outcome(page)["error"]["code"] == "cancelled"
    assert site.left_behind() == before


def test_an_aborted_signal_asks_nobody(page: Page, site: Site, small: Path) -> None:
    page.set_input_files("#files", small)
    page.evaluate("window.begin({ signal: AbortSignal.abort() })")
    assert outcome(page)["error"]["code"] == "cancelled"
    assert site.proxy.exchanges == []


def test_an_interrupted_upload_can_be_discarded(page: Page, site: Site, three_parts: Path) -> None:
    before = site.left_behind()
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    site.open(page)
    let_go(late)
    page.evaluate("async () => { for (const known of unfinished()) await discard(known); }")
    assert site.left_behind() == before
    assert page.evaluate("unfinished()") == []


def test_a_checksum_is_enforced_and_in_the_receipt(page: Page, site: Site, small: Path) -> None:
    begin(page, small, checksum=True)
    track = confirmed(page, site, small)
    assert base64.b64decode(track["sha256"]).hex() == digest_of(small)
    assert page.evaluate("window.progress[0].phase") == "hashing"


def test_two_files_go_at_once(page: Page, site: Site, small: Path, three_parts: Path) -> None:
    page.set_input_files("#files", [small, three_parts])
    both = page.evaluate(
        """async () => {
          window.begin({}, 0);
          const first = window.outcome;
          window.begin({ multipart: true }, 1);
          return [await first, await window.outcome];
        }"""
    )
    assert [site.served(ended["track"]["key"]) for ended in both] == [digest_of(small), digest_of(three_parts)]


def test_another_users_unfinished_upload_is_not_touched(page: Page, site: Site, three_parts: Path) -> None:
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    site.open(page)
    let_go(late)
    page.evaluate("other => { window.token = () => other; }", token("user-2"))
    begin(page, three_parts, multipart=True)
    ended = outcome(page)
    assert ended["track"]["owner"] == "user-2"
    assert len({upload_id for upload_id, _ in site.proxy.stored_parts()}) == 2


def test_an_upload_that_was_aborted_elsewhere_ends_and_is_begun_anew_by_the_next(
    page: Page, site: Site, three_parts: Path
) -> None:
    """A deletion is final: no page sends the file again by itself."""
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    (known,) = page.evaluate("unfinished()")
    with site.broker.client() as client:
        assert client.delete(f"/uploads/{known['uploadId']}").status_code == 204
    let_go(late)
    error = outcome(page)["error"]
    assert (error["code"], error["retryable"]) == ("upload_deleted", False)
    assert page.evaluate("unfinished()") == []
    begin(page, three_parts, **IN_PARTS)
    confirmed(page, site, three_parts)


def test_a_store_out_of_reach_ends_in_a_network_error_that_may_be_tried_again(
    page: Page, site: Site, small: Path
) -> None:
    page.route("**/incoming/**", lambda route: route.abort())
    begin(page, small, maxAttempts=2)
    error = outcome(page)["error"]
    assert (error["code"], error["retryable"]) == ("network", True)
    page.unroute_all()
    begin(page, small)
    confirmed(page, site, small)


def test_a_refusal_carries_what_the_broker_said(page: Page, site: Site, small: Path) -> None:
    begin(page, small, contentType="text/html")
    error = outcome(page)["error"]
    assert (error["code"], error["status"], error["retryable"]) == ("unsupported_type", 422, False)
    assert error["errors"][0]["pointer"] == "/contentType"
    assert error["requestId"]
    assert page.evaluate("unfinished()") == []


def test_bytes_of_another_type_end_in_content_mismatch(page: Page, site: Site, small: Path) -> None:
    begin(page, small, contentType="image/png", filename="cover.png")
    assert outcome(page)["error"]["code"] == "content_mismatch"


def test_a_file_that_is_gone_is_named_unreadable(page: Page, site: Site, tmp_path: Path) -> None:
    path = song(tmp_path / "song.mp3", 2 * PART + 54_321)
    late = hold(site, 1)
    begin(page, path, **IN_PARTS)
    reached(late)
    path.unlink()
    let_go(late)
    error = outcome(page)["error"]
    assert (error["code"], error["retryable"]) == ("unreadable", False)


def test_a_page_that_may_store_nothing_uploads_all_the_same(page: Page, site: Site, small: Path) -> None:
    page.set_input_files("#files", small)
    page.evaluate("window.begin({ storage: null })")
    confirmed(page, site, small)
