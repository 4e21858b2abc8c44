"""Presigned URLs for an S3 store that is addressed path-style. A serving process signs requests only here.

Rules of this module
- Every key and every query parameter is encoded, and every header field is checked, before it is signed. A value that
  a store could read differently from how it was signed is refused, not repaired.
- The general way takes each step of ``sigv4`` in turn. The parts that requests of one second share are prepared once,
  as a ``_Plan``. A request without a query whose key and header values need no encoding is filled into its plan.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Final, NamedTuple

from broker.core.model import ObjectRef

from .hmac_sha256 import HmacSha256
from .sigv4 import (
    ALGORITHM,
    MAX_EXPIRES_IN,
    METHODS,
    Credentials,
    amz_date,
    canonical_headers,
    canonical_request,
    canonical_uri,
    credential_scope,
    encode_parameter,
    signed_headers,
    signing_key,
    string_to_sign,
    uri_encode,
)

EMPTY: Final[Mapping[str, str]] = MappingProxyType({})
"""No header fields, or no query parameters."""

PLANS_MAX: Final = 64
"""Maximum number of plans in memory. Before one more all are dropped: each second needs a few new plans."""

_ENDPOINT: Final = re.compile(r"(https?)://((?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+])(?::[0-9]+)?)")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
# Host is the endpoint's. A store reads the signature, or the hash of the body, from the other two if they are sent.
_RESERVED_HEADERS: Final = ("host", "authorization", "x-amz-content-sha256")
# Matches a key that ``canonical_uri`` returns unchanged, and after a line feed all header values, without anything
# between them, that ``canonical_headers`` returns unchanged.
_is_plain: Final = re.compile(r"[/0-9A-Za-z_.~-]+\n[!-~]*").fullmatch
_GAP: Final = "{}"  # braces occur neither in a header name nor in an encoded path or query


class _Day(NamedTuple):
    """The parts that all signatures of one date share. ``mac`` has the signing key."""

    date: str
    scope: str
    mac: HmacSha256
    parameters: str


@dataclass(frozen=True, slots=True, repr=False)  # the URLs hold a session token
class _Plan:
    """The parts that requests share which differ only in their key, header values and query.

    ``mac`` has read the string to sign as far as the hash of the canonical request, in hex. ``parameters`` are those of
    the signature, encoded and sorted. For requests without a query: ``before_key`` and ``after_key`` are the parts of
    the URL, and ``pieces`` the canonical request, with an empty string in place of the key and of each header value.
    ``pieces`` is ``None`` if the order of the headers is not the canonical one.
    """

    mac: HmacSha256
    signed_headers: str
    parameters: str
    before_key: str
    after_key: str
    pieces: list[str] | None


class Presigner:
    """Presigns requests to one endpoint with one access key, for the ``region`` of the endpoint's buckets."""

    def __init__(self, credentials: Credentials, endpoint: str, *, region: str = "auto") -> None:
        match = _ENDPOINT.fullmatch(endpoint)
        if match is None:
            raise ValueError("the endpoint must be exactly https://host[:port]")
        token = credentials.session_token
        self._credentials = credentials
        self.endpoint: Final = endpoint
        self._host = match[2].lower().removesuffix(":443" if match[1] == "https" else ":80")  # as clients send it
        self._region = region
        self._token = "" if token is None else f"&X-Amz-Security-Token={uri_encode(token)}"
        self._day = self._prepare_day("")
        self._plans: dict[tuple[str | int, ...], _Plan] = {}

    def endpoint_of(self, _bucket: str) -> str:
        """Return scheme and host of the URLs of a bucket."""
        return self.endpoint

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
        """Return a URL that permits ``method`` on ``ref``, or on its bucket if the key is empty.

        The URL is signed at ``now``, in seconds since the Unix epoch, and expires ``expires_in`` seconds later. A
        client must send exactly these ``headers``. Raises ``ValueError`` for an argument that cannot be signed. It
        is fastest with ``headers`` that are sorted by their lowercase names.
        """
        plan = self._plans.get((method, ref.bucket, now, expires_in, *headers)) or self._prepare(
            method, ref.bucket, now, expires_in, *headers
        )
        if plan.pieces is not None and not query:
            key, values = ref.key, headers.values()
            try:
                is_plain = _is_plain("".join((key, "\n", *values)))
            except TypeError:  # a value is not a string; the general way names its header
                is_plain = None
            if is_plain:
                pieces = plan.pieces.copy()
                pieces[1::2] = key, *values
                digest = sha256("".join(pieces).encode()).hexdigest()
                return f"{plan.before_key}{key}{plan.after_key}{plan.mac.hexdigest(digest.encode())}"
        path, parameters = canonical_uri(ref), "&".join([text for _, text in _parameters(plan, query)])
        request = self._canonical_request(plan, method, path, parameters, headers)
        digest = sha256(request.encode()).hexdigest()
        return f"{self.endpoint}{path}?{parameters}&X-Amz-Signature={plan.mac.hexdigest(digest.encode())}"

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
        """Return the URL of ``presign`` for each of ``values`` of the query parameter ``name``.

        The canonical requests are equal up to that value, so their common start is hashed once.
        """
        plan, path = self._prepare(method, ref.bucket, now, expires_in, *headers), canonical_uri(ref)
        parameters, encoded_name = _parameters(plan, {**query, name: ""}), uri_encode(name)
        index = [encoded for encoded, _ in parameters].index(encoded_name)
        before = "&".join([*(text for _, text in parameters[:index]), f"{encoded_name}="])
        after = "".join([f"&{text}" for _, text in parameters[index + 1 :]])
        request = self._canonical_request(plan, method, path, f"{before}{_GAP}{after}", headers)
        head, _, tail = request.partition(_GAP)  # the first one: only a header value, which follows, may have braces
        shared, rest = sha256(head.encode()), tail.encode()
        start, end = f"{self.endpoint}{path}?{before}", f"{after}&X-Amz-Signature="
        urls, sign = [], plan.mac.hexdigest
        for value in values:
            encoded, digest = uri_encode(value), shared.copy()
            digest.update(encoded.encode() + rest)
            urls.append(f"{start}{encoded}{end}{sign(digest.hexdigest().encode())}")
        return urls

    def _canonical_request(self, plan: _Plan, method: str, path: str, query: str, headers: Mapping[str, str]) -> str:
        lines = canonical_headers({"host": self._host, **headers})
        return canonical_request(method, path, query, lines, plan.signed_headers)

    def _prepare(self, method: str, bucket: str, now: int, expires_in: int, *names: str) -> _Plan:
        if method not in METHODS:
            raise ValueError(f"{method!r} is not a method of S3")
        if not 1 <= expires_in <= MAX_EXPIRES_IN:
            raise ValueError(f"expires_in must be 1 to {MAX_EXPIRES_IN} seconds, not {expires_in}")
        _check_header_names(names)
        timestamp = amz_date(now)
        day = self._day
        if day.date != timestamp[:8]:
            self._day = day = self._prepare_day(timestamp[:8])  # one assignment, so that threads see a whole day
        mac = day.mac.starting(string_to_sign(timestamp, day.scope, "").encode())
        listed, path = signed_headers(["host", *names]), canonical_uri(ObjectRef(bucket, "")) if bucket else ""
        parameters = (
            f"{day.parameters}{timestamp}&X-Amz-Expires={expires_in}{self._token}"
            f"&X-Amz-SignedHeaders={uri_encode(listed)}"
        )
        plan = _Plan(mac, listed, parameters, f"{self.endpoint}{path}/", f"?{parameters}&X-Amz-Signature=", pieces=None)
        if [*names] == sorted(names, key=str.lower):
            gaps = dict.fromkeys(names, _GAP)
            fixed = self._canonical_request(plan, method, f"{path}/{_GAP}", parameters, gaps).split(_GAP)
            pieces = [""] * (2 * len(fixed) - 1)
            pieces[::2] = fixed
            plan = replace(plan, pieces=pieces)
        if len(self._plans) >= PLANS_MAX:
            self._plans.clear()
        self._plans[method, bucket, now, expires_in, *names] = plan
        return plan

    def _prepare_day(self, date: str) -> _Day:
        scope = credential_scope(date, self._region)
        mac = HmacSha256(signing_key(self._credentials.secret_access_key, date, self._region))
        credential = uri_encode(f"{self._credentials.access_key_id}/{scope}")
        return _Day(date, scope, mac, f"X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={credential}&X-Amz-Date=")


def _check_header_names(names: Iterable[str]) -> None:
    seen = set(_RESERVED_HEADERS)
    for name in names:
        if not (isinstance(name, str) and _TOKEN.fullmatch(name)):
            raise ValueError(f"header name {name!r} is not a token")
        if name.lower() in seen:
            raise ValueError(f"header {name!r} is reserved or repeated")
        seen.add(name.lower())


def _parameters(plan: _Plan, query: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return all parameters with their encoded names, sorted; those of the signature stand together, as one."""
    parameters = [("X-Amz-", plan.parameters)]
    for name, value in query.items():
        if name.lower().startswith("x-amz-"):
            raise ValueError(f"query parameter {name!r} belongs to the signature")
        parameters.append(encode_parameter(name, value))
    return sorted(parameters)
