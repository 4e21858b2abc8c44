"""The rules for ``BROKER_REDIS_URL``, the URL of a Redis or Valkey (iana.org/assignments/uri-schemes, redis)."""

import importlib.util
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

PACKAGES: Final = ("limits", "redis")
"""The packages of the extra ``redis``."""

_EXAMPLES: Final = "redis://127.0.0.1:6379/0, rediss://:password@host:6379 or unix:///run/redis.sock?db=0"
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|[0-9A-Fa-f:.]+", re.ASCII)
_DATABASE: Final = re.compile(r"/?|/[0-9]{1,5}", re.ASCII)
_SOCKET_QUERY: Final = re.compile(r"|db=[0-9]{1,5}", re.ASCII)
_VISIBLE: Final = re.compile(r"[!-~]+")


def redis_url(text: str) -> str:
    """Return the URL; raise ``ValueError`` with the broken rule, which does not quote the URL."""
    try:
        url = urlsplit(text)
        is_valid = bool(_VISIBLE.fullmatch(text)) and "#" not in text and _is_complete(url)
    except ValueError:  # a port that is not a number, or brackets around what is not an address
        is_valid = False
    if not is_valid:
        raise ValueError(f"must be a URL such as {_EXAMPLES}")
    if not all(map(importlib.util.find_spec, PACKAGES)):
        raise ValueError("needs the extra redis: pip install 'r2-upload-broker[redis]'")
    return text


def _is_complete(url: SplitResult) -> bool:
    if url.scheme == "unix":
        return not url.hostname and len(url.path) > 1 and bool(_SOCKET_QUERY.fullmatch(url.query))
    return (
        url.scheme in ("redis", "rediss")
        and bool(_HOST.fullmatch(url.hostname or ""))
        and url.port != 0
        and bool(_DATABASE.fullmatch(url.path))
        and not url.query
    )
