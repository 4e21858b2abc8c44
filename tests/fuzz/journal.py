"""What a broker that was fuzzed wrote into its log: a line for each request, no accident and nothing secret."""

import json
import re
from pathlib import Path

from tests.e2e.processes import Broker

SECRETS = ("eyJ", "X-Amz", "://")
"""How tokens begin, and what signed URLs hold."""


def findings(broker: Broker) -> list[str]:
    """Return the log lines that must not exist."""
    lines = [line for line in broker.lines() if line["event"] != "log"]  # the server's own, which names its address
    return [text for line in lines if _is_wrong(text := json.dumps(line))]


def _is_wrong(line: str) -> bool:
    return '"event": "accident"' in line or any(secret in line for secret in SECRETS)


def memory(broker: Broker) -> str:
    """Return the resident memory of the broker's process, where /proc has it."""
    status = Path(f"/proc/{broker.process.pid}/status")
    text = status.read_text(encoding="ascii") if status.exists() else ""
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return f"{int(found[1]) // 1024} MiB" if found else "memory unknown"
