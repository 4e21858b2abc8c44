"""The served module in Node.js, with a real broker and store: fetch without progress, no storage."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.web.assets import STATIC
from tests.browser.site import Site, digest_of, running, song
from tests.e2e.processes import token
from tests.npm import NODE
from tests.patience import PATIENCE

MIB = 2**20

SCRIPT = """
import { openAsBlob } from "node:fs";
import { createQueue, getLimits, upload } from "./broker-upload.mjs";
const { broker, token, paths } = JSON.parse(process.env.GIVEN);
const options = { broker, getToken: () => token };
const tracks = [];
for (const path of paths) {
  const file = await openAsBlob(path, { type: "audio/mpeg" });
  const checksum = path === paths[0];
  const run = upload(file, { ...options, filename: "song.mp3", checksum });
  run.on("part", ({ partNumber }) => partNumber === 1 && (run.pause(), setTimeout(run.resume, 300)));
  tracks.push(await run.done);
}
const queue = createQueue(options);
queue.add([await openAsBlob(paths[0])], { filename: "again.mp3", contentType: "audio/mpeg" });
await queue.done;
tracks.push(queue.items[0].track);
const { maxBytes } = await getLimits(options);
console.log(JSON.stringify({ tracks, maxBytes }));
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a broker and a store."""
    with running(tmp_path_factory.mktemp("site")) as site:
        yield site


def run(folder: Path, given: dict[str, Any]) -> Any:
    """Run the script; return the JSON document that it prints."""
    shutil.copy(STATIC / "broker-upload.js", folder / "broker-upload.mjs")
    (folder / "script.mjs").write_text(SCRIPT)
    done = subprocess.run(
        [str(NODE), "script.mjs"],
        cwd=folder,
        env={"GIVEN": json.dumps(given)},
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_files_arrive_unchanged(site: Site, tmp_path: Path) -> None:
    """Files arrive unchanged from Node.js: by one PUT with a checksum, in parts with a pause, and by a queue."""
    paths = [song(tmp_path / "small.mp3", 2 * MIB), song(tmp_path / "large.mp3", 20 * MIB)]
    given = {"broker": site.broker.url, "token": token(), "paths": [str(path) for path in paths]}
    small, large, again = run(tmp_path, given)["tracks"]
    assert [site.served(track["key"]) for track in (small, large, again)] == [digest_of(paths[n]) for n in (0, 1, 0)]
    assert (small["sha256"] is not None, again["filename"]) == (True, "again.mp3")
    stored = site.proxy.stored_parts()
    assert len(stored) == len(set(stored)) == 3
