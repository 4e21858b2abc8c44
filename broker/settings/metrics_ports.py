"""The address and ports of the metrics endpoint, one port for each worker process."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

METRICS_PORTS_MAX: Final = 64
"""Maximum number of ports, which is the maximum number of workers."""

_ADDRESS_AND_PORTS = re.compile(r"(?:([0-9.]+|\[[0-9a-f:.]+\]):)?([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_RULE = (
    "must be a port such as 9100, or a range with one for each worker such as 9100-9103 (at most "
    f"{METRICS_PORTS_MAX}); an address other than 127.0.0.1 stands before it: 0.0.0.0:9100, [::1]:9100"
)


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """The address of the metrics endpoint. A process listens on the first free port of ``ports`` at ``host``."""

    host: str
    ports: range


def metrics_address(text: str) -> MetricsSettings:
    """Parse ``[address:]port[-port]``; raise ``ValueError`` with the rule."""
    match = _ADDRESS_AND_PORTS.fullmatch(text)
    if match is None:
        raise ValueError(_RULE)
    host = (match[1] or "127.0.0.1").strip("[]")
    first, last = int(match[2]), int(match[3] or match[2])
    if not (_is_address(host) and 0 < first <= last < 2**16 and last - first < METRICS_PORTS_MAX):
        raise ValueError(_RULE)
    return MetricsSettings(host, range(first, last + 1))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
