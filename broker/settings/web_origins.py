"""Rules for the origins of ``BROKER_CORS_ORIGINS``, as browsers and hybrid apps send them (RFC 6454, section 6.2).

An app in a web view has a scheme of its own: ``capacitor://localhost``, ``tauri://localhost``, ``app://-``, and
extensions of browsers have theirs: ``chrome-extension://`` with the extension's id.
"""

import ipaddress
import re
from typing import Final

_EXAMPLE: Final = "https://app.example"
_ORIGIN: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#:]+|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?")
_HOST: Final = re.compile(r"[A-Za-z0-9._~-]+")
_WEB_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\]")
_PORTS: Final = {"http": "80", "https": "443"}
_WITHOUT_ORIGIN: Final = frozenset({"about", "blob", "content", "data", "file", "filesystem", "javascript"})
_PROTOCOLS: Final = frozenset({"ftp", "ws", "wss"})


def web_origin(text: str) -> str:
    """Return one origin as a browser sends it, or ``*``; raise ``ValueError`` with the broken rule."""
    if text == "*":
        return text
    if text.lower() == "null" or text.partition(":")[0].lower() in _WITHOUT_ORIGIN:
        raise ValueError(
            "must not list null or file: every page without an origin sends null, also hostile ones. "
            "Serve the page by http, https or the app's own scheme"
        )
    _check_text(text)
    match = _ORIGIN.fullmatch(text)
    if match is None:
        raise ValueError(f"must list origins such as {_EXAMPLE}, each a scheme, a host and an optional port")
    scheme, host, port = match[1].lower(), match[2], match[3]
    if scheme in _PROTOCOLS:
        raise ValueError(f"must list the origins of pages, such as {_EXAMPLE}, and not of other connections")
    host = host.lower() if scheme in _PORTS else host
    rule = _WEB_HOST if scheme in _PORTS else _HOST
    if not rule.fullmatch(host) or not _is_address(host) or (port and not 0 < int(port) < 2**16):
        raise ValueError(f"must list origins with a valid host and port, such as {_EXAMPLE}:8443")
    number = str(int(port)) if port else ""
    return f"{scheme}://{host}" + (f":{number}" if number and number != _PORTS.get(scheme) else "")


def _is_address(host: str) -> bool:
    """Return whether a host is an IPv6 address if it stands in brackets."""
    if not host.startswith("["):
        return True
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


def _check_text(text: str) -> None:
    """Raise ``ValueError`` for likely mistakes, each with its remedy."""
    authority, slash, _ = text.partition("://")[2].partition("/")
    if re.search(r"[\s;]", text):
        raise ValueError("must separate its origins by commas")
    if "*" in text:
        raise ValueError("must list every origin in full, without a wildcard inside: list each subdomain, or * alone")
    if slash or "?" in text or "#" in text:
        raise ValueError(f"must list origins such as {_EXAMPLE}, without a path or a trailing slash")
    if "@" in authority:
        raise ValueError(f"must list origins such as {_EXAMPLE}, without a user")
    if not text.isascii():
        raise ValueError("must list international hosts as browsers send them, in Punycode: xn--...")
