"""Generated clients of eight generators upload to a real broker and store; those of four languages are read."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Broker, token
from tests.e2e.stores import settings_of, store_with_bucket
from tests.media import SAMPLES

from . import programs

pytestmark = [pytest.mark.sdks, pytest.mark.timeout(600)]

RANGES = """
import runpy
from broker.service import promotion
promotion.COPY_MAX = promotion.RANGE = 5 * 2**20
promotion.CONCURRENT_RANGES_PER_OBJECT = 1
promotion.DEADLINE = 0.001
runpy.run_module("broker", run_name="__main__", alter_sys=True)
"""
"""A broker that promotes 20 MiB as others promote 200 GiB: in ranges, and in several confirms."""

LIMIT = {"UPLOAD_MAX_BYTES": "5GB", "BROKER_RATE_LIMIT": "0"}
WITH_RECEIPT = {"java", "go", "python", "openapi-fetch"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Start a store and a broker that promotes in small ranges."""
    folder = tmp_path_factory.mktemp("broker")
    with store_with_bucket(folder / "store", "AKSDKS", "a secret access key of the tests", "songs") as store:
        settings = {**settings_of(store, "songs"), **LIMIT}
        with Broker(folder, settings, command=(sys.executable, "-c", RANGES), counted=False) as started:
            yield started


@pytest.fixture(scope="module")
def generated(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate all clients from the description that the broker serves; return their folder."""
    folder = tmp_path_factory.mktemp("generated")
    description = folder / "openapi.yaml"
    with broker.client() as client:
        description.write_bytes(client.get(f"{broker.url}/openapi.yaml").content)
    programs.generate(description, folder)
    programs.generate_others(description, folder)
    programs.compile_typescript(folder)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Write an MP3, and a WAV of three parts."""
    folder = tmp_path_factory.mktemp("files")
    song, stems = SAMPLES["audio/mpeg"](), SAMPLES["audio/wav"]() + bytes(20 * 2**20)
    (folder / "song.mp3").write_bytes(song)
    (folder / "stems.wav").write_bytes(stems)
    return [folder / "song.mp3", folder / "stems.wav"]


@pytest.mark.parametrize("name", programs.CLIENTS)
def test_client_uploads(broker: Broker, generated: Path, files: list[Path], name: str) -> None:
    """A generated client uploads in one PUT and in parts, and reads a 202, a problem and a batch with one failure."""
    command = programs.CLIENTS[name](generated)
    variables = {"PATH": os.environ["PATH"], "BROKER": broker.url, "TOKEN": token()}
    written = programs.run(*command, *files, folder=generated, variables=variables).splitlines()
    shown = dict(line.split(" ", 1) for line in written)
    song, stems = shown.pop("put"), shown.pop("parts").removesuffix(" true")
    receipt = {"receipt": f"user-1 {song}", "forged": "refused"} if name in WITH_RECEIPT else {}
    assert {line: text.lower() for line, text in shown.items()} == {
        "problem": "422 unsupported_type /contenttype",
        "batch": "ready failed not_uploaded",
        "huge": "5000000000 597",
        **receipt,
    }
    with broker.client() as client:
        sizes = [client.get(f"/objects/{key}").json()["size"] for key in (song, stems)]
    assert sizes == [path.stat().st_size for path in files]


MODELS = {
    "swift6": ("Sources/**/Models/*.swift", r"public var \w+:|case \w+", r"public var {}: Int64\b"),
    "csharp": ("src/**/Model/*.cs", r"public \S.* \w+ {{ get;", r"public long\?? {} {{"),
    "rust": ("src/models/*.rs", r"pub \w+:|^    \w+,", r"pub {}: (Option<)?i64\b"),
    "dart": ("lib/model/*.dart", r"^  \S.* \w+;", r"  int\?? {};"),
}
"""The models of the languages that are not compiled here: where, what a member looks like, and one with 64 bits."""

BYTES = {"new_upload": "size", "create_result": "part_size", "confirm_result": "promoted_bytes", "signed_part": "size"}
"""Numbers of bytes."""


def words(name: str) -> str:
    """Return a name as letters alone, so that the conventions of languages do not matter."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@pytest.mark.parametrize("name", MODELS)
def test_no_model_is_empty(generated: Path, name: str) -> None:
    """No model of a language that is not compiled here is empty, and every number of bytes has 64 bits."""
    where, member, of_64_bits = MODELS[name]
    models = {words(path.stem): path.read_text() for path in (generated / name).glob(where)}
    for model in ("NewUpload", "CreateResult", "ConfirmResult", "UploadProgress", "Problem", "StorageStatus"):
        assert words(model) in models
    member = member.replace("{{", "{")
    empty = [each for each, text in models.items() if each != "mod" and not re.search(member, text, re.MULTILINE)]
    assert [each for each in empty if "abstract" not in each] == []
    for model, field in BYTES.items():
        text = models[words(model)]
        any_case = f"(?i:{'_?'.join(field.split('_'))})"
        assert re.search(of_64_bits.format(any_case).replace("{{", "{"), text), (model, field)
