"""The grammar of object keys, and keys in URLs.

Rules of this module
- The broker makes every new key, from a UUID and the extension of the media type: ASCII without client input.
- Clients may write below ``incoming/`` and never below ``media/``. Every key has one of these prefixes.
- JamSync's keys are ready keys too: a UUID, a dot, and whatever followed the last dot of the client's file name, or the
  whole name where it had no dot. So a key may need encoding in every URL. ``is_ready_key`` validates every key from
  outside. The text behind the dot has no slash and no further dot, so no segment of a key is empty, ``.`` or ``..``.
"""

import re
import unicodedata
from typing import Final
from urllib.parse import quote, unquote, urlsplit

STAGING_PREFIX = "incoming/"
READY_PREFIX = "media/"

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NEW_KEY = re.compile(rf"{READY_PREFIX}{_UUID}\.[A-Za-z0-9]{{1,16}}", re.ASCII)
_OLD_KEY = re.compile(rf"{READY_PREFIX}{_UUID}\.([^./\\]*)")
_URL_MAX = 8192  # characters

KEY_MAX: Final = 1024
"""Maximum bytes of a key in UTF-8 (developers.cloudflare.com/r2/platform/limits)."""

_NEVER: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})  # controls, surrogates, separators of lines and paragraphs
_NEVER_EITHER: Final = frozenset("\ufffd\ufffe\uffff")
"""What a decoder makes of bytes that are not UTF-8, and what XML cannot carry (www.w3.org/TR/xml, section 2.2)."""


def staging_key(uuid: str, extension: str) -> str:
    """Return the key of the staged object, which the client may write."""
    return f"{STAGING_PREFIX}{uuid}.{extension}"


def ready_key(uuid: str, extension: str) -> str:
    """Return the key of the ready object."""
    return f"{READY_PREFIX}{uuid}.{extension}"


def is_ready_key(text: str) -> bool:
    """Return whether ``text`` is a ready key of the broker, or of JamSync before it."""
    return _NEW_KEY.fullmatch(text) is not None or _is_old_key(text)


def _is_old_key(text: str) -> bool:
    """Return whether ``text`` is a key that JamSync made of a client's file name."""
    match = _OLD_KEY.fullmatch(text) if len(text) <= KEY_MAX else None
    return (
        match is not None
        and _NEVER_EITHER.isdisjoint(match[1])
        and not any(unicodedata.category(character) in _NEVER for character in match[1])
        and len(text.encode()) <= KEY_MAX
    )


def extension(key: str) -> str:
    """Return the extension of a ready key, without its dot."""
    return key.rpartition(".")[2]


def staged_twin(key: str) -> str:
    """Return the key of the staged object from which the object of a ready key was copied."""
    return STAGING_PREFIX + key.removeprefix(READY_PREFIX)


def public_url(base: str | None, key: str) -> str | None:
    """Return the URL of a ready object in a public bucket; ``None`` if ``base`` is unset."""
    return f"{base}/{quote(key)}" if base else None


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
