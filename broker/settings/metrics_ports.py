"""Where metrics can be scraped: an address of this machine, and a port for each worker process."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

PORTS_MAX: Final = 64
"""As many as there may be workers."""

_PLACE = re.compile(r"(?:([0-9.]+|\[[0-9a-f:.]+\]):)?([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_RULE = (
    "must be a port such as 9100, or a range with one for each worker such as 9100-9103 (at most "
    f"{PORTS_MAX}); for another address than 127.0.0.1 put it before: 0.0.0.0:9100, [::1]:9100"
)


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """A process takes the first of ``ports`` that is free at ``host``."""

    host: str
    ports: range


def metrics_place(text: str) -> MetricsSettings:
    """``[address:]port[-port]``; raises ``ValueError``."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise ValueError(_RULE)
    host = (match[1] or "127.0.0.1").strip("[]")
    first, last = int(match[2]), int(match[3] or match[2])
    if not (_is_address(host) and 0 < first <= last < 2**16 and last - first < PORTS_MAX):
        raise ValueError(_RULE)
    return MetricsSettings(host, range(first, last + 1))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
