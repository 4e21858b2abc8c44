"""The real packages of Uppy 4, 5 and 6 and of better-upload's client, in a browser, against a broker and a store."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser.conftest import browser
from tests.browser.site import Site, digest_of, running, song
from tests.e2e.processes import Broker, token
from tests.faults.proxy import Fault, RequestCycle
from tests.npm import NODE, install
from tests.patience import PATIENCE

from .pages import HERE, Client, bundle, serving

__all__ = ["browser"]

pytestmark = pytest.mark.uppy

STATIC = HERE.parents[1] / "broker" / "web" / "static"
MIB = 2**20
STOCK = [("uppy4", "stock"), ("uppy5", "stock"), ("uppy6", "session"), ("uppy6", "sign")]
HELPER = [("uppy4", "helper"), ("uppy5", "helper"), ("uppy6", "helper")]
UPPY = [*STOCK, *HELPER]
EACH = [("uppy4", "stock"), ("uppy5", "helper"), ("uppy6", "session"), ("uppy6", "helper")]
"""Each version once with its stock package or the module, and Uppy 6 with both."""
BETTER = [("better", "")]


def in_every_engine(*pairs: tuple[str, str]) -> list[Any]:
    """Return the parameters of a test, of which those of ``EACH`` and ``BETTER`` run in every engine."""
    chosen = [*EACH, *BETTER]
    return [pytest.param(*one, marks=[pytest.mark.every_engine] if one in chosen else []) for one in pairs]


SNIPPETS = {
    "module4": ("test: uppy module", "v4"),
    "module5": ("test: uppy module", "v5"),
    "module6": ("test: uppy module", "v6"),
    "stock4": ("test: uppy stock", "v4"),
    "stock5": ("test: uppy stock", "v5"),
    "sign6": ("test: uppy sign", "v6"),
    "session6": ("test: uppy session", "v6"),
    "route": ("test: better-upload", "."),
}
"""The pages that are snippets of docs/uppy.md: the note above the snippet, and the folder of its packages."""


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the bundled pages."""
    folder = tmp_path_factory.mktemp("pages")
    bundle(folder, SNIPPETS)
    with serving(folder) as origin:
        yield origin


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, origin: str) -> Iterator[Site]:
    """Run a broker, a proxy and a store for all tests."""
    settings = {"BROKER_CORS_ORIGINS": origin, "UPLOAD_ROUTES": "tracks"}
    with running(tmp_path_factory.mktemp("site"), **settings) as site:
        site.allow(origin)
        yield site


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a song of 3 MB."""
    return song(tmp_path_factory.mktemp("songs") / "small.mp3", 3_000_000)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a song of 40 MB."""
    return song(tmp_path_factory.mktemp("songs") / "large.mp3", 40_000_000)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Open a new browser profile."""
    with browser.new_context() as context:
        context.set_default_timeout(60_000)
        yield context


@pytest.fixture
def start(context: BrowserContext, site: Site, origin: str) -> Iterator[Callable[[str, str], Client]]:
    """Return a function that opens a page with a client in a mode."""
    site.proxy.pause = 0
    yield lambda name, mode: Client(context.new_page(), site, origin, name, mode)
    site.proxy.pause = 0


def hold_part(site: Site, part: int) -> Fault:
    """Hold the next request with this part in the proxy."""
    return site.proxy.next(Fault(lambda one: one.part == part, held=threading.Event()))


def pass_on(fault: Fault) -> None:
    """Forward what a fault holds."""
    for held in (fault.held, fault.answer_held):
        if held:
            held.set()


def reached(fault: Fault) -> None:
    """Wait for a fault to happen."""
    assert fault.happened.wait(60)


def until(page: Page, holds: Callable[[], object]) -> None:
    """Wait until a condition holds, while the events of the page are processed."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


@pytest.mark.parametrize("version", ["v4", "v5", "v6"])
def test_types_fit_the_version(tmp_path: Path, version: str) -> None:
    """A strict product compiles with the module's types and those of this version of Uppy."""
    install(HERE)
    copies = [Path(shutil.copy(path, HERE / version)) for path in (STATIC / "broker-uppy.d.ts", HERE / "types.ts")]
    strict = ("--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--lib", "es2024,dom,dom.iterable")
    words = ["node_modules/typescript/bin/tsc", *strict, "--module", "esnext", "--moduleResolution", "bundler"]
    try:
        done = subprocess.run(
            [str(NODE), *words, f"{version}/types.ts"],
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
    finally:
        for copy in copies:
            copy.unlink()
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("name", "mode"), in_every_engine(*UPPY, *BETTER))
def test_files_end_confirmed(
    start: Callable[[str, str], Client], small: Path, large: Path, name: str, mode: str
) -> None:
    """A file of 3 MB and one of 40 MB end with a confirmed key."""
    for path in (small, large):
        client = start(name, mode)
        client.begin(path)
        body = client.confirmed(path)
        assert client.creates() == 1
        if mode in ("stock", "helper"):
            assert (body["status"], body["receipt"].count(".")) == ("ready", 2)
        client.page.close()


@pytest.mark.parametrize(("name", "mode"), HELPER)
def test_checksum_is_pinned(start: Callable[[str, str], Client], small: Path, name: str, mode: str) -> None:
    """With the option a file is sent in one PUT with its SHA-256, and its receipt is in the result."""
    client = start(name, mode)
    client.begin(small, options={"checksum": True})
    body = client.confirmed(small)
    assert body["sha256"]
    assert body["receipt"]
    assert client.creates() == 0


@pytest.mark.parametrize(("name", "mode"), HELPER)
def test_parts_may_have_another_size(start: Callable[[str, str], Client], large: Path, name: str, mode: str) -> None:
    """An application may replace the module's ``getChunkSize``: the size of the parts is signed as Uppy makes them."""
    client = start(name, mode)
    client.begin()
    client.page.evaluate(
        "uppy.iteratePlugins(({ opts }) => { if (opts.signRequest) opts.getChunkSize = () => 6 * 2 ** 20; })"
    )
    client.choose(large)
    client.confirmed(large)
    assert len(client.parts()) == 7


NAMES = ["a/b/c.mp3", "\U0001f3b5 e.mp3", "UPPER.MP3", "曲 ÿ.mp3", "q?a=b&c#d%20.mp3", "'\"<>;.mp3", "back\\slash.mp3"]


@pytest.mark.parametrize(("name", "mode"), EACH)
def test_names_and_metadata_of_any_kind(start: Callable[[str, str], Client], small: Path, name: str, mode: str) -> None:
    """Files with unusual names and metadata, and without a type, end with a confirmed key."""
    client = start(name, mode)
    client.begin()
    client.page.set_input_files("#files", small)
    outcome = client.page.evaluate(
        """async (names) => {
          const song = document.getElementById("files").files[0];
          for (const name of names) {
            const id = uppy.addFile({ name, type: "", data: new Blob([song, name]) });
            uppy.setFileMeta(id, { "a[b]": "x", "": 1, "ключ": { nested: [true, null] } });
          }
          const { successful, failed } = await uppy.upload();
          return { keys: successful.map((file) => file.response.body.key), failed: failed.map((file) => file.error) };
        }""",
        NAMES,
    )
    assert (len(set(outcome["keys"])), outcome["failed"]) == (len(NAMES), [])


@pytest.mark.parametrize(("name", "mode"), HELPER)
def test_cancelled_creation_leaves_nothing(
    start: Callable[[str, str], Client], site: Site, large: Path, name: str, mode: str
) -> None:
    """With the module an upload that is cancelled while it is created is aborted, which Uppy does not do itself."""
    client = start(name, mode)
    before = site.left_behind()[1]
    creation = site.proxy.next(
        Fault(lambda one: one.method == "POST" and "uploads" in one.query, answer_held=threading.Event())
    )
    client.begin(large)
    reached(creation)
    client.page.evaluate("uppy.cancelAll()")
    pass_on(creation)
    until(client.page, lambda: any(is_abort(one) for one in site.proxy.exchanges))
    until(client.page, lambda: site.left_behind()[1] == before)
    assert client.creates() == 1


@pytest.mark.every_engine
@pytest.mark.parametrize(("name", "mode"), EACH)
def test_pause_and_resume(start: Callable[[str, str], Client], site: Site, large: Path, name: str, mode: str) -> None:
    """A paused upload resumes with the missing parts."""
    client = start(name, mode)
    held = hold_part(site, 3)
    client.begin(large)
    reached(held)
    client.page.evaluate("uppy.pauseAll()")
    pass_on(held)
    client.page.wait_for_timeout(300)
    client.page.evaluate("uppy.resumeAll()")
    body = client.outcome()
    assert not body["failed"], body
    assert client.creates() == 1
    assert client.sent("DELETE", "") == 0


@pytest.mark.every_engine
@pytest.mark.parametrize(("name", "mode"), [*EACH, *BETTER])
def test_cut_part_is_sent_again(
    start: Callable[[str, str], Client], site: Site, large: Path, name: str, mode: str
) -> None:
    """A part whose connection ends is sent again, and no other part."""
    client = start(name, mode)
    site.proxy.next(Fault(lambda one: one.part == 2, cut_after=1_000_000))
    client.begin(large)
    client.confirmed(large)
    assert client.creates() == 1


@pytest.mark.parametrize(("name", "mode"), in_every_engine(*UPPY))
def test_failed_sign_call(start: Callable[[str, str], Client], large: Path, name: str, mode: str) -> None:
    """A sign call that fails once loses nothing: Uppy 4, 5 and the module repeat it, Uppy 6 resumes on retry."""
    client = start(name, mode)
    failures: list[str] = []

    def fail_once(route: Route) -> None:
        is_part = route.request.post_data is None or "partNumber" in route.request.post_data
        if route.request.method == "OPTIONS" or failures or not is_part:
            route.continue_()
            return
        failures.append(route.request.url)
        headers = {"Access-Control-Allow-Origin": "*"}
        route.fulfill(status=500, headers=headers, json={"message": "The broker failed."})

    client.page.route("**/s3/presign" if mode in ("sign", "helper") else "**/s3/multipart/*/2?*", fail_once)
    client.begin(large)
    outcome = client.outcome()
    if outcome["failed"]:
        assert (name, mode) in (("uppy6", "session"), ("uppy6", "sign"))
        client.page.evaluate("retry()")
        outcome = client.outcome()
    assert len(failures) == 1
    client.confirmed(large, outcome)
    assert client.creates() == 1


@pytest.mark.parametrize(
    ("name", "mode"), [("uppy4", "stock"), *in_every_engine(("uppy5", "helper")), ("uppy6", "session")]
)
def test_store_restart(start: Callable[[str, str], Client], site: Site, large: Path, name: str, mode: str) -> None:
    """A restart of the store during a part loses no stored part."""
    client = start(name, mode)
    held = hold_part(site, 3)
    client.begin(large)
    reached(held)
    site.store.stop()
    pass_on(held)
    client.page.wait_for_timeout(500)
    site.store.start()
    outcome = client.outcome()
    if outcome["failed"]:
        assert name == "uppy6"
        client.page.evaluate("retry()")
        outcome = client.outcome()
    client.confirmed(large, outcome)
    assert client.creates() == 1
    assert client.sent("DELETE", "") == 0


@pytest.mark.parametrize(("name", "mode"), [("uppy4", "stock"), ("uppy5", "stock"), ("uppy6", "helper")])
def test_store_fails_while_completing(
    start: Callable[[str, str], Client], site: Site, large: Path, name: str, mode: str
) -> None:
    """A store that is down when the upload is completed loses nothing: no deletion, no part again."""
    client = start(name, mode)
    last = site.proxy.next(Fault(lambda one: one.method == "GET" and "uploadId" in one.query, held=threading.Event()))
    client.begin(large)
    reached(last)
    site.store.stop()
    pass_on(last)
    client.page.wait_for_timeout(3000)
    site.store.start()
    client.confirmed(large)
    assert client.creates() == 1
    assert client.sent("DELETE", "") == 0
    assert client.sent("POST", "/complete") <= 2


SLOW_COPIES = """
from broker.service import promotion
promotion.COPY_MAX = promotion.RANGE = 5 * 2**20
promotion.DEADLINE = 0
from broker.cli.entry import main
import sys
sys.argv[0] = "broker"
main()
"""
"""A broker whose confirm of 40 MB needs two requests (202)."""


@pytest.mark.parametrize(("name", "mode"), [*STOCK, ("uppy5", "helper")])
def test_promotion_of_several_confirms(
    start: Callable[[str, str], Client], site: Site, large: Path, tmp_path: Path, name: str, mode: str
) -> None:
    """A file whose confirm responds 202 at first is confirmed by one completion."""
    client = start(name, mode)
    command = [sys.executable, "-c", SLOW_COPIES]
    with Broker(tmp_path, site.environment, command=command, counted=False) as slow:
        client.begin(large, broker=slow)
        outcome = client.outcome()
        assert not outcome["failed"], outcome
        client.confirmed(large, outcome)
        copies = [one for one in site.proxy.exchanges if "x-amz-copy-source-range" in one.headers]
    assert len(copies) == 8


@pytest.mark.every_engine
@pytest.mark.parametrize(
    ("name", "mode", "others"),
    [("uppy4", "stock", 7), ("uppy4", "helper", 4), ("uppy5", "helper", 4), ("uppy6", "sign", 4)],
)
def test_reload_with_golden_retriever(
    start: Callable[[str, str], Client], site: Site, large: Path, name: str, mode: str, others: int
) -> None:
    """After a reload of the page Golden Retriever continues the upload with the missing parts.

    Uppy before 5.0.2 does not emit ``complete`` then; the module does. ``others`` are the parts that can be sent while
    part 5 is held.
    """
    client = start(name, mode)
    lost = site.proxy.next(Fault(lambda one: one.part == 5, cut_after=0, held=threading.Event()))
    client.begin(large, golden=True)
    reached(lost)
    until(client.page, lambda: len(client.parts()) == others)
    client.page.wait_for_timeout(1500)  # Golden Retriever saves twice in a second
    client.page.goto("about:blank")
    pass_on(lost)
    client.begin(golden=True)
    client.page.wait_for_function("uppy.getFiles().length && uppy.getFiles()[0].data?.size")
    client.page.evaluate("uppy.emit('restore-confirmed')")
    outcome = {"successful": [client.page.evaluate("window.succeeded")], "failed": []}
    if (name, mode) != ("uppy4", "stock"):
        outcome = client.page.evaluate("window.ended")
    client.confirmed(large, outcome)
    assert sorted(client.parts()) == [*range(1, max(client.parts()) + 1)]
    assert client.creates() == 1
    assert client.sent("DELETE", "") == 0


@pytest.mark.parametrize(("name", "mode"), UPPY)
def test_refusal_shows_the_text(start: Callable[[str, str], Client], tmp_path: Path, name: str, mode: str) -> None:
    """A file whose bytes are not of its type fails; all but Uppy 6 on its own show the broker's text."""
    path = tmp_path / "bad.mp3"
    path.write_text("this is not a song")
    client = start(name, mode)
    client.begin(path)
    outcome = client.outcome()
    (error,) = outcome["failed"]
    expected = {"session": "Companion request failed", "sign": "content_mismatch"}
    assert expected.get(mode, "The object must be audio/mpeg, but its bytes look like text.") in error
    assert client.page.evaluate("window.events.some(([name]) => name === 'upload-error')")


def test_better_upload_shows_refusals(start: Callable[[str, str], Client], tmp_path: Path) -> None:
    """better-upload's client shows why a file or a route is refused."""
    page = tmp_path / "page.html"
    page.write_text("<script>")
    client = start("better", "")
    client.begin(page)
    assert client.outcome()["failed"][0].startswith("invalid_file_type: files/0/type must be one of")
    client.begin(page, options={"route": "covers"})
    assert client.outcome()["failed"] == [
        "invalid_request: route must be one of the routes of this deployment: see UPLOAD_ROUTES."
    ]


def test_better_upload_sends_several_files(
    start: Callable[[str, str], Client], site: Site, small: Path, large: Path
) -> None:
    """better-upload's client sends several files by one request, in parts, and each ends with its own key."""
    client = start("better", "")
    client.begin(small, large, options={"uploadBatchSize": 2})
    outcome = client.outcome()
    assert outcome["failed"] == []
    served = {each["name"]: site.served(each["body"]["key"]) for each in outcome["successful"]}
    assert served == {path.name: digest_of(path) for path in (small, large)}
    assert client.creates() == 2
    assert client.sent("POST", "/api/upload") == 1


def test_better_upload_cancels(start: Callable[[str, str], Client], site: Site, large: Path) -> None:
    """better-upload's client names the uploads of its files, and an upload that fails for good is deleted."""
    client = start("better", "")
    for _ in range(4):
        site.proxy.next(Fault(lambda one: one.part == 2, cut_after=0))
    client.begin(large)
    outcome = client.outcome()
    assert outcome["failed"] == ["Failed to upload file to S3."]
    assert [*outcome["metadata"]["uploads"][0]] == ["key", "uploadId"]
    until(client.page, lambda: site.left_behind()[1] == [])
    assert any(is_abort(one) for one in site.proxy.exchanges)


def is_abort(exchange: RequestCycle) -> bool:
    """Return whether a request deletes an upload in parts."""
    return exchange.method == "DELETE" and "uploadId" in exchange.query


@pytest.mark.parametrize("name", SNIPPETS)
def test_snippet_uploads(start: Callable[[str, str], Client], site: Site, origin: str, small: Path, name: str) -> None:
    """Each snippet of docs/uppy.md uploads a file, which ends with a confirmed key."""
    client = start(name, "")
    page = client.page
    page.add_init_script(f"window.broker = {site.broker.url!r}; window.token = {token()!r};")
    page.goto(f"{origin}/{name}.html")
    page.wait_for_function("window.isReady")
    page.set_input_files("#files", small)
    outcome = page.evaluate(
        """async () => {
          if (window.upload) return window.upload();
          for (const file of document.getElementById("files").files) {
            window.uppy.addFile({ name: file.name, type: file.type, data: file });
          }
          const { successful, failed } = await window.uppy.upload();
          return { successful: successful.map((file) => file.response), failed: failed.map((file) => file.error) };
        }"""
    )
    client.confirmed(small, outcome)


def test_dashboard_shows_the_upload(start: Callable[[str, str], Client], small: Path) -> None:
    """The Dashboard of Uppy 6 shows the file, and its complete upload."""
    client = start("uppy6", "helper")
    client.begin(small)
    client.confirmed(small)
    expect(client.page.locator("#dashboard")).to_contain_text("Complete")
