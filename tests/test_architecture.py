"""The layers of ``broker/``: imports point downwards, and each library is used by few packages."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "broker"

LAYERS = (
    "error_codes",
    "error_texts",
    "errors",
    "core",
    "crypto",
    "http_client",
    "settings",
    "auth",
    "store",
    "service",
    "web",
    "server",
    "doctor",
    "cli",
)
SAME_LAYER = {"store": "auth", "metrics": "server", "setup": "doctor"}
"""Packages in the layer of another package. Neither imports the other."""

USERS = {
    "starlette": ("web", "metrics", "server/metrics_listener", "cli/application"),
    "uvicorn": ("server",),
    "httptools": ("server/protocol", "server/request_head", "http_client/message"),
    "prometheus_client": ("metrics/exposition",),
    "multipart": ("web/form",),
    "aiohappyeyeballs": ("http_client/addresses", "http_client/origin"),
    "aiohttp": (),
    "boto3": ("store/admin", "cli"),
    "botocore": ("store/admin", "cli"),
    "dotenv": ("cli",),
    "limits": ("service/redis_rate_limiter",),
    "redis": ("service/redis_rate_limiter",),
}
"""The packages and modules that may import a library."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Return the path of a module below the package, without its suffix."""
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of every module or member that ``path`` imports, wherever in the file."""
    package = ("broker", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            yield from (f"{base}{node.module or ''}.{alias.name}".replace("..", ".") for alias in node.names)


def layer(package: str) -> int:
    """Return the index of a package's layer; 0 is the lowest."""
    return LAYERS.index(SAME_LAYER.get(package, package))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path: Path) -> None:
    """A package imports only packages below it."""
    package = name_of(path).split("/")[0]
    if package in ("__init__", "__main__"):
        return
    for imported in imports(path):
        if imported.startswith("broker."):
            other = imported.split(".")[1]
            assert package == other or layer(other) < layer(package), f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_libraries_stay_in_their_packages(path: Path) -> None:
    """Each library is imported only by the packages that are listed for it."""
    for imported in imports(path):
        for library, users in USERS.items():
            if imported.split(".")[0] == library:
                assert name_of(path).startswith(users), f"{name_of(path)} imports {library}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_environment_is_read_by_settings(path: Path) -> None:
    """Only settings and commands read ``os.environ``."""
    reads = "os.environ" in path.read_text(encoding="utf-8")
    assert not reads or name_of(path).startswith(("settings", "cli"))


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p).startswith("core")], ids=name_of)
def test_core_is_pure(path: Path) -> None:
    """The core imports no clock, environment, socket or file system."""
    forbidden = {"os", "time", "socket", "asyncio", "random", "pathlib", "logging", "threading"}
    assert not {imported.split(".")[0] for imported in imports(path)} & forbidden


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p).startswith("http_client")], ids=name_of)
def test_http_client_is_independent(path: Path) -> None:
    """The HTTP client imports no other package of the broker."""
    assert {i.split(".")[1] for i in imports(path) if i.startswith("broker.")} <= {"http_client"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_pyjwt_is_used_in_one_module(path: Path) -> None:
    """Only ``auth/public_key_signatures`` uses PyJWT to verify tokens."""
    text = path.read_text(encoding="utf-8")
    assert ("jwt.decode" in text or "PyJWS" in text) is (name_of(path) == "auth/public_key_signatures")


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("broker.web.app", {"aiohttp", "boto3", "botocore", "jwt", "limits", "prometheus_client", "redis"}),
        ("broker.cli.main", {"aiohttp", "boto3", "botocore"}),
    ],
)
def test_serving_loads_no_boto3(module: str, absent: set[str]) -> None:
    """A serving process loads neither aiohttp nor boto3, and the application neither Prometheus' client nor PyJWT.

    PyJWT is for public keys, and costs a tenth of the start.
    """
    program = f"import sys, {module}; print({absent!r} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == "set()"
