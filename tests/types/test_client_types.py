"""The types of the browser client: a product compiles against them, and they match the module."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from broker.web.assets import STATIC
from tests.npm import NODE, install

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "client" / "src"
LIBRARIES = ("--target", "es2022", "--lib", "es2024,dom,dom.iterable", "--module", "esnext")


@pytest.fixture(scope="module")
def tsc() -> str:
    """Return the path of the TypeScript compiler."""
    install(HERE)
    return str(HERE / "node_modules" / "typescript" / "bin" / "tsc")


def run(*words: str, folder: Path) -> str:
    """Run Node and return its standard output; an exit status other than 0 fails the test."""
    done = subprocess.run([str(NODE), *words], cwd=folder, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_strict_typescript(tsc: str, tmp_path: Path) -> None:
    """A product in strict TypeScript compiles against the types."""
    for file in (STATIC / "broker-upload.d.ts", HERE / "product.ts"):
        shutil.copy(file, tmp_path)
    strict = ("--strict", "--noUncheckedIndexedAccess", "--moduleResolution", "bundler")
    run(tsc, "--noEmit", *strict, *LIBRARIES, "product.ts", folder=tmp_path)


def test_module_is_type_checked(tsc: str, tmp_path: Path) -> None:
    """The TypeScript compiler finds no error, no unused name, and no library function that Safari 15 lacks."""
    shutil.copytree(SOURCES, tmp_path / "src")
    checks = ("--allowJs", "--checkJs", "--noEmit", "--noUnusedLocals", "--noUnusedParameters")
    safari = ("--target", "es2022", "--lib", "es2021,dom,dom.iterable", "--module", "esnext")
    run(tsc, *checks, *safari, "src/index.js", "src/uppy/index.js", folder=tmp_path)


@pytest.mark.parametrize("name", ["broker-upload", "broker-uppy"])
def test_exports(tmp_path: Path, name: str) -> None:
    """A module can be imported outside a browser, and exports the names that its types declare."""
    shutil.copy(STATIC / f"{name}.js", tmp_path / "module.mjs")
    printed = run(
        "-e", "import('./module.mjs').then((it) => console.log(JSON.stringify(Object.keys(it))))", folder=tmp_path
    )
    declared = re.findall(
        r"^export (?:class|const|function) (\w+)", (STATIC / f"{name}.d.ts").read_text(), re.MULTILINE
    )
    assert sorted(json.loads(printed)) == sorted(declared)
