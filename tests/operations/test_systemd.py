"""The units of ``deploy/systemd``: checked by systemd's programs, and their command run as the service runs it."""

import contextlib
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from broker.cli.main import _parser
from broker.server.exits import Exit
from broker.server.supervisor import STOP_WITHIN
from broker.settings.variables import VARIABLES
from tests.e2e.processes import JWT_SECRET, Broker
from tests.e2e.steps import digest, mp3, ready, served
from tests.e2e.stores import settings_of, store_with_bucket
from tests.patience import PATIENCE

pytestmark = pytest.mark.operations

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICE: Final = FOLDER / "r2-upload-broker.service"
SOCKET: Final = FOLDER / "r2-upload-broker.socket"
PROGRAM: Final = "/opt/r2-upload-broker/bin/broker"
EXPOSURE_MAX: Final = 2.0
"""The largest accepted exposure, of 10, by ``systemd-analyze security``."""

UNPRIVILEGED: Final = ("setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
"""A process without capabilities. Root becomes another user too, if that user can reach the interpreter."""


def analyze(*words: str) -> str:
    """Run ``systemd-analyze``; return its output and messages."""
    program = shutil.which("systemd-analyze")
    assert program, "apt-get install systemd"
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def values(unit: Path, name: str) -> list[str]:
    """Return the values of a directive, in the order of the unit."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)


def value(name: str) -> str:
    """Return the only value of a directive of the service."""
    (found,) = values(SERVICE, name)
    return found


def test_exposure_is_small() -> None:
    """The service is hardened: its exposure is at most 2.0."""
    said = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX * 10:.0f}", "--no-pager", str(SERVICE))
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert float(exposure) <= EXPOSURE_MAX


def verified(folder: Path, old: str = "", new: str = "") -> str:
    """Return what systemd reports of copies of the units, as if the broker were installed."""
    program = shutil.which("true")
    assert program
    for unit in (SERVICE, SOCKET):
        text = unit.read_text(encoding="utf-8").replace(PROGRAM, program)
        (folder / unit.name).write_text(text.replace(old, new) if old else text)
    return analyze("verify", str(folder / SERVICE.name), str(folder / SOCKET.name))


def test_units_are_valid(tmp_path: Path) -> None:
    """Systemd has no complaint about the units, where the broker is installed."""
    assert verified(tmp_path) == ""


@pytest.mark.parametrize("name", ["Backlog", "ProtectClock"])
def test_misspelt_directive_is_reported(tmp_path: Path, name: str) -> None:
    """The check reports an unknown directive, so that its silence means something."""
    assert name.upper() in verified(tmp_path, name, name.upper())


def test_unit_fits_the_command() -> None:
    """The command is one of the broker; secrets are credentials; the stop has the time that the broker needs."""
    program, *words = shlex.split(value("ExecStart"))
    options = _parser().parse_args(words)
    assert (program, options.command, options.fd) == (PROGRAM, "serve", 3)
    assert options.workers >= 2, "a reload renews several workers only"
    credentials = dict(found.split(":") for found in values(SERVICE, "LoadCredential"))
    files = dict(found.split("=") for found in values(SERVICE, "Environment"))
    assert {path.removeprefix("%d/") for path in files.values()} == set(credentials)
    assert {VARIABLES[name.removesuffix("_FILE")].kind for name in files} == {"secret"}
    assert float(value("TimeoutStopSec")) >= STOP_WITHIN + 5
    assert int(value("RestartPreventExitStatus")) == Exit.WRONG_CALL
    assert values(SOCKET, "ListenStream") == ["127.0.0.1:8000"]


class ServiceBroker(Broker):
    """The command of the unit, with the socket as descriptor 3 and without privileges."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        super().__init__(folder, environment, counted=False)
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.inherits = (self.listener.fileno(),)
        reachable = all(path.stat().st_mode & 1 for path in Path(sys.executable).resolve().parents)
        user = ("--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 and reachable else ()
        words = [*UNPRIVILEGED, *user, sys.executable, "-m", "broker"]
        code = (
            f"import os, sys; os.dup2({self.listener.fileno()}, 3); os.execvp({words[0]!r}, {words!r} + sys.argv[1:])"
        )
        self._command = (sys.executable, "-c", code)

    def place(self) -> list[str]:
        """Return the options of the unit, without ``serve``."""
        return shlex.split(value("ExecStart"))[2:]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Return the socket at which a service manager waits for messages."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        (tmp_path / "notify").chmod(0o777)
        receiver.settimeout(PATIENCE)
        yield receiver


def test_command_does_the_main_job(tmp_path: Path, manager: socket.socket) -> None:
    """Without privileges, with the socket as descriptor 3 and secrets as credentials, an upload becomes ready."""
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    with store_with_bucket(tmp_path / "store", "AKSYSTEMD", "a secret access key of the tests", "songs") as store:
        settings = {**settings_of(store, "songs"), "JWT_SECRET": JWT_SECRET, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        for variable in values(SERVICE, "Environment"):
            name, path = variable.split("=")
            file = credentials / path.removeprefix("%d/")
            file.write_text(settings.pop(name.removesuffix("_FILE")))
            settings[name] = str(file)
        with opened_to_all(tmp_path), ServiceBroker(tmp_path, settings) as broker:
            assert manager.recv(64) == b"READY=1"
            status = Path(f"/proc/{broker.process.pid}/status").read_text(encoding="ascii")
            assert re.findall(r"^(?:CapEff|CapBnd|NoNewPrivs):\t0*(.*)$", status, re.MULTILINE) == ["", "", "1"]
            with broker.client() as client:
                assert digest(served(client, ready(client, mp3())["key"])) == digest(mp3())
        broker.listener.close()
    assert broker.process.returncode == 0


@contextlib.contextmanager
def opened_to_all(folder: Path) -> Iterator[None]:
    """Let another user read the folders of the test, which pytest keeps private."""
    private = [
        path
        for path in (folder, *folder.parents)
        if path.stat().st_mode & 0o5 != 0o5 and path.owner() == folder.owner()
    ]
    before = {path: path.stat().st_mode for path in private}
    for path in private:
        path.chmod(0o755)
    try:
        yield
    finally:
        for path, mode in before.items():
            path.chmod(mode)
