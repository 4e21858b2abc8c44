"""Rules for URLs in settings: the store's endpoint, public base URL and JWK Set URL.

Sources: developers.cloudflare.com/r2/api/tokens (endpoints, jurisdictions), /r2/buckets/public-buckets (r2.dev).
"""

import ipaddress
import re
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from .environment import Environment

R2_HOST = "r2.cloudflarestorage.com"

_ACCOUNT = re.compile(r"[0-9a-f]{32}", re.ASCII)
_AUTHORITY = re.compile(r"([0-9a-z](?:[0-9a-z._-]*[0-9a-z])?|\[[0-9a-f:.]+])(?::([0-9]{1,5}))?")
_VISIBLE = re.compile(r"[!-~]+")
_PORTS = {"http": 80, "https": 443}


class Jurisdiction(StrEnum):
    """The jurisdiction in which a bucket's data stays. Each one has its own endpoint."""

    DEFAULT = "default"
    EU = "eu"
    FEDRAMP = "fedramp"
    US = "us"


_R2_ENDPOINT = re.compile(rf"([0-9a-f]{{32}})(?:\.(eu|fedramp|us))?\.{re.escape(R2_HOST)}", re.ASCII)


class _HttpUrl(NamedTuple):
    """The parts of a URL. ``root`` is scheme, host and port in lower case, without the default port of the scheme."""

    root: str
    host: str
    path: str
    query: str


def store_endpoint(env: Environment) -> str:
    """Return ``R2_ENDPOINT`` or the endpoint of ``R2_ACCOUNT_ID`` and ``R2_JURISDICTION``; empty if both are unset."""
    account = env.checked("R2_ACCOUNT_ID", env.text("R2_ACCOUNT_ID"), _account) or ""
    jurisdiction = env.checked("R2_JURISDICTION", env.text("R2_JURISDICTION"), _jurisdiction)
    region = f".{jurisdiction}" if jurisdiction not in (None, Jurisdiction.DEFAULT) else ""
    implied = f"https://{account or '<account-id>'}{region}.{R2_HOST}"
    given = env.text("R2_ENDPOINT")
    if not given:
        return implied if account else ""
    endpoint = env.checked("R2_ENDPOINT", given, lambda text: _endpoint(env, text, implied)) or ""
    if match := _R2_ENDPOINT.fullmatch(endpoint.partition("://")[2]):
        _compare(env, match, account, jurisdiction)
    return endpoint


def _compare(env: Environment, endpoint: re.Match[str], account: str, jurisdiction: Jurisdiction | None) -> None:
    """Record a fault for each setting that contradicts an endpoint of R2. Those of other stores have neither."""
    if account and account != endpoint[1]:
        env.fault("R2_ENDPOINT", "and R2_ACCOUNT_ID must be of the same account. Correct one, or unset R2_ACCOUNT_ID")
    if jurisdiction and jurisdiction != (endpoint[2] or Jurisdiction.DEFAULT):
        env.fault(
            "R2_ENDPOINT", "and R2_JURISDICTION must be of the same jurisdiction. Correct one, or unset R2_JURISDICTION"
        )


def _account(text: str) -> str:
    if not _ACCOUNT.fullmatch(text):
        raise ValueError("must be an account ID: 32 lower-case hexadecimal digits")
    return text


def _jurisdiction(text: str) -> Jurisdiction:
    if text not in {*Jurisdiction}:
        raise ValueError(f"must be one of {', '.join(Jurisdiction)}")
    return Jurisdiction(text)


def _endpoint(env: Environment, text: str, implied: str) -> str:
    url = _http_url(text)
    if url.host == "r2.dev" or url.host.endswith(".r2.dev"):
        raise ValueError(f"must not be on r2.dev, which serves public reads only; use {implied}")
    if url.path.strip("/"):
        raise ValueError("must not have a path: set the bucket's name as R2_BUCKET_NAME")
    if url.host.endswith(R2_HOST) and not _R2_ENDPOINT.fullmatch(url.host):
        raise ValueError(f"must be of the form {implied}, without the bucket's name")
    if url.root.startswith("http:") and not _is_loopback(url.host):
        env.warnings.append("R2_ENDPOINT is plain http: presigned URLs and media are sent unencrypted")
    return url.root


class EndpointParts(NamedTuple):
    """The account ID and the jurisdiction of an endpoint of R2."""

    account: str
    jurisdiction: str


def parts_of_endpoint(endpoint: str) -> EndpointParts | None:
    """Return the parts of an endpoint, as ``store_endpoint`` returns it; ``None`` if it is not one of R2."""
    match = _R2_ENDPOINT.fullmatch(endpoint.partition("://")[2])
    return EndpointParts(match[1], match[2] or Jurisdiction.DEFAULT) if match else None


def is_on_this_machine(endpoint: str) -> bool:
    """Return whether an endpoint, as ``store_endpoint`` returns it, has a loopback address."""
    return _is_loopback(_http_url(endpoint).host)


def public_base(text: str) -> str:
    """Return ``R2_PUBLIC_URL`` without its trailing slash; raise ``ValueError`` with the broken rule."""
    url = _http_url(text)
    if url.host.endswith(R2_HOST):
        raise ValueError("must be a public address, such as a custom domain: the S3 endpoint of R2 needs signatures")
    return url.root + url.path.rstrip("/")


def jwks_url(text: str) -> str:
    """Return ``JWT_JWKS_URL``, which is https or on this machine; raise ``ValueError`` with the broken rule.

    It may have a query: Entra ID publishes the keys of an application at ``?appid=``, Azure AD B2C those of a policy at
    ``?p=``.
    """
    url = _http_url(text, may_have_query=True)
    if url.root.startswith("http:") and not _is_loopback(url.host):
        raise ValueError("must be https, because its keys verify tokens")
    return url.root + (url.path or "/") + f"?{url.query}" if url.query else url.root + url.path


def _http_url(text: str, *, may_have_query: bool = False) -> _HttpUrl:
    try:
        parts = urlsplit(text)
    except ValueError:  # not an IPv6 address in brackets. The message quotes the value, so it is dropped
        parts = SplitResult("", "", "", "", "")
    if "@" in parts.netloc or parts.fragment or (parts.query and not may_have_query):
        raise ValueError(f"must not have a user{'' if may_have_query else ', a query'} or a fragment")
    match = _AUTHORITY.fullmatch(parts.netloc.lower())
    default = _PORTS.get(parts.scheme, 0)
    port = int((match and match[2]) or default)
    if not (default and match and 0 < port < 2**16 and _VISIBLE.fullmatch(text)):
        raise ValueError("must be an http or https URL")
    root = f"{parts.scheme}://{match[1]}" + (f":{port}" if port != default else "")
    return _HttpUrl(root, match[1].strip("[]"), parts.path, parts.query)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
