"""The grammar of object keys, and keys in URLs.

Rules of this module
- The broker makes every key, from a UUID and the extension of the media type. A key is ASCII and has no client input.
- Clients may write below ``incoming/`` and never below ``media/``. Every key has one of these prefixes.
- A ready key may have any extension, because JamSync's keys do. ``is_ready_key`` validates every key from outside.
"""

import re
from urllib.parse import unquote, urlsplit

STAGING_PREFIX = "incoming/"
READY_PREFIX = "media/"

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_READY_KEY = re.compile(rf"{READY_PREFIX}({_UUID})\.([A-Za-z0-9]{{1,16}})", re.ASCII)
_URL_MAX = 8192  # characters


def staging_key(uuid: str, extension: str) -> str:
    """Return the key of the staged object, which the client may write."""
    return f"{STAGING_PREFIX}{uuid}.{extension}"


def ready_key(uuid: str, extension: str) -> str:
    """Return the key of the ready object."""
    return f"{READY_PREFIX}{uuid}.{extension}"


def is_ready_key(text: str) -> bool:
    """Return whether ``text`` is a ready key of the broker, or of JamSync before it."""
    return _READY_KEY.fullmatch(text) is not None


def extension(key: str) -> str:
    """Return the extension of a ready key, without its dot."""
    return key.rpartition(".")[2]


def staged_twin(key: str) -> str:
    """Return the key of the staged object from which the object of a ready key was copied."""
    return STAGING_PREFIX + key.removeprefix(READY_PREFIX)


def public_url(base: str | None, key: str) -> str | None:
    """Return the URL of a ready object in a public bucket; ``None`` if ``base`` is unset."""
    return f"{base}/{key}" if base else None


def key_from_url(url: str, *, endpoint: str, bucket: str, public_base: str | None) -> str | None:
    """Return the ready key in a URL of this deployment; ``None`` for any other URL.

    The URL may be public, presigned or plain, and path-style or virtual-hosted. A path below another host or bucket
    does not name an object of this deployment.
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
