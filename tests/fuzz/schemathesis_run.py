"""Checks of Schemathesis, as in the end-to-end tests, with more examples."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.e2e.processes import Broker
from tests.e2e.test_schemathesis import CONFIG, HOOKS, description
from tests.web.test_openapi import PARAMETERS

from .known import created, principals

EXAMPLES = 300
"""Generated requests of each operation."""


def tally(broker: Broker, folder: Path, seed: int) -> Counter[str]:
    """Run Schemathesis; return the number of each status, from the broker's log. Raises if a check fails."""
    before = _answered(broker)
    for number, bearer in enumerate(principals()):
        known = created(broker)
        real = {PARAMETERS["UploadId"]["example"]: known.upload_ids[1], PARAMETERS["Key"]["example"]: known.keys[0]}
        _run(broker, _written(folder / f"schemathesis-{number}", real), bearer, seed)
    return _answered(broker) - before


def _written(folder: Path, real: dict[str, str]) -> Path:
    folder.mkdir()
    (folder / "openapi.json").write_text(description(real))
    (folder / "schemathesis.toml").write_text(CONFIG)
    (folder / "hooks.py").write_text(HOOKS)
    return folder


def _run(broker: Broker, folder: Path, bearer: str, seed: int) -> None:
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", "schemathesis.toml", "run", "openapi.json", "--url", broker.url, "--no-color"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--suppress-health-check", "all"),
        *("--max-examples", str(EXAMPLES), "--seed", str(seed), "-H", f"Authorization: {bearer}"),
    ]
    environment = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def _answered(broker: Broker) -> Counter[str]:
    return Counter(str(line["status"]) for line in broker.lines() if line["event"] == "broker.request_completed")
