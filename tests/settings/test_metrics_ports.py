"""The address and ports of the metrics endpoint."""

import pytest

from broker.settings import MetricsSettings, parse

from .test_settings import GOOD, faults


@pytest.mark.parametrize(
    ("text", "host", "first", "last"),
    [
        ("9100", "127.0.0.1", 9100, 9100),
        ("9100-9100", "127.0.0.1", 9100, 9100),
        ("9100-9163", "127.0.0.1", 9100, 9163),
        ("0.0.0.0:65535", "0.0.0.0", 65535, 65535),
        ("[::1]:1-2", "::1", 1, 2),
    ],
)
def test_ports_and_addresses(text: str, host: str, first: int, last: int) -> None:
    """A port or a range of ports may have an address."""
    assert parse({**GOOD, "BROKER_METRICS_PORT": text}).metrics == MetricsSettings(host, range(first, last + 1))


def test_no_port() -> None:
    """Without a port there are no metrics."""
    assert parse(GOOD).metrics is None


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "65536",
        "9101-9100",
        "9100-9164",
        "65535-65536",
        "-9100",
        "9100-",
        "91OO",
        "٩١٠٠",
        "9100 - 9101",
        ":9100",
        "localhost:9100",
        "256.0.0.1:9100",
        "::1:9100",
        "[1.2]:9100",
        "http://127.0.0.1:9100",
    ],
)
def test_invalid_ports(text: str) -> None:
    """An invalid address, port or range is a fault with the rule."""
    (fault,) = faults(BROKER_METRICS_PORT=text)
    assert fault.startswith("BROKER_METRICS_PORT must be a port such as 9100, or a range")
