"""Schemathesis' checks against the running service over a real store: they find nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from .processes import Broker, token
from .steps import mp3, ready

OPENAPI = Path(__file__).parents[2] / "openapi.yaml"

CONFIG = """
[checks]
# A file over the limit is 413 (too_large) by the contract, which is a refusal like any other.
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 411, 413, 415, 422]
"""

LEFT_OUT = "use_after_free"
"""An upload id is a promise that nobody stores: an abort removes the bytes, and the id goes on to say "pending". That
a deleted object is gone has tests of its own."""

HOOKS = '''
"""JSON Schema calls 1.0 an integer; the broker, as every strict reader of sizes, does not: none is sent as valid."""
import schemathesis

def whole(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value

@schemathesis.hook
def map_body(context, body):
    return whole(body)
'''


@pytest.mark.parametrize(("subject", "scope"), [("user-1", ""), ("backend", "broker:service")])
def test_no_check_finds_anything(tmp_path: Path, broker: Broker, subject: str, scope: str) -> None:
    with broker.client(subject, scope=scope) as client:
        ready(client, mp3())
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    (tmp_path / "hooks.py").write_text(HOOKS)
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", "schemathesis.toml"),
        *(
            "run",
            str(OPENAPI),
            "--url",
            broker.url,
            "--checks",
            "all",
            "--exclude-checks",
            LEFT_OUT,
            "--max-examples",
            "20",
            "--seed",
            "1",
        ),
        *("--phases", "examples,coverage,fuzzing,stateful", "--no-color", "--suppress-health-check", "all"),
        *("-H", f"Authorization: Bearer {token(subject, scope=scope)}"),
    ]
    environment = {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "0 generated" not in done.stdout
