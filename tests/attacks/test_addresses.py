"""H30: a client that claims other addresses neither evades the limit of its own nor uses up that of another.

All requests go over a socket to the served application. The client is at 127.0.0.1, and the rows set which peers are
trusted.
"""

from collections.abc import Iterator

import pytest

from tests.web.application import ENVIRONMENT
from tests.web.running_server import GOOD_PATH, RunningServer, request

LIMIT = 5
LIMITED = {**ENVIRONMENT, "BROKER_ADDRESS_RATE_LIMIT": str(LIMIT)}
TRUSTING = {**LIMITED, "BROKER_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8"}


@pytest.fixture
def direct() -> Iterator[RunningServer]:
    """Serve clients without a proxy."""
    with RunningServer(environment=LIMITED) as server:
        yield server


@pytest.fixture
def behind() -> Iterator[RunningServer]:
    """Serve clients behind a proxy at 127.0.0.1."""
    with RunningServer(environment=TRUSTING) as server:
        yield server


def status(server: RunningServer, *fields: str) -> int:
    """Return the status of a request with these fields."""
    (reply,) = server.replies_to(request("GET", GOOD_PATH, *fields))
    return reply.status


@pytest.mark.parametrize(
    "field",
    [
        "X-Forwarded-For: 203.0.113.{n}",
        "X-Forwarded-For: 203.0.113.{n}, 127.0.0.1",
        "x-forwarded-for: 2001:db8:{n}::1",
        "Forwarded: for=203.0.113.{n}",
        "X-Real-IP: 203.0.113.{n}",
        "CF-Connecting-IP: 203.0.113.{n}",
        "True-Client-IP: 203.0.113.{n}",
        "X_Forwarded_For: 203.0.113.{n}",
        "X-Forwarded-For: 10.0.0.{n}\r\nX-Forwarded-For: 10.0.1.{n}",
    ],
)
def test_h30_untrusted_peer_names_itself_in_vain(direct: RunningServer, field: str) -> None:
    """No field changes the address of a client that is not a trusted proxy."""
    statuses = [status(direct, field.format(n=n)) for n in range(LIMIT + 2)]
    assert statuses == [200] * LIMIT + [429] * 2


@pytest.mark.parametrize(
    "claimed",
    [
        "198.51.100.{n}, 203.0.113.7",
        "198.51.100.{n}, 203.0.113.7, 10.0.0.3",
        "198.51.100.{n}:{n}, 203.0.113.7:{n}",
        "10.0.0.{n}, 203.0.113.7",
        "unknown, 203.0.113.7",
        "198.51.100.{n}\r\nX-Forwarded-For: 203.0.113.7",
        "203.0.113.7\r\nForwarded: for=198.51.100.{n}",
        "203.0.113.7\r\nX-Real-IP: 198.51.100.{n}",
        "::ffff:203.0.113.7",
    ],
)
def test_h30_claims_before_the_proxy_are_ignored(behind: RunningServer, claimed: str) -> None:
    """Behind a trusted proxy the address that it appended counts, whatever the client claimed before."""
    statuses = [status(behind, f"X-Forwarded-For: {claimed.format(n=n)}") for n in range(LIMIT + 2)]
    assert statuses == [200] * LIMIT + [429] * 2
    assert status(behind, "X-Forwarded-For: 203.0.113.8") == 200


def test_h30_one_network_is_one_client(behind: RunningServer) -> None:
    """Addresses of one IPv6 /64 share a limit, and another /64 has its own."""
    statuses = [status(behind, f"X-Forwarded-For: 2001:db8:0:1::{n}") for n in range(LIMIT + 1)]
    assert statuses == [200] * LIMIT + [429]
    assert status(behind, "X-Forwarded-For: 2001:db8:0:2::1") == 200


def test_h30_victim_is_not_used_up(behind: RunningServer) -> None:
    """A client cannot use up the limit of another by claiming its address."""
    for _ in range(LIMIT + 1):
        status(behind, "X-Forwarded-For: 203.0.113.9, 203.0.113.7")
    assert status(behind, "X-Forwarded-For: 203.0.113.9") == 200
