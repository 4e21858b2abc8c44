"""The house's order: an import points only downwards, and each library is known in its own room alone."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "broker"

FLOORS = ("errors", "core", "crypto", "http_client", "settings", "auth", "store", "service", "web", "server", "cli")
BESIDE = {"store": "auth", "metrics": "server"}
"""Packages on the floor of another, neither of which imports the other."""

ROOMS = {
    "starlette": ("web", "metrics", "server/metrics_listener", "cli/application"),
    "uvicorn": ("server",),
    "httptools": ("server/protocol", "server/request_head", "http_client/message"),
    "prometheus_client": ("metrics/exposition",),
    "aiohappyeyeballs": ("http_client/addresses", "http_client/origin"),
    "aiohttp": (),
    "boto3": ("store/admin", "cli"),
    "botocore": ("store/admin", "cli"),
    "dotenv": ("cli",),
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """The module's path below the package, without its suffix."""
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def imports(path: Path) -> Iterator[str]:
    """Every module that ``path`` imports, by its full name, wherever in the file."""
    here = ("broker", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level + 1]) + "." if node.level else ""
            yield from (f"{base}{node.module or ''}.{alias.name}".replace("..", ".") for alias in node.names)


def level(package: str) -> int:
    """The height of a package's floor."""
    return FLOORS.index(BESIDE.get(package, package))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_an_import_points_only_downwards(path: Path) -> None:
    floor = name_of(path).split("/")[0]
    if floor in ("__init__", "__main__"):
        return
    for imported in imports(path):
        if imported.startswith("broker."):
            other = imported.split(".")[1]
            assert floor == other or level(other) < level(floor), f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_library_is_imported_only_in_its_room(path: Path) -> None:
    for imported in imports(path):
        for library, rooms in ROOMS.items():
            if imported.split(".")[0] == library:
                assert name_of(path).startswith(rooms), f"{name_of(path)} imports {library}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_environment_is_read_only_by_settings_and_commands(path: Path) -> None:
    reads = "os.environ" in path.read_text(encoding="utf-8")
    assert not reads or name_of(path).startswith(("settings", "cli"))


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p).startswith("core")], ids=name_of)
def test_the_core_knows_no_clock_environment_or_socket(path: Path) -> None:
    forbidden = {"os", "time", "socket", "asyncio", "random", "pathlib", "logging", "threading"}
    assert not {imported.split(".")[0] for imported in imports(path)} & forbidden


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p).startswith("http_client")], ids=name_of)
def test_the_client_knows_nothing_of_the_broker(path: Path) -> None:
    assert {i.split(".")[1] for i in imports(path) if i.startswith("broker.")} <= {"http_client"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_pyjwt_is_used_for_signatures_alone_and_in_one_place(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ("jwt.decode" in text or "PyJWS" in text) is (name_of(path) == "auth/signatures")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_file_is_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("module", ["broker.web.app", "broker.cli.main"])
def test_a_serving_process_loads_neither_aiohttp_nor_boto3(module: str) -> None:
    program = f"import sys, {module}; print({{'aiohttp', 'boto3', 'botocore'}} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == "set()"
