"""The proxies of ``BROKER_TRUSTED_PROXIES``, whose X-Forwarded-For is believed."""

import ipaddress
from dataclasses import dataclass
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

SOCKETS: Final = "unix"
"""The item that stands for all peers on Unix sockets, which have no address."""

_RULE: Final = "must list addresses and networks such as 10.0.0.7, 10.0.0.0/8, fd00::/8, or unix for Unix sockets"


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks of the trusted proxies, and whether peers on Unix sockets are trusted too."""

    networks: tuple[Network, ...] = ()
    trusts_sockets: bool = False

    def trust(self, address: Address | None) -> bool:
        """Return whether the peer at ``address`` is a trusted proxy; ``None`` is a peer on a Unix socket."""
        if address is None:
            return self.trusts_sockets
        return any(address in network for network in self.networks)


def trusted_network(text: str) -> Network | None:
    """Return one item of the list as a network, or ``None`` for Unix sockets; raise ``ValueError`` with the rule."""
    if text == SOCKETS:
        return None
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        reason = ": 10.0.0.0/8, not 10.0.0.1/8" if "host bits" in str(error) else ""
        raise ValueError(_RULE + reason) from None
    if network.prefixlen == 0:
        raise ValueError("must not trust every address: any client could then choose its own")
    return network
