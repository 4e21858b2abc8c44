"""The browser client in Chromium, with page, broker and store on three origins, and with network faults.

``confirmed()`` checks after every upload that the stored file is unchanged and that no stored part was sent again. The
proxy before the store counts the parts.
"""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route

from tests import media
from tests.e2e.processes import Broker, token
from tests.faults.proxy import Fault, RequestCycle
from tests.media import mp3
from tests.patience import PATIENCE

from .site import Site, digest_of, running, song

pytestmark = pytest.mark.browser

MIB = 2**20
PART = 8 * MIB
IN_PARTS = {"multipart": True, "maxConcurrency": 1}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run one site for all tests."""
    with running(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a song of 5 MB."""
    return song(tmp_path_factory.mktemp("songs") / "small.mp3", 5_000_000)


@pytest.fixture(scope="module")
def three_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a song of three parts, of which the third is small."""
    return song(tmp_path_factory.mktemp("songs") / "three parts.mp3", 2 * PART + 54_321)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Open a new browser profile."""
    with browser.new_context() as context:
        context.set_default_timeout(60_000)
        yield context


@pytest.fixture
def page(context: BrowserContext, site: Site) -> Page:
    """Open the page of the product."""
    site.proxy.exchanges.clear()
    site.proxy.pause = 0
    page = context.new_page()
    site.open(page)
    return page


def begin(page: Page, *paths: Path, **options: Any) -> None:
    """Choose files and start the upload of the first."""
    page.set_input_files("#files", paths)
    page.evaluate("options => window.begin(options)", options)


def outcome(page: Page) -> dict[str, Any]:
    """Return the track-ready response or the error of the upload, once it has ended."""
    return dict(page.evaluate("window.outcome"))


def confirmed(page: Page, site: Site, path: Path) -> dict[str, Any]:
    """Check a completed upload, and return its track-ready response."""
    ended = outcome(page)
    assert "track" in ended, ended
    track = dict(ended["track"])
    assert site.served(track["key"]) == digest_of(path)
    stored = site.proxy.stored_parts()
    assert len(stored) == len(set(stored))
    assert not any("authorization" in exchange.headers for exchange in site.proxy.exchanges)
    assert page.evaluate("unfinished()") == []
    last = page.evaluate("window.progress.at(-1)")
    size = path.stat().st_size
    assert (last["phase"], last["loadedBytes"], last["storedBytes"], last["totalBytes"]) == ("ready", size, size, size)
    return track


def hold(site: Site, part: int) -> Fault:
    """Hold the next request with this part in the proxy."""
    return site.proxy.next(Fault(lambda one: one.part == part, held=threading.Event()))


def let_go(fault: Fault) -> None:
    """Forward the held request."""
    assert fault.held
    fault.held.set()


def reached(fault: Fault) -> Fault:
    """Wait for a fault to happen."""
    assert fault.happened.wait(30)
    return fault


def until_pumped(page: Page, holds: Callable[[], object]) -> None:
    """Wait until a condition holds, while the events of the page are processed."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def is_put(exchange: RequestCycle) -> bool:
    """Return whether the request is an upload."""
    return exchange.method == "PUT" and "x-amz-copy-source" not in exchange.headers


@pytest.mark.parametrize("size", [5_000_000, 16 * MIB + 1, pytest.param(70 * MIB, marks=pytest.mark.every_engine)])
def test_file_arrives_unchanged(page: Page, site: Site, tmp_path: Path, size: int) -> None:
    """A file arrives unchanged, in one PUT or in parts, and the reported progress never decreases."""
    path = song(tmp_path / "song.mp3", size)
    begin(page, path)
    track = confirmed(page, site, path)
    assert track["size"] == size
    puts = [exchange for exchange in site.proxy.exchanges if is_put(exchange)]
    assert len(puts) == (1 if size <= 16 * MIB else -(-size // PART))
    assert sum(exchange.received for exchange in puts) == size
    reports = page.evaluate("window.progress")
    loaded = [report["loadedBytes"] for report in reports]
    assert loaded == sorted(loaded)
    assert [report["phase"] for report in reports if report["phase"] != "sending"] == [
        "starting",
        "confirming",
        "ready",
    ]


def test_small_file_takes_three_requests(page: Page, site: Site, small: Path) -> None:
    """A small file takes three requests: create, PUT, confirm. The first one of a page requests the limits before."""
    sent: list[tuple[str, str]] = []
    page.on("request", lambda request: sent.append((request.method, request.url.split("?")[0].rpartition("/")[2])))
    begin(page, small)
    track = confirmed(page, site, small)
    assert sent.pop(0) == ("GET", "status")
    assert sent == [("POST", "uploads"), ("PUT", track["key"].removeprefix("media/")), ("POST", "confirm")]


@pytest.mark.every_engine
def test_cut_part_is_resent(page: Page, site: Site, three_parts: Path) -> None:
    """A part whose connection is cut is sent again, and no other part is."""
    site.proxy.next(Fault(lambda one: one.part == 2, cut_after=5 * MIB))
    begin(page, three_parts, multipart=True)
    confirmed(page, site, three_parts)
    assert sorted(one.part for one in site.proxy.exchanges if one.part) == [1, 2, 2, 3]


def test_part_with_lost_response(page: Page, site: Site, three_parts: Path) -> None:
    """A stored part whose response is lost is not sent again."""
    lost = site.proxy.next(Fault(lambda one: one.part == 2, loses_answer=True))
    begin(page, three_parts, **IN_PARTS)
    confirmed(page, site, three_parts)
    assert lost.happened.is_set()
    assert [one.part for one in site.proxy.exchanges if one.part] == [1, 2, 3]


def test_expired_part_url(context: BrowserContext, site: Site, three_parts: Path, tmp_path: Path) -> None:
    """A part whose URL has expired is sent again with a fresh URL."""
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


def test_expired_token_is_renewed_once(page: Page, site: Site, three_parts: Path) -> None:
    """An expired token is renewed once, and the upload continues."""
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


def test_invalid_token(page: Page, site: Site, small: Path) -> None:
    """A token that is still invalid after its renewal ends the upload, and a later attempt succeeds."""
    page.evaluate("([good]) => { window.good = good; window.token = () => 'bad'; }", [token()])
    begin(page, small)
    assert outcome(page)["error"]["code"] == "unauthenticated"
    assert page.evaluate("window.tokens") == [False, True]
    page.evaluate("() => { window.token = () => window.good; }")
    begin(page, small)
    confirmed(page, site, small)


def test_broker_restart(page: Page, site: Site, three_parts: Path) -> None:
    """The upload waits while the broker is killed, and continues when it has restarted."""
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    site.broker.kill()
    let_go(late)
    page.wait_for_function("window.run.progress.phase === 'waiting'")
    site.broker.__enter__()
    confirmed(page, site, three_parts)


@pytest.mark.every_engine
def test_store_restart(page: Page, site: Site, three_parts: Path) -> None:
    """The upload waits while the store is stopped, and continues when it has restarted."""
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    site.store.stop()
    let_go(late)
    page.wait_for_function("window.run.progress.phase === 'waiting'")
    site.store.start()
    confirmed(page, site, three_parts)


def test_get_token_fails_once(page: Page, site: Site, three_parts: Path) -> None:
    """A ``getToken`` that fails is called again after a pause, and the upload continues."""
    page.evaluate(
        """() => {
          const good = window.token();
          let calls = 0;
          window.token = () => {
            if (calls++ < 2) throw new Error("the identity service is down");
            return good;
          };
        }"""
    )
    begin(page, three_parts, multipart=True)
    confirmed(page, site, three_parts)
    reasons = [facts["reason"] for name, facts in page.evaluate("window.heard") if name == "retry"]
    assert [(reason["code"], reason["message"]) for reason in reasons] == [
        ("unauthenticated", "getToken failed: the identity service is down")
    ] * 2


def test_get_token_gives_up(page: Page, site: Site, small: Path) -> None:
    """A ``getToken`` that fails for good ends the upload: after ``maxAttempts``, or at once if it is not retryable."""
    page.evaluate("() => { window.token = () => { throw new Error('signed out'); }; }")
    begin(page, small, maxAttempts=2)
    error = outcome(page)["error"]
    assert (error["code"], error["retryable"]) == ("unauthenticated", True)
    page.evaluate(
        "() => { window.token = () => { throw Object.assign(new Error('signed out'), { retryable: false }); }; }"
    )
    begin(page, small)
    assert outcome(page)["error"]["retryable"] is False
    assert [name for name, _ in page.evaluate("window.heard") if name == "retry"] == []


@pytest.mark.every_engine
def test_reload_resumes_the_same_file(page: Page, site: Site, three_parts: Path) -> None:
    """After a reload, an upload of the same file continues with the missing parts."""
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    site.open(page)
    let_go(late)
    # The page may have sent all of part 2 before it was reloaded: then the store has it a moment later.
    until_pumped(page, lambda: [one for one in site.proxy.exchanges if one.part == 2 and one.is_over])
    (known,) = page.evaluate("unfinished()")
    assert (known["filename"], known["size"]) == (three_parts.name, three_parts.stat().st_size)
    begin(page, three_parts, **IN_PARTS)
    confirmed(page, site, three_parts)
    assert page.evaluate("window.progress.find(({ phase }) => phase === 'sending').loadedBytes") in (PART, 2 * PART)


def test_reload_while_confirming(page: Page, site: Site, three_parts: Path) -> None:
    """A page that is reloaded while it confirms sends no part again."""
    page.route("**/confirm", lambda route: route.abort())
    begin(page, three_parts, multipart=True)
    page.wait_for_function("window.run.progress.phase === 'waiting'")
    page.unroute_all()
    site.open(page)
    sent = len(site.proxy.stored_parts())
    begin(page, three_parts, multipart=True)
    confirmed(page, site, three_parts)
    assert len(site.proxy.stored_parts()) == sent == 3


def test_create_with_lost_response(page: Page, site: Site, three_parts: Path) -> None:
    """A create whose response is lost is repeated, and the store has one multipart upload."""

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


@pytest.mark.every_engine
def test_put_with_lost_response(page: Page, site: Site, small: Path) -> None:
    """A single PUT whose response is lost is not sent again."""
    site.proxy.next(Fault(is_put, loses_answer=True))
    begin(page, small)
    confirmed(page, site, small)
    assert len([one for one in site.proxy.exchanges if is_put(one)]) == 1


def test_cut_put_is_resent(page: Page, site: Site, small: Path) -> None:
    """A single PUT whose connection is cut is sent again."""
    site.proxy.next(Fault(is_put, cut_after=MIB))
    begin(page, small)
    confirmed(page, site, small)
    assert [one.status for one in site.proxy.exchanges if is_put(one)] == [None, 200]


@pytest.mark.every_engine
def test_pause_and_resume(page: Page, site: Site, three_parts: Path) -> None:
    """A paused upload is completed after it is resumed, and no stored part is sent again."""
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    page.evaluate("window.run.pause()")
    assert page.evaluate("window.progress.at(-1)")["phase"] == "paused"
    let_go(late)
    page.evaluate("window.run.resume()")
    confirmed(page, site, three_parts)


def test_pause_while_retrying(page: Page, site: Site, small: Path) -> None:
    """An upload that is paused between two attempts is not retried until it is resumed."""

    def fail(route: Route) -> None:
        asked.append(route)
        route.abort()

    asked: list[Route] = []
    page.route("**/api/v1/uploads", fail)
    begin(page, small)
    page.wait_for_function("window.run.progress.phase === 'waiting'")
    page.evaluate("window.run.pause()")
    page.wait_for_timeout(1500)
    assert len(asked) <= 2
    page.unroute_all()
    page.evaluate("window.run.resume()")
    confirmed(page, site, small)


@pytest.mark.parametrize("how", ["window.run.cancel()", "window.stop.abort()"])
@pytest.mark.parametrize("storage", ["localStorage", "null"])
def test_cancel_leaves_nothing(page: Page, site: Site, three_parts: Path, how: str, storage: str) -> None:
    """A cancelled upload leaves nothing at the store or in the browser, with and without a storage."""
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


@pytest.mark.every_engine
def test_cancel_during_create(page: Page, site: Site, three_parts: Path) -> None:
    """A cancellation during the create leaves nothing at the store."""
    before = site.left_behind()
    begin(page, three_parts, multipart=True)
    page.evaluate("window.run.cancel()")
    assert outcome(page)["error"]["code"] == "cancelled"
    assert site.left_behind() == before


def test_signal_already_aborted(page: Page, site: Site, small: Path) -> None:
    """An upload whose signal is already aborted sends nothing to the store."""
    page.set_input_files("#files", small)
    page.evaluate("window.begin({ signal: AbortSignal.abort() })")
    assert outcome(page)["error"]["code"] == "cancelled"
    assert site.proxy.exchanges == []


def test_discard(page: Page, site: Site, three_parts: Path) -> None:
    """An interrupted upload that is discarded leaves nothing at the store or in the browser."""
    before = site.left_behind()
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    site.open(page)
    let_go(late)
    page.evaluate("async () => { for (const known of unfinished()) await discard(known); }")
    assert site.left_behind() == before
    assert page.evaluate("unfinished()") == []


@pytest.mark.every_engine
def test_checksum(page: Page, site: Site, small: Path) -> None:
    """With ``checksum`` the file is hashed first, and the response contains its SHA-256."""
    begin(page, small, checksum=True)
    track = confirmed(page, site, small)
    assert base64.b64decode(track["sha256"]).hex() == digest_of(small)
    assert page.evaluate("window.progress[0].phase") == "hashing"


def test_two_uploads_at_a_time(page: Page, site: Site, small: Path, three_parts: Path) -> None:
    """Two uploads of one page at the same time both arrive unchanged."""
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


@pytest.mark.every_engine
def test_upload_of_another_user(page: Page, site: Site, three_parts: Path) -> None:
    """The same file of another user becomes an upload of its own."""
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


def test_upload_deleted_elsewhere(page: Page, site: Site, three_parts: Path) -> None:
    """An upload that was deleted elsewhere ends and is forgotten, and only the next attempt sends the file again."""
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


def test_store_unreachable(page: Page, site: Site, small: Path) -> None:
    """A store that cannot be reached is a retryable network error after ``maxAttempts``."""
    page.route("**/incoming/**", lambda route: route.abort())
    begin(page, small, maxAttempts=2)
    error = outcome(page)["error"]
    assert (error["code"], error["retryable"]) == ("network", True)
    page.unroute_all()
    begin(page, small)
    confirmed(page, site, small)


def test_refusal(page: Page, site: Site, small: Path) -> None:
    """A refusal of the broker has its code, status, invalid field and request id, and the upload is forgotten."""
    begin(page, small, contentType="text/html")
    error = outcome(page)["error"]
    assert (error["code"], error["status"], error["retryable"]) == ("unsupported_type", 422, False)
    assert error["errors"][0]["pointer"] == "/contentType"
    assert error["requestId"]
    assert page.evaluate("unfinished()") == []


def test_content_mismatch(page: Page, site: Site, small: Path) -> None:
    """Bytes of another media type end the upload with ``content_mismatch``."""
    begin(page, small, contentType="image/png", filename="cover.png")
    assert outcome(page)["error"]["code"] == "content_mismatch"


@pytest.mark.every_engine
def test_deleted_file(page: Page, site: Site, tmp_path: Path) -> None:
    """A file that is deleted during its upload is ``unreadable``, which is not retryable."""
    path = song(tmp_path / "song.mp3", 2 * PART + 54_321)
    page.clock.install()
    late = hold(site, 1)
    begin(page, path, **IN_PARTS)
    reached(late)
    path.unlink()
    let_go(late)
    page.clock.fast_forward(61_000)  # WebKit reports no error: its request sends no byte until the client ends it
    error = outcome(page)["error"]
    assert (error["code"], error["retryable"]) == ("unreadable", False)


def test_without_storage(page: Page, site: Site, small: Path) -> None:
    """An upload works without a storage."""
    page.set_input_files("#files", small)
    page.evaluate("window.begin({ storage: null })")
    confirmed(page, site, small)


@pytest.mark.every_engine
def test_pause_while_hashing(page: Page, site: Site, small: Path) -> None:
    """An upload that is paused while its checksum is computed creates nothing until it is resumed."""
    page.evaluate(
        """() => {
          const digest = crypto.subtle.digest.bind(crypto.subtle);
          crypto.subtle.digest = async (...given) => { await window.mayHash; return digest(...given); };
          window.mayHash = new Promise((resolve) => { window.hashNow = resolve; });
        }"""
    )
    created: list[str] = []
    page.on("request", lambda request: created.append(request.url) if request.method == "POST" else None)
    begin(page, small, checksum=True)
    page.wait_for_function("window.run.progress.phase === 'hashing'")
    page.evaluate("window.run.pause()")
    page.evaluate("window.hashNow()")
    page.wait_for_timeout(500)
    assert page.evaluate("window.run.progress.phase") == "paused"
    assert created == []
    page.evaluate("window.run.resume()")
    track = confirmed(page, site, small)
    assert base64.b64decode(track["sha256"]).hex() == digest_of(small)


@pytest.mark.parametrize("path", ["**/uploads/status", "**/api/v1/uploads", "**/confirm"])
def test_pause_in_each_request(page: Page, site: Site, small: Path, path: str) -> None:
    """A pause during a request of the broker holds before the next step; a finished upload stays finished."""
    held: list[Route] = []
    page.route(path, lambda route: held.append(route))  # noqa: PLW0108  Playwright refuses a builtin
    begin(page, small)
    until_pumped(page, lambda: held)
    page.evaluate("window.run.pause()")
    before = len(site.proxy.exchanges)
    for route in held:
        route.continue_()
    page.unroute_all()
    page.wait_for_timeout(500)
    assert page.evaluate("window.run.progress.phase") == ("ready" if path == "**/confirm" else "paused")
    assert len([one for one in site.proxy.exchanges[before:] if is_put(one)]) == 0
    page.evaluate("window.run.resume()")
    confirmed(page, site, small)


def test_pause_while_waiting_for_a_token(page: Page, site: Site, small: Path) -> None:
    """A pause while ``getToken`` runs holds before the next step, and a cancellation ends the wait at once."""
    page.evaluate(
        """() => {
          const good = window.token();
          window.token = () => new Promise((resolve) => { window.giveToken = () => resolve(good); });
        }"""
    )
    begin(page, small)
    page.wait_for_function("Boolean(window.giveToken)")
    page.evaluate("window.run.pause()")
    page.evaluate("window.giveToken()")
    page.wait_for_timeout(500)
    assert page.evaluate("window.run.progress.phase") == "paused"
    assert site.proxy.exchanges == []
    page.evaluate("window.run.resume()")
    confirmed(page, site, small)
    page.evaluate("window.giveToken = null")
    begin(page, small)
    page.wait_for_function("Boolean(window.giveToken)")
    page.evaluate("window.run.cancel()")
    assert outcome(page)["error"]["code"] == "cancelled"


@pytest.mark.every_engine
def test_pause_sends_no_byte_twice(page: Page, site: Site, three_parts: Path) -> None:
    """Parts in flight at a pause are completed meanwhile; after it only the missing part is sent."""
    late = hold(site, 2)
    begin(page, three_parts, multipart=True)
    reached(late)
    page.evaluate("window.run.pause()")
    let_go(late)
    page.wait_for_function(f"window.run.progress.storedBytes >= {2 * PART}")
    assert page.evaluate("window.run.progress.phase") == "paused"
    page.evaluate("window.run.resume()")
    confirmed(page, site, three_parts)
    assert sum(one.received for one in site.proxy.exchanges if one.part) == three_parts.stat().st_size


@pytest.mark.every_engine
def test_paused_put_lands(page: Page, site: Site, small: Path) -> None:
    """A single PUT in flight at a pause is completed, and the file is not sent again."""
    late = site.proxy.next(Fault(is_put, held=threading.Event()))
    begin(page, small)
    reached(late)
    page.evaluate("window.run.pause()")
    let_go(late)
    page.wait_for_function(f"window.run.progress.storedBytes === {small.stat().st_size}")
    page.evaluate("window.run.resume()")
    confirmed(page, site, small)
    assert sum(one.received for one in site.proxy.exchanges if is_put(one)) == small.stat().st_size


@pytest.mark.every_engine
def test_offline(page: Page, site: Site, three_parts: Path) -> None:
    """An upload whose network is lost continues when the browser is online again."""
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    page.context.set_offline(True)
    let_go(late)
    page.wait_for_function("window.run.progress.phase === 'waiting'")
    page.context.set_offline(False)
    confirmed(page, site, three_parts)


def test_offline_is_wrong(page: Page, site: Site, small: Path) -> None:
    """An upload does not wait for ever where ``navigator.onLine`` is false although the network works."""
    page.evaluate("Object.defineProperty(navigator, 'onLine', { value: false })")
    begin(page, small)
    confirmed(page, site, small)
    page.clock.install()
    page.route("**/confirm", lambda route: route.abort())
    begin(page, small)
    page.wait_for_function("window.run.progress.phase === 'waiting'")
    page.unroute_all()
    page.clock.fast_forward(61_000)
    confirmed(page, site, small)


@pytest.mark.every_engine
def test_token_expired_at_100_percent(page: Page, site: Site, small: Path) -> None:
    """A token that expires when all bytes are stored, and is renewed only later, does not end in a dead end."""
    page.evaluate(
        """([old, good]) => {
          window.token = (refresh) => {
            if (!refresh || window.mayRenew) return refresh ? good : window.mayRenew ? good : window.current;
            throw Object.assign(new Error("signed out"), { retryable: false });
          };
          window.current = good;
        }""",
        ["bad", token()],
    )
    page.route("**/confirm", lambda route: route.fulfill(status=401, headers={"Access-Control-Allow-Origin": "*"}))
    begin(page, small)
    error = outcome(page)["error"]
    assert (error["code"], page.evaluate("unfinished().length")) == ("unauthenticated", 1)
    assert page.evaluate("window.run.progress.storedBytes") == small.stat().st_size
    page.unroute_all()
    page.evaluate("window.mayRenew = true")
    begin(page, small)
    confirmed(page, site, small)
    assert len([one for one in site.proxy.exchanges if is_put(one)]) == 1


@pytest.mark.every_engine
def test_two_tabs(page: Page, context: BrowserContext, site: Site, three_parts: Path) -> None:
    """Two tabs with the same file send it once, and both get the same result."""
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    other = context.new_page()
    site.open(other)
    begin(other, three_parts, **IN_PARTS)
    other.wait_for_function("window.run.progress.phase === 'queued'")
    let_go(late)
    outcome(other)  # while one tab confirms, the other remembers the upload for it
    first, second = confirmed(page, site, three_parts), confirmed(other, site, three_parts)
    assert first["key"] == second["key"]
    assert len(site.proxy.stored_parts()) == 3


@pytest.mark.every_engine
def test_paused_tab_leaves_the_file(page: Page, context: BrowserContext, site: Site, three_parts: Path) -> None:
    """While one tab has paused the upload, another one completes it; the first then returns the same result."""
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS)
    reached(late)
    page.evaluate("window.run.pause()")
    let_go(late)
    other = context.new_page()
    site.open(other)
    begin(other, three_parts, **IN_PARTS)
    second = confirmed(other, site, three_parts)
    page.evaluate("window.run.resume()")
    assert confirmed(page, site, three_parts)["key"] == second["key"]


def test_namespace(page: Page, site: Site, three_parts: Path) -> None:
    """What one user has begun is neither listed nor resumed for the next user of the browser."""
    late = hold(site, 2)
    begin(page, three_parts, **IN_PARTS, namespace="auth0|1")
    reached(late)
    site.open(page)
    let_go(late)
    seen = """namespace => client.unfinished({ ...window.common(), namespace }).map(({ filename }) => filename)"""
    assert [page.evaluate(seen, name) for name in ("auth0|1", "auth0", "auth0|12", "")] == [
        [three_parts.name],
        [],
        [],
        [],
    ]
    page.evaluate("other => { window.token = () => other; }", token("user-2"))
    begin(page, three_parts, **IN_PARTS, namespace="auth0")
    assert outcome(page)["track"]["owner"] == "user-2"
    assert page.evaluate("window.progress.find(({ phase }) => phase === 'sending').loadedBytes") == 0
    assert page.evaluate(seen, "auth0|1") == [three_parts.name]


@pytest.mark.parametrize(
    "call",
    [
        "client.upload()",
        "client.upload(null, null)",
        "client.upload('a.mp3', common())",
        "client.upload(new Blob(['a']), common())",
        "client.upload(new File(['a'], 'a.mp3'), { broker: 'x' })",
        "client.upload(new File(['a'], 'a.mp3'), { ...common(), maxConcurrency: 0 })",
        "client.upload(new File(['a'], 'a.mp3'), { ...common(), maxAttempts: NaN })",
        "client.createQueue().add([new File(['a'], 'a.mp3')])[0]",
        "client.createQueue(common()).add(new Blob(['a']))[0]",
        "({ done: client.discard() })",
        "({ done: client.discard({ uploadId: 'x', filename: 'a' }, {}) })",
    ],
)
def test_wrong_options_reject(page: Page, call: str) -> None:
    """A missing or wrong option rejects with an ``UploadError``, and nothing is thrown."""
    error = page.evaluate(f"() => {call}.done.then(() => null, window.told)")
    assert (error["name"], error["code"], error["retryable"]) == ("UploadError", "invalid_options", False)


def test_blob_with_a_name(page: Page, site: Site) -> None:
    """A Blob is uploaded under the given name, and is not remembered: another one cannot be told apart."""
    content = base64.b64encode(mp3()).decode()
    page.evaluate(
        """content => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt());
          window.begin({ blob: new Blob([bytes], { type: "audio/mpeg" }), filename: "take.mp3" });
          window.run.on("phase", () => { window.listed = unfinished().length; });
        }""",
        content,
    )
    assert outcome(page)["track"]["filename"] == "take.mp3"
    assert page.evaluate("window.listed") == 0


@pytest.mark.every_engine
def test_cors_of_the_broker(page: Page, site: Site, small: Path, tmp_path: Path) -> None:
    """A page whose origin the broker does not allow gets an error that names the setting."""
    with Broker(tmp_path, {**site.environment, "BROKER_CORS_ORIGINS": "https://app.example"}) as strict:
        begin(page, small, broker=strict.url, maxAttempts=1)
        error = outcome(page)["error"]
    assert (error["code"], error["retryable"]) == ("network", True)
    assert f"BROKER_CORS_ORIGINS contains {site.origin}." in error["message"]


@pytest.mark.every_engine
def test_cors_of_the_store(page: Page, site: Site, small: Path, tmp_path: Path) -> None:
    """A page whose origin the bucket does not allow gets an error that names the bucket's CORS rules."""
    site.allow("https://app.example")
    try:
        begin(page, small, maxAttempts=1)
        error = outcome(page)["error"]
    finally:
        site.allow(site.origin)
    assert error["code"] == "network"
    assert f"CORS rules of its bucket contain {site.origin}." in error["message"]


@pytest.mark.every_engine
@pytest.mark.parametrize("kind", ["ogg", "mp3", "png"])
def test_real_files(page: Page, site: Site, tmp_path: Path, kind: str) -> None:
    """An Ogg, an MP3 and a PNG file arrive as what they are."""
    makers = {"ogg": media.ogg_vorbis, "mp3": media.mp3, "png": media.png}
    types = {"ogg": "audio/ogg", "mp3": "audio/mpeg", "png": "image/png"}
    path = tmp_path / f"file.{kind}"
    path.write_bytes(makers[kind]())  # type: ignore[operator]  # makers of two types
    begin(page, path)
    assert confirmed(page, site, path)["contentType"] == types[kind]


def test_limits_are_used(page: Page, site: Site, small: Path) -> None:
    """A file that the published limits exclude fails with the broker's code before anything is created."""
    limits = {"maxBytes": 1000, "multipartThreshold": 500, "types": ["audio/mpeg"]}
    allowed = {"Access-Control-Allow-Origin": "*"}
    page.route("**/uploads/status", lambda route: route.fulfill(json=limits, headers=allowed))
    created: list[str] = []
    page.on("request", lambda request: created.append(request.url) if request.method == "POST" else None)
    begin(page, small)
    error = outcome(page)["error"]
    assert (error["code"], error["errors"][0]["pointer"]) == ("too_large", "/size")
    page.evaluate("window.begin({ blob: new File(['%PDF-'], 'a.pdf', { type: 'application/pdf' }) })")
    error = outcome(page)["error"]
    assert (error["code"], error["errors"][0]["pointer"]) == ("unsupported_type", "/contentType")
    assert created == []
    assert page.evaluate("client.getLimits(common())") == {
        "maxBytes": 1000,
        "multipartThresholdBytes": 500,
        "types": ["audio/mpeg"],
    }


def test_retry_after_of_the_store(page: Page, site: Site, small: Path) -> None:
    """A throttled PUT is repeated after the time of ``Retry-After``, and the retry is reported with its reason."""
    throttled = {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Retry-After",
        "Retry-After": "2",
    }
    page.route(
        "**/incoming/**",
        lambda route: (
            route.continue_()
            if route.request.method != "PUT"
            else route.fulfill(status=429, headers=throttled, body="<Error><Code>TooManyRequests</Code></Error>")
        ),
        times=1,
    )
    started = time.monotonic()
    begin(page, small)
    confirmed(page, site, small)
    assert time.monotonic() - started >= 2
    ((facts),) = [facts for name, facts in page.evaluate("window.heard") if name == "retry"]
    assert (facts["attempt"], facts["maxAttempts"], facts["reason"]["status"]) == (1, 12, 429)
    assert "TooManyRequests" in facts["reason"]["message"]


def test_without_newer_functions(context: BrowserContext, site: Site, three_parts: Path) -> None:
    """The client works without the functions that Safari 15 lacks."""
    context.add_init_script(
        """delete AbortSignal.timeout; delete AbortSignal.any; delete AbortSignal.prototype.throwIfAborted;
        delete Array.prototype.at; delete Array.prototype.findLast; delete Object.hasOwn; delete Promise.withResolvers;
        delete globalThis.structuredClone; delete globalThis.reportError; delete Crypto.prototype.randomUUID;
        Object.defineProperty(Navigator.prototype, "locks", { value: undefined });"""
    )
    page = context.new_page()
    site.proxy.exchanges.clear()
    site.open(page)
    page.evaluate("Array.prototype.at = function (index) { return this[this.length + index]; }")  # of this test
    begin(page, three_parts, multipart=True)
    confirmed(page, site, three_parts)


@pytest.mark.every_engine
def test_queue(page: Page, site: Site, small: Path, three_parts: Path, tmp_path: Path) -> None:
    """A queue uploads several files with one total, and a file that fails can be retried."""
    bad = tmp_path / "bad.mp3"
    bad.write_bytes(b"this is not a song")
    page.set_input_files("#files", [small, three_parts, bad])
    ended = page.evaluate(
        """async () => {
          const queue = client.createQueue({ ...common(), concurrency: 2 });
          const totals = [], most = [], done = [];
          queue.on("progress", (total) => { totals.push(total); most.push(total.activeCount); });
          queue.on("done", ({ key }, item) => done.push([item.filename, key]));
          const items = queue.add(document.getElementById("files").files);
          await queue.done;
          const phases = items.map(({ progress }) => progress.phase);
          const { code } = items[2].error;
          queue.retry();
          const again = items[2].progress.phase;
          await queue.done;
          items[2].remove();
          return { phases, code, again, last: totals[totals.length - 1], most: Math.max(...most), done,
            left: queue.items.length, loaded: totals.map(({ loadedBytes }) => loadedBytes) };
        }"""
    )
    assert ended["phases"] == ["ready", "ready", "failed"]
    assert ended["code"] == "content_mismatch"
    assert ended["again"] in ("queued", "starting")
    assert (ended["most"], ended["left"]) == (2, 2)
    assert {name: site.served(key) for name, key in ended["done"]} == {
        path.name: digest_of(path) for path in (small, three_parts)
    }
    size = small.stat().st_size + three_parts.stat().st_size
    last = ended["last"]
    assert (last["loadedBytes"], last["totalBytes"], last["readyCount"], last["failedCount"]) == (size, size, 2, 0)


def test_queue_pauses_and_cancels(page: Page, site: Site, small: Path, three_parts: Path) -> None:
    """A paused queue starts nothing, a resumed one continues, and a cancelled one leaves nothing."""
    page.set_input_files("#files", [small, three_parts])
    ended = page.evaluate(
        """async () => {
          const queue = client.createQueue({ ...common(), concurrency: 1 });
          const phases = () => queue.items.map(({ progress }) => progress.phase);
          queue.pause();
          queue.add(document.getElementById("files").files);
          await new Promise((resolve) => setTimeout(resolve, 300));
          const paused = phases();
          queue.items[0].resume();
          const single = phases();
          await queue.items[0].done;
          queue.resume();
          await new Promise((resolve) => queue.on("phase", (phase) => phase === "sending" && resolve()));
          queue.cancel();
          await queue.done;
          return [paused, single, phases(), queue.total.totalBytes];
        }"""
    )
    assert ended[0] == ["paused", "paused"]
    assert ended[1][1] == "paused"
    assert ended[2:] == [["ready", "cancelled"], small.stat().st_size]
    assert page.evaluate("unfinished()") == []


@pytest.mark.every_engine
def test_late_response_of_the_store(page: Page, site: Site, small: Path) -> None:
    """A PUT whose bytes have all left is not cut while a proxy scans them: it is sent once."""
    page.clock.install()
    late = site.proxy.next(Fault(is_put, answer_held=threading.Event()))
    begin(page, small)
    page.wait_for_function(f"window.run.progress.loadedBytes === {small.stat().st_size}")
    page.clock.fast_forward(110_000)
    assert page.evaluate("window.run.progress.phase") == "sending"
    assert late.answer_held
    late.answer_held.set()
    page.clock.resume()
    confirmed(page, site, small)
    assert len([one for one in site.proxy.exchanges if is_put(one)]) == 1
