"""The address of the client that sent a request, behind proxies that the deployment trusts.

Rules of this module
- X-Forwarded-For is read only if the peer is a trusted proxy. Each proxy appends the address of its own peer, so the
  list is read from its end: the last address that is not a trusted proxy is the client's, and all before it are its
  own claims.
- ``Forwarded`` (RFC 7239) is not read: a proxy that writes one of the two fields passes on the other as it came.
- An IPv6 client is the /64 of its address, because one host can use all addresses in it (RFC 6177, RFC 8981).
"""

import ipaddress
import re
from typing import Final

from starlette.types import Scope

from broker.settings.trusted_proxies import SOCKETS, Address, TrustedProxies

HOPS_MAX: Final = 32
"""Addresses of X-Forwarded-For that are read, from the end."""

_FIELD: Final = b"x-forwarded-for"
_WITH_PORT: Final = re.compile(r"\[([^\]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


def counted_address(scope: Scope, proxies: TrustedProxies) -> str:
    """Return the name under which the client's requests are counted: an IPv4 address, a /64, or ``unix``."""
    client = scope.get("client")
    peer = _address(client[0]) if client else None
    if proxies.trust(peer):
        peer = _last_untrusted(scope, proxies, peer)
    return _name(peer)


def _last_untrusted(scope: Scope, proxies: TrustedProxies, peer: Address | None) -> Address | None:
    """Return the last address of X-Forwarded-For that is not a trusted proxy.

    Returns the proxy that wrote it if an item is not an address, and the first address if all are trusted.
    """
    fields = [value for name, value in scope["headers"] if name == _FIELD]
    items = b",".join(fields).decode("latin-1").split(",") if fields else []
    for item in reversed(items[-HOPS_MAX:]):
        address = _address(item.strip())
        if address is None:
            return peer
        peer = address
        if not proxies.trust(peer):
            return peer
    return peer


def _address(text: str) -> Address | None:
    """Return an address, without its port and its zone; ``None`` if the text is not one."""
    match = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((match[1] or match[2] if match else text).partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _name(address: Address | None) -> str:
    if address is None:
        return SOCKETS
    return str(address) if address.version == 4 else str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
