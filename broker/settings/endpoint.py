"""Where the store is: which URLs can sign for R2, and what to say of those that cannot.

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
    """Where a bucket's data must stay; each has an endpoint of its own."""

    DEFAULT = "default"
    EU = "eu"
    FEDRAMP = "fedramp"
    US = "us"


_R2_ENDPOINT = re.compile(rf"[0-9a-f]{{32}}(?:\.(?:eu|fedramp|us))?\.{re.escape(R2_HOST)}", re.ASCII)


class _HttpUrl(NamedTuple):
    """``root`` is scheme, host and port as clients send them: in lower case, without the scheme's own port."""

    root: str
    host: str
    path: str


def store_endpoint(env: Environment) -> str:
    """``R2_ENDPOINT``, or what follows from ``R2_ACCOUNT_ID`` and ``R2_JURISDICTION``; empty when neither is set."""
    account = env.text("R2_ACCOUNT_ID")
    if account and not _ACCOUNT.fullmatch(account):
        env.fault("R2_ACCOUNT_ID", "must be the account id: 32 lower-case hexadecimal digits")
        account = ""
    jurisdiction = env.choice("R2_JURISDICTION", Jurisdiction)
    region = "" if jurisdiction is Jurisdiction.DEFAULT else f".{jurisdiction}"
    implied = f"https://{account or '<account-id>'}{region}.{R2_HOST}"
    given = env.text("R2_ENDPOINT")
    if not given:
        return implied if account else ""
    return env.checked("R2_ENDPOINT", given, lambda text: _endpoint(env, text, implied)) or ""


def _endpoint(env: Environment, text: str, implied: str) -> str:
    url = _http_url(text)
    if url.host == "r2.dev" or url.host.endswith(".r2.dev"):
        raise ValueError(f"is on r2.dev, which serves public reads only and can sign nothing; use {implied}")
    if url.path.strip("/"):
        raise ValueError("must not have a path: the bucket's name goes to R2_BUCKET_NAME")
    if url.host.endswith(R2_HOST) and not _R2_ENDPOINT.fullmatch(url.host):
        raise ValueError(f"must be of the form {implied}, without the bucket's name")
    _warn(env, url, implied)
    return url.root


def _warn(env: Environment, url: _HttpUrl, implied: str) -> None:
    if url.root.startswith("http:") and not _is_loopback(url.host):
        env.warnings.append("R2_ENDPOINT is plain http: signed URLs and media travel in the clear")
    if not url.host.endswith(R2_HOST) and not _is_loopback(url.host):
        env.warnings.append(
            "R2_ENDPOINT is not an R2 S3 endpoint. If it is a bucket's custom domain, nothing signed for it will "
            f"work; R2's own is {implied}"
        )


def public_base(text: str) -> str:
    """``R2_PUBLIC_URL`` without its trailing slash; raises ``ValueError``."""
    url = _http_url(text)
    return url.root + url.path.rstrip("/")


def jwks_url(text: str) -> str:
    """``JWT_JWKS_URL``: https, or on this machine; raises ``ValueError``."""
    url = _http_url(text)
    if url.root.startswith("http:") and not _is_loopback(url.host):
        raise ValueError("must be https: whoever can change the answer can make tokens")
    return url.root + url.path


def origin(text: str) -> str:
    """One web origin (RFC 6454), or ``*``; raises ``ValueError``."""
    if text == "*":
        return text
    url = _http_url(text)
    if url.path:
        raise ValueError("must list origins such as https://app.example, without a path or a trailing slash")
    return url.root


def _http_url(text: str) -> _HttpUrl:
    try:
        parts = urlsplit(text)
    except ValueError:  # no IPv6 address between brackets; its words quote the value
        parts = SplitResult("", "", "", "", "")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must not have a user, a query or a fragment")
    match = _AUTHORITY.fullmatch(parts.netloc.lower())
    own = _PORTS.get(parts.scheme, 0)
    port = int((match and match[2]) or own)
    if not (own and match and 0 < port < 2**16 and _VISIBLE.fullmatch(text)):
        raise ValueError("must be an http or https URL")
    root = f"{parts.scheme}://{match[1]}" + (f":{port}" if port != own else "")
    return _HttpUrl(root, match[1].strip("[]"), parts.path)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
