"""A container of the image, run by runc with a read-only root, no capabilities, and a user that the image has not."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.e2e.processes import responds
from tests.patience import PATIENCE
from tests.ports import free_port

from .building import NAME
from .programs import BUILD, buildah

USER: Final = 12_345
"""Not the user of the image."""

STATE: Final = BUILD / "runc"

OWN_PORT: Final = "8000"
"""The port of the image's command and health check. Containers get another one, because this one may be taken."""


class Container:
    """A running container in the network of the host."""

    def __init__(self, process: "subprocess.Popen[bytes]", config: Mapping[str, Any], root: Path, port: int) -> None:
        self.process = process
        self.root = root
        self.port = port
        self._config = config

    def start(self) -> float:
        """Wait until the broker responds; return the seconds."""
        began = time.monotonic()
        while not responds(self.port):
            assert self.process.poll() is None
            assert time.monotonic() - began < PATIENCE
            time.sleep(0.01)  # a start takes a quarter of a second
        return time.monotonic() - began

    def is_healthy(self) -> bool:
        """Return the result of the image's health check."""
        command = [word.replace(OWN_PORT, str(self.port)) for word in self._config["Healthcheck"]["Test"][1:]]
        return subprocess.run([*_runc("exec"), "broker", *command], check=False).returncode == 0

    def stop(self) -> int:
        """Send the image's stop signal; return the exit status."""
        subprocess.run([*_runc("kill"), "broker", self._config["StopSignal"]], check=True)
        return self.process.wait(PATIENCE)


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Container]:
    """Run a command in a new container; without words it is the image's own. It has a port of its own."""
    port = free_port()
    name = buildah("from", NAME)
    root, bundle = Path(buildah("mount", name)), BUILD / "bundle"
    config = json.loads(buildah("inspect", "--type", "image", NAME))["Docker"]["config"]
    shutil.rmtree(bundle, ignore_errors=True)
    bundle.mkdir()
    subprocess.run([*_runc("spec"), "--bundle", bundle], check=True)
    specification = bundle / "config.json"
    words = [word.replace(OWN_PORT, str(port)) for word in command or config["Cmd"]]
    whole = _specification(json.loads(specification.read_text("utf-8")), config, root, words, environment)
    specification.write_text(json.dumps(whole), encoding="utf-8")
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*_runc("run"), "--bundle", bundle, "broker"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Container(process, config, root, port)
        finally:
            subprocess.run([*_runc("delete"), "--force", "broker"], check=True)
            process.wait(PATIENCE)
    finally:
        buildah("rm", name)


def _runc(subcommand: str) -> list[str]:
    return ["runc", "--root", str(STATE), subcommand]


def _specification(
    whole: dict[str, Any], config: Mapping[str, Any], root: Path, command: Sequence[str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return runc's default specification with the image's configuration, and fewer rights."""
    whole["root"] = {"path": str(root), "readonly": True}
    whole["linux"]["namespaces"] = [each for each in whole["linux"]["namespaces"] if each["type"] != "network"]
    whole["process"] |= {
        "terminal": False,
        "user": {"uid": USER, "gid": USER},
        "args": [*command],
        "env": [*config["Env"], *(f"{name}={value}" for name, value in environment.items())],
        "cwd": config["WorkingDir"],
        "capabilities": {},
        "noNewPrivileges": True,
    }
    return whole
