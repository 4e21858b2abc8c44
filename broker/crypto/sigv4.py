"""AWS Signature Version 4 in the query string: the steps of the standard as pure functions.

The steps and their names are those of "Authenticating Requests: Using Query Parameters" in the Amazon S3 API
reference. ``presigner`` puts them together.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from broker.core.model import ObjectRef

ALGORITHM: Final = "AWS4-HMAC-SHA256"
"""The value of X-Amz-Algorithm, and the first line of a string to sign."""

MAX_EXPIRES_IN: Final = 604_800
"""The largest value of X-Amz-Expires, in seconds: one week."""

METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "POST", "PUT"})
"""The request methods of the S3 API."""

_UNRESERVED: Final = re.compile(r"[0-9A-Za-z_.~-]*")  # RFC 3986, section 2.3
_UNRESERVED_PATH: Final = re.compile(r"[/0-9A-Za-z_.~-]*")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; only its id may be shown."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def amz_date(now: int) -> str:
    """Return the value of X-Amz-Date for ``now``, in seconds since the Unix epoch."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")


def uri_encode(text: str) -> str:
    """Return ``text`` with every byte percent-encoded that is not an unreserved character of RFC 3986.

    Raises ``ValueError`` for a lone surrogate, which has no UTF-8 form.
    """
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def canonical_uri(ref: ObjectRef) -> str:
    """Return the path-style path of an object, or of its bucket if the key is empty, encoded except for its slashes.

    An empty bucket stands for one that the host names. S3, unlike other services, neither encodes a path twice nor
    resolves dots in it.
    """
    path = f"/{ref.bucket}/{ref.key}" if ref.bucket and ref.key else f"/{ref.bucket or ref.key}"
    return path if _UNRESERVED_PATH.fullmatch(path) else quote(path)


def canonical_query(query: Mapping[str, str]) -> str:
    """Return all parameters, encoded and then sorted by name."""
    return "&".join([parameter for _, parameter in sorted(map(encode_parameter, query, query.values()))])


def encode_parameter(name: str, value: str) -> tuple[str, str]:
    """Return the encoded name, by which parameters are sorted, and the encoded ``name=value``."""
    encoded = uri_encode(name)
    return encoded, f"{encoded}={uri_encode(value)}"


def canonical_headers(headers: Mapping[str, str]) -> str:
    """Return one line for each header, sorted by lowercase name, which ends with a line feed.

    Raises ``ValueError`` as ``header_value`` does.
    """
    return "".join([f"{name.lower()}:{header_value(name, headers[name])}\n" for name in sorted(headers, key=str.lower)])


def header_value(name: str, value: str) -> str:
    """Return the value without blanks at its ends, and with each run of spaces as one space.

    Raises ``ValueError`` for a value that is not printable ASCII: HTTP clients do not agree on how to send it.
    """
    if isinstance(value, str):
        value = value.strip(" \t")
        if value.isascii() and value.isprintable():
            return " ".join(value.split()) if "  " in value else value
    raise ValueError(f"the value of header {name!r} is not printable ASCII")


def signed_headers(names: Iterable[str]) -> str:
    """Return the lowercase names of the signed headers, sorted, as X-Amz-SignedHeaders lists them."""
    return ";".join(sorted(map(str.lower, names)))


def canonical_request(
    method: str, uri: str, query: str, headers: str, signed: str, *, payload: str = "UNSIGNED-PAYLOAD"
) -> str:
    """Return the canonical request of canonical parts; ``payload`` is the hash of the request body in hex."""
    return f"{method}\n{uri}\n{query}\n{headers}\n{signed}\n{payload}"


def credential_scope(date: str, region: str, *, service: str = "s3") -> str:
    """Return the credential scope of a ``date`` in the form YYYYMMDD."""
    return f"{date}/{region}/{service}/aws4_request"


def string_to_sign(timestamp: str, scope: str, digest: str) -> str:
    """Return the string to sign; ``digest`` is the SHA-256 of the canonical request in hex."""
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}"


def signing_key(secret: str, date: str, region: str, *, service: str = "s3") -> bytes:
    """Return the key of all signatures of one date, region and service, derived from a secret access key."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(key: bytes, text: str) -> str:
    """Return the signature of a string to sign in hex."""
    return hmac.digest(key, text.encode(), "sha256").hex()
