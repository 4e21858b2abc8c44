"""Measure the browser client in Chromium: ``python -m bench.browser_client`` (performance.md, F18).

The rows: the time of 300 MB through the client divided by that of one raw ``fetch`` PUT of the same file, in turns;
and the bytes that are sent again after a pause and after a reload, on a connection of 3 MB/s. The time of the client
is that until the store has the whole file: creating and signing count, confirming does not.
"""

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, sync_playwright

from tests.browser import engines
from tests.browser.conftest import Demo, running_demo
from tests.browser.engines import CHROMIUM_ARGUMENTS
from tests.browser.site import Site, running, song
from tests.browser.steps import slow_down

SIZE: Final = 300_000_000
"""Bytes of the file of the comparison."""

ROUNDS: Final = 5
"""Rounds of the comparison, after one that does not count."""

SLOW: Final = 3_000_000
"""Bytes per second of the slow connection."""

SLOW_SIZE: Final = 70_000_000
"""Bytes of the file on it."""

_RAW = """async ([token]) => {
  const file = document.getElementById("files").files[0];
  const declared = { filename: file.name, contentType: "audio/mpeg", size: file.size, multipart: false };
  const response = await fetch("/api/v1/uploads", { method: "POST", body: JSON.stringify(declared),
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" } });
  const { url, headers } = await response.json();
  const startedMs = performance.now();
  const stored = await fetch(url, { method: "PUT", headers, body: file });
  if (!stored.ok) throw new Error(stored.status);
  return performance.now() - startedMs;
}"""

_CLIENT = """async ([token]) => {
  const { upload } = await import("/static/broker-upload.js");
  const file = document.getElementById("files").files[0];
  const startedMs = performance.now();
  const run = upload(file, { getToken: () => token, storage: null });
  const storedMs = await new Promise((resolve, reject) => {
    run.on("phase", (phase) => phase === "confirming" && resolve(performance.now()));
    run.on("error", reject);
  });
  await run.done;
  return storedMs - startedMs;
}"""


def compare(page: Page, demo: Demo, folder: Path) -> tuple[list[float], list[float]]:
    """Return the milliseconds of each round, of the raw PUT and of the client."""
    path = song(folder / "large.mp3", SIZE)
    token = demo.page.partition("#token=")[2]
    page.goto(f"{demo.origin}/healthz")
    page.set_content("<input type=file id=files>")
    page.set_input_files("#files", path)
    rounds = [(page.evaluate(_RAW, [token]), page.evaluate(_CLIENT, [token])) for _ in range(ROUNDS + 1)]
    raw, client = zip(*rounds[1:], strict=True)
    return list(raw), list(client)


def resent(page: Page, site: Site, path: Path, disturbance: str) -> int:
    """Return the bytes that the store received beyond the file, after a pause or a reload on the slow connection."""
    site.proxy.exchanges.clear()
    site.open(page)
    slow_down(page, SLOW)
    page.set_input_files("#files", path)
    page.evaluate("begin()")
    page.wait_for_function(f"run.progress.loadedBytes > {SLOW_SIZE // 3}")
    if disturbance == "pause":
        page.evaluate("run.pause()")
        page.wait_for_timeout(8_000)  # what is in flight has landed
        page.evaluate("run.resume()")
    else:
        site.open(page)
        page.set_input_files("#files", path)
        page.evaluate("begin()")
    ended = page.evaluate("outcome")
    slow_down(page, -1)
    if "track" not in ended:
        raise RuntimeError(ended)
    return sum(one.received for one in site.proxy.exchanges if one.part) - path.stat().st_size


def main() -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        executable = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        with running_demo(folder) as demo:
            raw, client = compare(patient(browser.new_page()), demo, folder)
            demo.interrupt()
        browser.close()
        direct, sent = statistics.median(raw), statistics.median(client)
        print(f"300 MB: raw PUT {direct:.0f} ms, client {sent:.0f} ms, ratio {sent / direct:.2f}")
        print(f"  rounds: raw {[round(ms) for ms in raw]}, client {[round(ms) for ms in client]}")
        path = song(folder / "slow.mp3", SLOW_SIZE)
        with engines.running("chromium", playwright, folder) as slowed, running(folder) as site:
            page = patient(slowed.new_context().new_page())
            for disturbance in ("pause", "reload"):
                print(f"sent again after a {disturbance} at 3 MB/s: {resent(page, site, path, disturbance)} bytes")


def patient(page: Page) -> Page:
    """Let the page wait for ten minutes."""
    page.set_default_timeout(600_000)
    return page


if __name__ == "__main__":
    main()
