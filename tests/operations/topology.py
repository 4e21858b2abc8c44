"""The processes of ``deploy/compose.yaml`` on this machine, without Docker: ``python -m tests.operations.topology``.

Commands, environments, configuration files, secrets, health checks and the order of the start are those of that file.
In place of a network for each container, each service has a loopback address; in place of a file system, a folder.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import yaml

from tests.e2e.processes import inherited
from tests.patience import PATIENCE
from tests.python_environments import install

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final = ROOT / "deploy" / "compose.yaml"
PROGRAMS: Final = ("prometheus", "redis-server", "wget")
"""Debian's packages, each with a program of its name; redis-tools comes with redis-server."""

TOOLS: Final = Path(__file__).parent / "compose"
"""The folder of a lock file with Caddy, Docker Compose and hadolint. Debian's Caddy is older than that of the file."""
IMAGE_FILES: Final = {"/opt/broker/healthcheck.py": ROOT / "deploy" / "image" / "healthcheck.py"}
"""Files of the broker's image that commands name."""

NETWORK: Final = "127.80.0"
"""The first numbers of the addresses. All are loopback (RFC 5735, section 3)."""

Document = dict[str, Any]


def search_path() -> str:
    """Return the folders of the programs."""
    return os.pathsep.join((str(install(TOOLS)), str(Path(sys.executable).parent), os.environ["PATH"]))


class Service:
    """A service of the file, and its process."""

    process: "subprocess.Popen[bytes]"

    def __init__(self, name: str, document: Document, topology: "Topology") -> None:
        self.name = name
        self.address = topology.addresses[name]
        self.folder = topology.folder / name
        self.folder.mkdir()
        self.log = topology.folder / f"{name}.log"
        self._document = document
        self._topology = topology
        self._paths = {**IMAGE_FILES, **{target: self.folder / target.lstrip("/") for target in self._folders()}}
        for target in self._folders():
            self._paths[target].mkdir(parents=True, exist_ok=True)
        self._copy_files()

    def start(self) -> None:
        """Start the process, and wait until it is as the services behind it require."""
        self.launch()
        if "healthcheck" in self._document:
            self._wait_until_healthy()
        elif self.name in self._topology.one_shots:
            assert self.process.wait(PATIENCE) == 0, self.written()

    def launch(self) -> None:
        """Start the process."""
        words = [*self._document.get("entrypoint", []), *self._document["command"]]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command(words),
                cwd=self.folder / self._document.get("working_dir", "/").lstrip("/"),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> int:
        """Send SIGTERM, and SIGKILL after the grace period; return the exit status."""
        self.process.terminate()
        try:
            return self.process.wait(25 if "stop_grace_period" in self._document else 2)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait()

    def written(self) -> str:
        """Return what the process wrote."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def local(self, text: str) -> str:
        """Return a text with the addresses and the folders of this machine."""
        text = re.sub(r"(?<![\d.])(0\.0\.0\.0|127\.0\.0\.1)(?![\d.])", self.address, text)
        for name, address in self._topology.addresses.items():
            text = re.sub(rf"(?<![\w./-]){re.escape(name)}(?=:\d|$)|(?<=//){re.escape(name)}(?=:\d)", address, text)
        targets = "|".join(map(re.escape, self._paths))
        return re.sub(rf"(?<![\w/:.-])({targets})(?=[/:\s]|$)", lambda found: str(self._paths[found[1]]), text)

    def _folders(self) -> list[str]:
        return [target.split(":")[0] for target in self._document.get("tmpfs", [])]

    def _copy_files(self) -> None:
        """Copy configuration files with this machine's addresses, and secrets."""
        volumes = [volume.split(":")[:2] for volume in self._document.get("volumes", [])]
        secrets = [
            [str(self._topology.secrets / name), f"/run/secrets/{name}"] for name in self._document.get("secrets", [])
        ]
        self._paths |= {target: self.folder / target.lstrip("/") for _, target in (*volumes, *secrets)}
        for source, target in (*volumes, *secrets):
            self._copy(COMPOSE.parent / source, self._paths[target])

    def _copy(self, path: Path, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, place)
        elif path.exists():
            place.write_text("\n".join(map(self.local, path.read_text("utf-8").split("\n"))), encoding="utf-8")
        else:  # Docker makes an empty folder, too
            place.mkdir()

    def _command(self, words: list[str]) -> list[str]:
        program = shutil.which(words[0], path=search_path())
        assert program, f"{words[0]} is missing: apt-get install {' '.join(PROGRAMS)}"
        return [program, *map(self.local, words[1:])]

    def _environment(self) -> dict[str, str]:
        given: Mapping[str, str] = self._document.get("environment", {})
        return {**inherited(), "PATH": search_path(), **{name: self.local(str(value)) for name, value in given.items()}}

    def _wait_until_healthy(self) -> None:
        _, *words = self._document["healthcheck"]["test"]
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(
            self._command(words), env=self._environment(), capture_output=True, check=False
        ).returncode:
            assert self.process.poll() is None, self.written()
            assert time.monotonic() < deadline, self.written()
            time.sleep(0.1)  # between two checks


class Topology:
    """All services of the file. ``with`` starts them, each behind those that it depends on, and stops them."""

    def __init__(self, folder: Path) -> None:
        document = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
        self.folder = folder
        self.secrets = self._make_secrets()
        services: dict[str, Document] = document["services"]
        self.addresses = {name: f"{NETWORK}.{number}" for number, name in enumerate(services, 1)}
        for name, service in services.items():
            networks = service.get("networks", [])
            aliases = [] if isinstance(networks, list) else [*networks.values()]
            self.addresses |= {alias: self.addresses[name] for found in aliases for alias in found.get("aliases", [])}
        self._needs = {name: service.get("depends_on", {}) for name, service in services.items()}
        conditions = [pair for needs in self._needs.values() for pair in needs.items()]
        self.one_shots = {name for name, need in conditions if need["condition"] == "service_completed_successfully"}
        self.services = {name: Service(name, service, self) for name, service in services.items()}
        self._started: list[Service] = []

    def __enter__(self) -> Self:
        try:
            for name in self.services:
                self._start(name)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> dict[str, int]:
        """Stop the services in the reverse order; return their exit statuses."""
        statuses = {service.name: service.stop() for service in reversed(self._started)}
        self._started = []
        for left in Path("/tmp").glob("seaweedfs-*-grpc-1????.sock"):  # fixed in SeaweedFS
            left.unlink()
        return statuses

    def url(self, name: str, port: int) -> str:
        """Return the URL of a port of a service."""
        return f"http://{self.addresses[name]}:{port}"

    def _start(self, name: str) -> None:
        service = self.services[name]
        if service in self._started:
            return
        for needed in self._needs[name]:
            self._start(needed)
        self._started.append(service)
        service.start()

    def _make_secrets(self) -> Path:
        """Make secrets of its own by the script of the repository."""
        shutil.copy(COMPOSE.parent / "compose" / "secrets.sh", self.folder)
        subprocess.run([self.folder / "secrets.sh"], check=True)
        return self.folder / "secrets"


@contextmanager
def running() -> Iterator[Topology]:
    """Start the topology in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, Topology(Path(folder)) as topology:
        yield topology


if __name__ == "__main__":
    STOPS = {signal.SIGINT, signal.SIGTERM}
    with running() as started:
        print(
            f"The brokers: {started.url('caddy', 8080)}, Prometheus: {started.url('prometheus', 9090)}. Ctrl-C stops."
        )
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # only now: the services have inherited the mask
        signal.sigwait(STOPS)
