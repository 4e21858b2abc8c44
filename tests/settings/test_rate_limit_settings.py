"""The settings of rate limits: trusted proxies, and the URL of Redis."""

from importlib import util
from ipaddress import ip_address
from pathlib import Path

import pytest

from broker.settings import TrustedProxies, parse
from broker.settings.redis_url import redis_url

from .test_settings import GOOD, faults

LIMITED = {**GOOD, "BROKER_ADDRESS_RATE_LIMIT": "600"}
URLS = [
    "redis://127.0.0.1",
    "redis://redis:6379",
    "redis://redis:6379/",
    "redis://user:p%40ss@redis.example:6380/15",
    "rediss://:p@[::1]:6379/0",
    "unix:///run/redis/redis.sock",
    "unix://:password@/run/redis/redis.sock?db=2",
]
BROKEN = [
    "127.0.0.1:6379",
    "http://127.0.0.1",
    "redis://",
    "redis:///0",
    "redis://host:0",
    "redis://host:65536",
    "redis://host:port",
    "redis://host/name",
    "redis://host/0?ssl_cert_reqs=none",
    "redis://host/0#f",
    "redis://a b",
    "redis://[::1",
    "redis://-host",
    "unix://",
    "unix:///",
    "unix://host/run/redis.sock",
    "unix:///run/redis.sock?timeout=1",
]


def test_defaults() -> None:
    """By default addresses have no limit, no proxy is trusted, and each process counts alone."""
    found = parse(GOOD)
    assert (found.address_rate_limit, found.trusted_proxies, found.redis_url) == (0, TrustedProxies(), None)


def test_proxies() -> None:
    """Addresses, networks and Unix sockets may be trusted."""
    found = parse({**LIMITED, "BROKER_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1,fd00::/8, unix"})
    assert found.warnings == ()
    trusted = found.trusted_proxies
    assert all(trusted.trust(ip_address(text)) for text in ("10.1.2.3", "192.0.2.1", "fd00::1"))
    assert not any(trusted.trust(ip_address(text)) for text in ("11.0.0.1", "192.0.2.2", "fe80::1"))
    assert trusted.trust(None)
    assert not TrustedProxies().trust(None)


@pytest.mark.parametrize("value", ["proxy.example", "10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "::/0", "*", "10.0.0"])
def test_broken_proxies(value: str) -> None:
    """A name, a network with host bits and the network of all addresses are faults."""
    (fault,) = faults(BROKER_ADDRESS_RATE_LIMIT="1", BROKER_TRUSTED_PROXIES=f"192.0.2.1,{value}")
    assert fault.startswith("BROKER_TRUSTED_PROXIES must")


def test_proxies_without_a_limit() -> None:
    """Trusted proxies without a limit have no effect, and cause a warning."""
    (warning,) = parse({**GOOD, "BROKER_TRUSTED_PROXIES": "10.0.0.0/8"}).warnings
    assert warning.startswith("BROKER_TRUSTED_PROXIES has no effect")


@pytest.mark.parametrize("url", URLS)
def test_redis_url(url: str) -> None:
    """The URL of a server or of a socket is kept as it is, and hidden from representations."""
    found = parse({**GOOD, "BROKER_REDIS_URL": url})
    assert found.redis_url == url
    assert url not in repr(found)


@pytest.mark.parametrize("url", BROKEN)
def test_broken_redis_url(url: str) -> None:
    """Any other URL is a fault, which does not quote it."""
    (fault,) = faults(BROKER_REDIS_URL=url)
    assert fault.startswith("BROKER_REDIS_URL must be a URL such as redis://")
    assert url not in fault.split(" such as ")[0]


def test_redis_url_from_a_file(tmp_path: Path) -> None:
    """The URL may come from a file, because it contains the password."""
    file = tmp_path / "redis"
    file.write_text("redis://:secret@redis:6379/0\n", encoding="utf-8")
    assert parse({**GOOD, "BROKER_REDIS_URL_FILE": str(file)}).redis_url == "redis://:secret@redis:6379/0"


@pytest.mark.parametrize("absent", ["limits", "redis"])
def test_missing_extra(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the packages of the extra the fault names the command that installs them."""
    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == absent else found(name))
    with pytest.raises(ValueError, match=r"pip install 'r2-upload-broker\[redis\]'"):
        redis_url("redis://127.0.0.1")
