"""The key grammar, and the way between keys and URLs.

Rules of this module
- The server alone makes keys: a UUID and the extension of the canonical type, ASCII, nothing of the client's.
- ``incoming/`` is where clients may write, ``media/`` is where no client can. A key is in one of them or is none.
- A ready key may carry any extension, as JamSync's did; ``parse`` is the only door from text to key.
"""

import re
from urllib.parse import unquote, urlsplit

STAGING_PREFIX = "incoming/"
READY_PREFIX = "media/"

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_READY_KEY = re.compile(rf"{READY_PREFIX}({_UUID})\.([A-Za-z0-9]{{1,16}})", re.ASCII)
_URL_MAX = 8192


def staging_key(upload: str, extension: str) -> str:
    """Where the client of ``upload`` (a UUID) may write."""
    return f"{STAGING_PREFIX}{upload}.{extension}"


def ready_key(upload: str, extension: str) -> str:
    """Where ``upload`` (a UUID) is once it is confirmed."""
    return f"{READY_PREFIX}{upload}.{extension}"


def is_ready_key(text: str) -> bool:
    """Whether ``text`` is a key that the broker, or JamSync before it, gave out."""
    return _READY_KEY.fullmatch(text) is not None


def extension(key: str) -> str:
    """The extension of a ready key."""
    return key.rpartition(".")[2]


def staged_twin(key: str) -> str:
    """Where the object of a ready key was uploaded to."""
    return STAGING_PREFIX + key.removeprefix(READY_PREFIX)


def public_url(base: str | None, key: str) -> str | None:
    """The URL of a ready object in a public bucket; ``None`` where there is none."""
    return f"{base}/{key}" if base else None


def key_from_url(url: str, *, endpoint: str, bucket: str, public_base: str | None) -> str | None:
    """The ready key inside a URL of this deployment: public, presigned or plain, path-style or virtual-hosted.

    ``None`` for any other URL: a foreign host's path says nothing about our bucket.
    """
    if len(url) > _URL_MAX:
        return None
    try:
        parts = urlsplit(url)
        host, path = parts.netloc.lower(), unquote(parts.path, errors="strict")
    except ValueError:
        return None
    for base in _bases(endpoint, bucket, public_base):
        root = urlsplit(base)
        if (parts.scheme, host) == (root.scheme, root.netloc.lower()) and path.startswith(root.path + "/"):
            key = path.removeprefix(root.path + "/")
            if is_ready_key(key):
                return key
    return None


def _bases(endpoint: str, bucket: str, public_base: str | None) -> list[str]:
    scheme, _, host = endpoint.partition("://")
    bases = [f"{endpoint}/{bucket}", f"{scheme}://{bucket}.{host}"]
    return [public_base, *bases] if public_base else bases
