"""The log of a broker under fuzzing: it has no unhandled exception and no secret."""

import json
import re
from pathlib import Path

from tests.e2e.processes import Broker

SECRETS = ("eyJ", "X-Amz", "://")
"""The start of tokens, and parts of signed URLs."""


def findings(broker: Broker) -> list[str]:
    """Return the log lines that must not exist."""
    # Foreign lines are the server's own, which have its address
    lines = [line for line in broker.lines() if line["event"] != "broker.message_logged"]
    return [text for line in lines if _is_wrong(text := json.dumps(line))]


def _is_wrong(line: str) -> bool:
    return '"event": "broker.request_failed"' in line or any(secret in line for secret in SECRETS)


def memory(broker: Broker) -> str:
    """Return the resident memory of the broker's process, where /proc has it."""
    status = Path(f"/proc/{broker.process.pid}/status")
    text = status.read_text(encoding="ascii") if status.exists() else ""
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return f"{int(found[1]) // 1024} MiB" if found else "memory unknown"
