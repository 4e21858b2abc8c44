"""The Kotlin snippet of docs/clients.md, compiled. A Jupyter kernel on PyPI contains the compiler."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.markdown import block
from tests.python_environments import install

pytestmark = pytest.mark.examples
HERE = Path(__file__).parent / "kotlin"
COMPILER = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
MINUTES = 300.0
"""Seconds for a compiler on a busy machine."""


def compiled(folder: Path, snippet: str) -> "subprocess.CompletedProcess[str]":
    """Compile the snippet with kotlinx.serialization, and with the declarations of OkHttp and Okio."""
    (jars,) = install(HERE).parent.glob("lib/python*/site-packages/run_kotlin_kernel/jars")
    classes = ":".join(str(jar) for kind in ("kotlin-stdlib", "kotlinx-serialization") for jar in jars.glob(f"{kind}*"))
    java = shutil.which("java")
    assert java, "java is missing: apt-get install default-jdk-headless"
    source = folder / "Upload.kt"
    source.write_text((HERE / "Imports.kt").read_text() + snippet)
    files = [source, HERE / "OkHttp.kt", HERE / "Okio.kt"]
    options = ["-no-stdlib", "-no-reflect", "-nowarn", "-cp", classes, "-d", str(folder / "classes")]
    line = [java, "-cp", f"{jars}/*", COMPILER, *options, *map(str, files)]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=MINUTES, check=False)


def test_kotlin_snippet_compiles(tmp_path: Path) -> None:
    """The snippet compiles, and the compiler reports a member that does not exist."""
    snippet = block("names: kotlin")
    wrong = snippet.replace("upload.partCount", "upload.parts")
    done = compiled(tmp_path, snippet)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "classes" / "UploadKt.class").is_file()
    assert wrong != snippet
    assert "unresolved reference 'parts'" in compiled(tmp_path, wrong).stderr
