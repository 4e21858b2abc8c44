"""The browser client beside its types: a product compiles against them, and the module itself makes sense."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from broker.web.assets import STATIC
from tests.npm import NODE, install

HERE = Path(__file__).parent
LIBRARIES = ("--target", "es2022", "--lib", "es2024,dom,dom.iterable", "--module", "esnext")


@pytest.fixture(scope="module")
def tsc() -> str:
    """The compiler's script."""
    install(HERE)
    return str(HERE / "node_modules" / "typescript" / "bin" / "tsc")


def run(*words: str, folder: Path) -> str:
    """What Node says, when it ends well."""
    done = subprocess.run([str(NODE), *words], cwd=folder, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_product_in_strict_typescript_compiles_against_the_types(tsc: str, tmp_path: Path) -> None:
    for file in (STATIC / "broker-upload.d.ts", HERE / "product.ts"):
        shutil.copy(file, tmp_path)
    strict = ("--strict", "--noUncheckedIndexedAccess", "--moduleResolution", "bundler")
    run(tsc, "--noEmit", *strict, *LIBRARIES, "product.ts", folder=tmp_path)


def test_the_module_uses_every_name_as_it_is(tsc: str, tmp_path: Path) -> None:
    shutil.copy(STATIC / "broker-upload.js", tmp_path)
    checks = ("--allowJs", "--checkJs", "--noEmit", "--noUnusedLocals", "--noUnusedParameters")
    run(tsc, *checks, *LIBRARIES, "broker-upload.js", folder=tmp_path)


def test_it_exports_what_its_types_say_and_can_be_imported_where_there_is_no_page(tmp_path: Path) -> None:
    shutil.copy(STATIC / "broker-upload.js", tmp_path / "module.mjs")
    said = run(
        "-e", "import('./module.mjs').then((it) => console.log(JSON.stringify(Object.keys(it))))", folder=tmp_path
    )
    declared = re.findall(
        r"^export (?:class|const|function) (\w+)", (STATIC / "broker-upload.d.ts").read_text(), re.MULTILINE
    )
    assert sorted(json.loads(said)) == sorted(declared)
