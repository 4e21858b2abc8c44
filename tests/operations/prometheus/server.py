"""A real Prometheus with the committed rules, in which time runs faster."""

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import httpx2
import yaml

from tests.patience import PATIENCE
from tests.plain_http import NO_TLS
from tests.ports import free_port

from .rule_files import RULES, shortened, shortened_rules

SPEED: Final = 60
"""All durations of the rules are divided by this: 5m is 5 s."""

INTERVAL: Final = "500ms"
"""Time between two scrapes, and between two evaluations of the rules: half a minute in the time of the rules."""

_PAUSE: Final = 0.3  # seconds between two queries
_FIRED: Final = 'group by (job, alertname, severity) (last_over_time(ALERTS{alertstate="firing"}[100d]))'


def wait_for(holds: Callable[[], object], explain: Callable[[], object]) -> None:
    """Wait until a condition on Prometheus holds; fail after ``PATIENCE`` with an explanation."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, explain()
        time.sleep(_PAUSE)


class Fired(NamedTuple):
    """An alert of a job that is firing or was."""

    job: str
    alert: str
    severity: str


class Prometheus:
    """A Prometheus that scrapes the ports of each job; it is ready when entered."""

    def __init__(self, folder: Path, ports: Mapping[str, Sequence[int]]) -> None:
        self._folder = folder
        self._ports = ports
        self._port = free_port()

    def __enter__(self) -> Self:
        program = shutil.which("prometheus")
        assert program, "apt-get install --no-install-recommends prometheus"
        command = [
            program,
            f"--config.file={self._configuration()}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=warn",
        ]
        self._log = self._folder / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            self._wait_until_ready()
            count = sum(map(len, self._ports.values()))
            wait_for(lambda: self.value("sum(up)") == count, lambda: self.query("up"))
            self._load_rules()
        except BaseException:
            self._process.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the series of an expression now, or at an instant in seconds; its durations are those of the rules."""
        parameters = {"query": shortened(expression, SPEED), **({} if at is None else {"time": str(at)})}
        found: list[dict[str, Any]] = self._get("query", parameters)["result"]
        return found

    def value(self, expression: str) -> float | None:
        """Return the value of an expression with one series, or ``None`` without a series."""
        return next((float(series["value"][1]) for series in self.query(expression)), None)

    def fired(self) -> set[Fired]:
        """Return the alerts that are firing, and those that were at any time."""
        labels = [series["metric"] for series in self.query(_FIRED)]
        return {Fired(one.get("job", ""), one["alertname"], one["severity"]) for one in labels}

    def firing(self) -> list[dict[str, Any]]:
        """Return the alerts that are firing now, with their labels and annotations."""
        return [alert for alert in self._get("alerts", {})["alerts"] if alert["state"] == "firing"]

    def _get(self, path: str, parameters: Mapping[str, str]) -> Any:
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}"
        response = httpx2.get(url, params=dict(parameters), timeout=PATIENCE, trust_env=False, verify=NO_TLS)
        assert response.status_code == 200, response.text
        return response.json()["data"]

    def _load_rules(self) -> None:
        """Write the rules and load them: Prometheus reads the first targets only five seconds after its start."""
        for path in RULES:
            (self._folder / path.name).write_text(yaml.safe_dump(shortened_rules(path, SPEED)), encoding="utf-8")
        self._process.send_signal(signal.SIGHUP)

    def _configuration(self) -> Path:
        """Write the configuration, and return its path."""
        jobs = [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
            for job, ports in self._ports.items()
        ]
        document = {
            "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": ["*_rules.yml"],  # they do not exist at the start
            "scrape_configs": jobs,
        }
        written = self._folder / "prometheus.yml"
        written.write_text(yaml.safe_dump(document), encoding="utf-8")
        return written

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        url = f"http://127.0.0.1:{self._port}/-/ready"
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if httpx2.get(url, timeout=5, trust_env=False, verify=NO_TLS).status_code == 200:
                    return
            assert self._process.poll() is None, self._log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, self._log.read_text(encoding="utf-8")
            time.sleep(0.05)  # between two attempts
