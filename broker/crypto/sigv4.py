"""AWS Signature Version 4 in the query string: presigned URLs for a store that is addressed path-style.

The steps and their names are those of "Authenticating Requests: Using Query Parameters" in the Amazon S3 API
reference. What the store might read otherwise than it was signed is refused, not repaired.
"""

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import quote

from broker.core.model import ObjectRef

from .secrets import mac

ALGORITHM: Final = "AWS4-HMAC-SHA256"
MAX_EXPIRES_IN: Final = 604_800  # a week, the bound of X-Amz-Expires
METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "POST", "PUT"})
EMPTY: Final[Mapping[str, str]] = MappingProxyType({})

# A store that sees one of these takes the request's signature or its payload's hash from there.
_RESERVED_HEADERS: Final = frozenset({"authorization", "x-amz-content-sha256"})
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_UNRESERVED: Final = re.compile(r"[0-9A-Za-z_.~-]*")  # RFC 3986, section 2.3
_UNRESERVED_PATH: Final = re.compile(r"[/0-9A-Za-z_.~-]*")
_ENDPOINT: Final = re.compile(r"(https?)://((?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+])(?::[0-9]+)?)")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, of which only the id may be shown."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class SignedHeaders(NamedTuple):
    """What the headers' names decide; ``template`` takes the values of ``order``."""

    listed: str
    parameter: str
    template: str
    order: tuple[str, ...]


class Template(NamedTuple):
    """Requests that differ in their key and their headers' values alone.

    ``around`` is the canonical request: what stands before, between and behind the key and the values, sorted by name.
    A URL is ``start``, the key, ``end``, and what ``sign`` makes of ``to_sign`` and the request's SHA-256 in hex.
    """

    sign: Callable[[str], str]
    to_sign: str
    around: list[str]
    start: str
    end: str


class _Day(NamedTuple):
    """What all URLs signed on one date have in common."""

    date: str
    scope: str
    sign: Callable[[str], str]
    query: str


class Presigner:
    """Signs requests to one endpoint with one access key."""

    def __init__(self, credentials: Credentials, endpoint: str, *, region: str = "auto") -> None:
        match = _ENDPOINT.fullmatch(endpoint)
        if match is None:
            raise ValueError("the endpoint must be https://host[:port] and nothing more")
        token = credentials.session_token
        self._credentials = credentials
        self.endpoint: Final = endpoint
        self._host = match[2].lower().removesuffix(":443" if match[1] == "https" else ":80")  # as clients send it
        self._region = region
        self._token = "" if token is None else f"&X-Amz-Security-Token={uri_encode(token)}"
        self._day = self._begin("")

    def presign(
        self,
        method: str,
        ref: ObjectRef,
        *,
        now: int,
        expires_in: int,
        headers: Mapping[str, str] = EMPTY,
        query: Mapping[str, str] = EMPTY,
    ) -> str:
        """The URL by which one may send ``method`` to ``ref``, or to its bucket if the key is empty."""
        day, timestamp, path, auth, lines, listed = self._begun(method, ref, now, expires_in, headers)
        parameters = canonical_query(query, auth) if query else auth
        digest = sha256(canonical_request(method, path, parameters, lines, listed).encode()).hexdigest()
        proof = day.sign(string_to_sign(timestamp, day.scope, digest))
        return f"{self.endpoint}{path}?{parameters}&X-Amz-Signature={proof}"

    def presign_each(
        self,
        method: str,
        ref: ObjectRef,
        name: str,
        values: Iterable[str],
        *,
        now: int,
        expires_in: int,
        headers: Mapping[str, str] = EMPTY,
        query: Mapping[str, str] = EMPTY,
    ) -> list[str]:
        """What ``presign`` gives with ``name`` as each of ``values`` in the query; hashes once what they share."""
        day, timestamp, path, auth, lines, listed = self._begun(method, ref, now, expires_in, headers)
        encoded = uri_encode(name)
        parameters = encoded_parameters({**query, name: ""}, auth)
        at = [known for known, _ in parameters].index(encoded)
        before = "&".join([*(text for _, text in parameters[:at]), f"{encoded}="])
        after = "".join([f"&{text}" for _, text in parameters[at + 1 :]])
        whole = canonical_request(method, path, f"{before}\0{after}", lines, listed)
        head, _, tail = whole.partition("\0")  # which nothing in a canonical request is
        shared, rest = sha256(head.encode()), tail.encode()
        start, end = f"{self.endpoint}{path}?{before}", f"{after}&X-Amz-Signature="
        sign, signed = day.sign, string_to_sign(timestamp, day.scope, "")
        urls = []
        for value in values:
            part, digest = uri_encode(value), shared.copy()
            digest.update(part.encode() + rest)
            urls.append(f"{start}{part}{end}{sign(signed + digest.hexdigest())}")
        return urls

    def template(self, method: str, bucket: str, names: Iterable[str], *, now: int, expires_in: int) -> Template:
        """What ``presign`` gives for any key and values of these headers that need no encoding."""
        day, timestamp, path, auth, lines, listed = self._begun(
            method, ObjectRef(bucket, ""), now, expires_in, dict.fromkeys(names, "{}")
        )
        request = canonical_request(method, f"{path}/{{}}", auth, lines, listed)
        return Template(
            day.sign,
            string_to_sign(timestamp, day.scope, ""),
            request.split("{}"),  # there are no other braces: all but values is encoded, or a token
            f"{self.endpoint}{path}/",
            f"?{auth}&X-Amz-Signature=",
        )

    def _begun(
        self, method: str, ref: ObjectRef, now: int, expires_in: int, headers: Mapping[str, str]
    ) -> tuple[_Day, str, str, str, str, str]:
        """What does not depend on the query: day, timestamp, path, X-Amz- parameters, header lines, signed headers."""
        if method not in METHODS:
            raise ValueError(f"{method!r} is not a method of S3")
        if not 1 <= expires_in <= MAX_EXPIRES_IN:
            raise ValueError(f"expires_in must be 1 to {MAX_EXPIRES_IN} seconds, not {expires_in}")
        timestamp = amz_date(now)
        day = self._day
        if day.date != timestamp[:8]:
            self._day = day = self._begin(timestamp[:8])  # one assignment: no thread sees half a day
        signed = signed_headers(self._host, tuple(headers))
        auth = f"{day.query}{timestamp}&X-Amz-Expires={expires_in}{self._token}{signed.parameter}"
        return day, timestamp, canonical_uri(ref), auth, canonical_headers(signed, headers), signed.listed

    def _begin(self, date: str) -> _Day:
        scope = credential_scope(date, self._region)
        sign = signature(signing_key(self._credentials.secret_access_key, date, self._region))
        credential = uri_encode(f"{self._credentials.access_key_id}/{scope}")
        return _Day(date, scope, sign, f"X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={credential}&X-Amz-Date=")


@lru_cache(maxsize=8)
def amz_date(now: int) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")


def uri_encode(text: str) -> str:
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


def canonical_uri(ref: ObjectRef) -> str:
    """Every segment encoded once: S3, unlike other services, neither encodes twice nor resolves dots."""
    path = f"/{ref.bucket}/{ref.key}" if ref.key else f"/{ref.bucket}"
    return path if _UNRESERVED_PATH.fullmatch(path) else quote(path)


def canonical_query(query: Mapping[str, str], auth: str = "") -> str:
    """All parameters, encoded and then sorted by name; ``auth`` is the X-Amz- ones, already so."""
    return "&".join([text for _, text in encoded_parameters(query, auth)])


def encoded_parameters(query: Mapping[str, str], auth: str) -> list[tuple[str, str]]:
    """Each parameter's encoded name, and it all as it stands in the query, sorted."""
    parameters = [("X-Amz-", auth)] if auth else []
    for name, value in query.items():
        if name.lower().startswith("x-amz-"):
            raise ValueError(f"query parameter {name!r} belongs to the signature")
        encoded = uri_encode(name)
        parameters.append((encoded, f"{encoded}={uri_encode(value)}"))
    return sorted(parameters)


@lru_cache(maxsize=128)
def signed_headers(host: str, names: tuple[str, ...]) -> SignedHeaders:
    lines = {"host": f"host:{host}\n"}
    for name in names:
        if not (isinstance(name, str) and _TOKEN.fullmatch(name)):
            raise ValueError(f"header name {name!r} is not a token")
        canonical = name.lower()
        if canonical in lines or canonical in _RESERVED_HEADERS:
            raise ValueError(f"header {name!r} is reserved or repeated")
        lines[canonical] = f"{canonical.replace('%', '%%')}:%s\n"
    order = sorted(lines)
    listed = ";".join(order)
    parameter = f"&X-Amz-SignedHeaders={uri_encode(listed)}"
    template = "".join([lines[name] for name in order])
    return SignedHeaders(listed, parameter, template, tuple(sorted(names, key=str.lower)))


def canonical_headers(signed: SignedHeaders, headers: Mapping[str, str]) -> str:
    values = tuple(map(headers.__getitem__, signed.order))
    if not _are_plain(values):
        values = tuple([field_value(name, headers[name]) for name in signed.order])
    return signed.template % values


def _are_plain(values: tuple[str, ...]) -> bool:
    """Whether ``field_value`` would leave them as they are: one look at all of them."""
    try:
        joined = "".join(values)
    except TypeError:
        return False
    return joined.isascii() and joined.isprintable() and " " not in joined


def field_value(name: str, value: str) -> str:
    """The value trimmed, each run of spaces made one. Clients do not agree how to send what is not ASCII."""
    if isinstance(value, str):
        value = value.strip(" \t")
        if value.isascii() and value.isprintable():
            return " ".join(value.split()) if "  " in value else value
    raise ValueError(f"the value of header {name!r} is not printable ASCII")


def canonical_request(
    method: str, uri: str, query: str, headers: str, signed: str, *, payload: str = "UNSIGNED-PAYLOAD"
) -> str:
    return f"{method}\n{uri}\n{query}\n{headers}\n{signed}\n{payload}"


def credential_scope(date: str, region: str, *, service: str = "s3") -> str:
    return f"{date}/{region}/{service}/aws4_request"


def string_to_sign(timestamp: str, scope: str, digest: str) -> str:
    """``digest`` is the canonical request's SHA-256 in hex."""
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}"


def signing_key(secret: str, date: str, region: str, *, service: str = "s3") -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(key: bytes) -> Callable[[str], str]:
    """Signs strings to sign under a derived key."""
    tag = mac(key)
    return lambda text: tag(text.encode()).hexdigest()
