"""The address under which a client's requests are counted, and the limit of an address."""

from collections.abc import Sequence
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import settings
from broker.service.assembly import assemble
from broker.web import client_address
from broker.web.app import create_app
from broker.web.client_address import counted_address
from tests.stores.memory import MemoryObjectStore

from .application import ENVIRONMENT, JWT_SECRET, KEY, client

PROXIES = settings.parse(
    {
        "JWT_SECRET": JWT_SECRET,
        "BROKER_ADDRESS_RATE_LIMIT": "1",
        "BROKER_TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8, 192.0.2.1",
    }
).trusted_proxies
LIMITED = {**ENVIRONMENT, "BROKER_ADDRESS_RATE_LIMIT": "5"}


def counted(peer: str | None, *fields: str, proxies: settings.TrustedProxies = PROXIES) -> str:
    """Return the counted address of a request from ``peer`` with X-Forwarded-For fields."""
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in fields]
    scope = {"type": "http", "client": None if peer is None else (peer, 1234), "headers": headers}
    return counted_address(scope, proxies)


@pytest.mark.parametrize(
    ("peer", "fields", "expected"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7, 10.0.0.9,192.0.2.1"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7", "10.0.0.9"], "203.0.113.7"),
        ("fd00::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7:4711"], "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::/64"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::/64"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ],
)
def test_address_behind_proxies(peer: str, fields: Sequence[str], expected: str) -> None:
    """The client is the last address that is not a trusted proxy, without its port; IPv6 is counted by /64."""
    assert counted(peer, *fields) == expected


@pytest.mark.parametrize(
    "hostile", ["", "unknown", "_hidden", "203.0.113.7, ", "1.2.3", "::1::", "[::1", "\xff", "a:1"]
)
def test_item_that_is_not_an_address(hostile: str) -> None:
    """If a proxy passes on an item that is not an address, its own address is counted."""
    assert counted("10.0.0.1", hostile) == "10.0.0.1"
    assert counted("10.0.0.1", f"{hostile}, 10.0.0.2") == "10.0.0.2"


def test_peer_on_a_unix_socket() -> None:
    """A peer on a Unix socket is trusted only if unix is listed."""
    trusting = settings.parse({"JWT_SECRET": JWT_SECRET, "BROKER_TRUSTED_PROXIES": "unix"}).trusted_proxies
    assert counted(None, "203.0.113.7") == "unix"
    assert counted(None, "203.0.113.7", proxies=trusting) == "203.0.113.7"
    assert counted("203.0.113.9", "203.0.113.7", proxies=trusting) == "203.0.113.9"


def test_few_addresses_are_read() -> None:
    """At most 32 addresses are read, however many trusted ones a client adds."""
    listed = ["203.0.113.7", *["10.0.0.2"] * client_address.HOPS_MAX]
    assert counted("10.0.0.1", ",".join(listed)) == "10.0.0.2"
    assert counted("10.0.0.1", ",".join(listed[:-1])) == "203.0.113.7"


@given(st.lists(st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace").decode("latin-1")), max_size=5))
def test_no_text_changes_an_untrusted_address(fields: list[str]) -> None:
    """No text of the field changes the address of a peer that is not a trusted proxy."""
    assert counted("203.0.113.7", *fields) == "203.0.113.7"


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_one_network_has_one_count(address: IPv6Address, host: int) -> None:
    """All addresses of one /64 are counted together."""
    other = IPv6Address(int(address) >> 64 << 64 | host)
    if address.ipv4_mapped is None and other.ipv4_mapped is None:
        assert counted(str(address)) == counted(str(other))


def test_address_is_limited_before_authentication() -> None:
    """Every request of an address counts, with any response; over the limit all are refused, valid ones too."""
    with client(MemoryObjectStore(), environment=LIMITED) as app:
        statuses = [
            app.get(f"/api/v1/downloads/{KEY}").status_code,
            app.get(f"/api/v1/downloads/{KEY}", headers={"Authorization": "Bearer x"}).status_code,
            app.get("/no-such-path").status_code,
            app.post("/api/v1/uploads").status_code,
            app.get("/openapi.yaml").status_code,
        ]
        assert 429 not in statuses
        refused = app.get(f"/api/v1/downloads/{KEY}")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.json()["requestId"] == refused.headers["x-request-id"]
        assert refused.headers["ratelimit-policy"] == '"address";q=5;w=60'
        assert refused.headers["ratelimit"] == f'"address";r=0;t={refused.headers["retry-after"]}'
        assert app.get("/healthz").status_code == 200
        assert app.get("/readyz").status_code == 200


def test_preflight_does_not_count() -> None:
    """A preflight of a listed origin is answered over the limit, and a page can read the refusal and its fields."""
    origin = {"Origin": "https://app.example"}
    preflight = {**origin, "Access-Control-Request-Method": "GET"}
    with client(environment={**LIMITED, "BROKER_CORS_ORIGINS": "https://app.example"}) as app:
        while (response := app.get("/no-such-path", headers=origin)).status_code != 429:
            pass
        assert response.headers["access-control-allow-origin"] == "https://app.example"
        exposed = response.headers["access-control-expose-headers"].split(", ")
        assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(exposed)
        assert app.options("/api/v1/uploads", headers=preflight).status_code == 200


def test_address_is_limited_without_a_store() -> None:
    """A broker without a store limits addresses too."""
    with client(environment={"JWT_SECRET": JWT_SECRET, "BROKER_ADDRESS_RATE_LIMIT": "1"}) as app:
        assert [app.get("/keys").status_code for _ in range(2)] == [404, 429]


def test_no_limit_costs_nothing() -> None:
    """Without a limit of addresses, no middleware looks at a request."""
    app = create_app(assemble(settings.parse(ENVIRONMENT)))
    assert "AddressLimit" not in [middleware.cls.__name__ for middleware in app.user_middleware]  # type: ignore[attr-defined]  # a class
