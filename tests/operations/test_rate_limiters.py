"""The contract of a rate limiter, held by the memory of a process and by a real redis-server."""

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis.asyncio import Redis

from broker.core.quota import Quota
from broker.doctor.redis_checks import check_redis
from broker.errors import RateLimitedError
from broker.service import redis_rate_limiter
from broker.service.memory_rate_limiter import MemoryRateLimiter
from broker.service.rate_limit import RateLimiter
from broker.service.redis_rate_limiter import RedisCounts, connect
from tests.patience import SLACK, becomes
from tests.ports import free_port

from .redis_server import RedisServer

pytestmark = pytest.mark.operations
QUOTA = Quota("principal", 60)
Make = Callable[[Quota], RateLimiter]
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give Redis more time: on a busy machine a late response would be counted in memory."""
    monkeypatch.setattr(redis_rate_limiter, "PATIENCE", 2.0)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """Start a Redis of one test."""
    with RedisServer() as running:
        yield running


async def connected(url: str) -> RedisCounts:
    """Return the counts at a URL, once Redis counts."""
    counts = connect(url)
    await counts.start()
    await becomes(lambda: not counts.is_away)
    return counts


@pytest_asyncio.fixture
async def counts(server: RedisServer) -> AsyncIterator[RedisCounts]:
    """Return the counts in the Redis."""
    found = await connected(server.url)
    yield found
    await found.close()


@pytest_asyncio.fixture(params=["memory", "redis"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Return a function that makes a limiter of each kind."""
    if request.param == "memory":
        yield MemoryRateLimiter
        return
    with RedisServer() as running:
        found = await connected(running.url)
        yield found.limiter
        await found.close()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Return a function that returns the lines of the log."""
    caplog.set_level("INFO", "broker.service")
    return lambda: [json.loads(record.message) for record in caplog.records if record.name == "broker.service"]


async def spent(limiter: RateLimiter, key: str, amount: int) -> bool:
    """Return whether an amount could be taken."""
    try:
        await limiter.take(key, amount)
    except RateLimitedError:
        return False
    return True


async def test_quota_is_spent_once(make: Make) -> None:
    """A caller can spend its quota in any amounts, and no more; a refusal takes nothing."""
    limiter = make(QUOTA)
    assert [await spent(limiter, "u1", amount) for amount in (30, 25, 6, 5, 2)] == [True, True, False, True, False]


async def test_callers_and_partitions_are_apart(make: Make) -> None:
    """Each caller has its own quota, whatever its name contains, and each partition too."""
    limiter = make(QUOTA)
    names = ["u1", "u1/60", "a/60/1/minute", "{u1}", "ü", "x y", "*", "u" * 255]
    assert all([await spent(limiter, name, 60) for name in names])
    assert not any([await spent(limiter, name, 2) for name in names])
    assert await spent(make(Quota("address", 60)), "u1", 60)


async def test_refusal_states_the_quota(make: Make) -> None:
    """A refusal has the seconds until a retry and the fields of the quota, with what is left."""
    limiter = make(QUOTA)
    await limiter.take("u1", 50)
    with pytest.raises(RateLimitedError) as caught:
        await limiter.take("u1", 60)
    retry_after = caught.value.retry_after or 0
    assert 1 <= retry_after <= 120
    assert caught.value.headers["RateLimit-Policy"] == '"principal";q=60;w=60'
    assert caught.value.headers["RateLimit"] == f'"principal";r=10;t={retry_after}'


async def test_requests_at_once_spend_the_quota(make: Make) -> None:
    """Of many requests at the same time exactly as many pass as the quota has."""
    limiter = make(Quota("principal", 20))
    assert sum(await asyncio.gather(*(spent(limiter, "u1", 1) for _ in range(30)))) == 20


async def test_two_processes_count_together(server: RedisServer, counts: RedisCounts) -> None:
    """Two processes with one Redis have one quota."""
    other = await connected(server.url)
    limiters = [counts.limiter(QUOTA), other.limiter(QUOTA)]
    passed = await asyncio.gather(*(spent(limiters[n % 2], "u1", 1) for n in range(60)))
    assert all(passed)
    assert not await spent(limiters[0], "u1", 2)
    await other.close()


async def test_quota_returns_after_the_stated_time(server: RedisServer, counts: RedisCounts) -> None:
    """A quota that was spent at once returns evenly after the window, as the refusal states."""
    limiter = counts.limiter(QUOTA)
    await limiter.take("u1", 60)
    client = Redis(unix_socket_path=str(server.socket))
    (key,) = [key async for key in client.scan_iter("broker:*principal*")]
    await client.pexpire(key, 60_000 + 500)  # the window ends in half a second
    with pytest.raises(RateLimitedError) as caught:
        await limiter.take("u1", 1)
    assert caught.value.retry_after == 1
    assert caught.value.headers["RateLimit"] == '"principal";r=0;t=1'
    await client.aclose()
    await asyncio.sleep(1.5)  # past the end of the window
    await limiter.take("u1", 1)


async def test_killed_server_is_back_after_its_start(server: RedisServer, counts: RedisCounts, lines: Lines) -> None:
    """While Redis is killed no request fails; after its start it counts again, and the log has two lines."""
    limiter = counts.limiter(QUOTA)
    await limiter.take("u1", 1)
    server.kill()
    assert all([await spent(limiter, "u1", 1) for _ in range(50)])
    await becomes(lines)
    server.start()
    await becomes(lambda: not counts.is_away)
    assert [line["event"] for line in lines()] == ["broker.redis_lost", "broker.redis_restored"]
    assert counts.errors >= 2
    assert await spent(limiter, "u1", 60)


async def test_silent_server_delays_one_request(
    server: RedisServer, counts: RedisCounts, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that receives and does not respond delays the requests of one moment, and none after them."""
    limiter, clock = counts.limiter(QUOTA), asyncio.get_running_loop().time
    monkeypatch.setattr(redis_rate_limiter, "PATIENCE", 0.02)
    server.stop()
    started = clock()
    await asyncio.gather(*(limiter.take(f"u{n}", 1) for n in range(10)))
    assert 0.019 <= clock() - started < SLACK
    before = counts.errors
    for _ in range(50):
        await limiter.take("u1", 1)
    assert counts.errors - before <= 2  # probes
    await becomes(lines)
    assert lines()[0]["reason"] in ("no response within 1000 ms", "no response within 20 ms")
    server.resume()
    await becomes(lambda: not counts.is_away)


async def test_full_server_is_away(server: RedisServer, counts: RedisCounts, lines: Lines) -> None:
    """A Redis that responds and accepts no writes is away too, with the reason in the log."""
    client = Redis(unix_socket_path=str(server.socket))
    await client.config_set("maxmemory", "1")
    assert await spent(counts.limiter(QUOTA), "u1", 1)
    await becomes(lines)
    assert "OOM" in lines()[0]["reason"] or "OutOfMemory" in lines()[0]["reason"]
    await client.config_set("maxmemory", "0")
    await client.aclose()
    await becomes(lambda: not counts.is_away)


async def test_password_is_used_and_not_logged(lines: Lines) -> None:
    """The password of the URL opens the connection; a wrong one is an outage whose line does not contain it."""
    port = free_port()
    with RedisServer("--requirepass", "the right password", port=port):
        right = await connected(f"redis://:the%20right%20password@127.0.0.1:{port}/1")
        assert (await check_redis(right))[0].text.startswith("Redis 7")
        await right.close()
        wrong = connect(f"redis://:a-wrong-password@127.0.0.1:{port}/1")
        await wrong.start()
        await becomes(lines)
        assert "AuthenticationError" in lines()[0]["reason"]
        assert "a-wrong-password" not in str(lines())
        (finding,) = await check_redis(wrong)
        assert finding.name == "redis-away"
        await wrong.close()


async def test_least_rights_suffice() -> None:
    """A user with the rights that the documentation lists can count."""
    port = free_port()
    page = (Path(__file__).parents[2] / "docs/troubleshooting.md").read_text(encoding="utf-8")
    rights = page.split("Allow `", 1)[1].split("`", 1)[0].split()
    with RedisServer(port=port) as server:
        client = Redis(unix_socket_path=str(server.socket))
        await client.acl_setuser("broker", enabled=True, passwords="+pw", keys="broker:*", commands=rights)
        counts = await connected(f"redis://broker:pw@127.0.0.1:{port}/0")
        limiter = counts.limiter(QUOTA)
        assert [await spent(limiter, "u1", 60), await spent(limiter, "u1", 2)] == [True, False]
        (key,) = [key async for key in client.scan_iter("broker:*principal*")]
        await client.pexpire(key, 60_000)
        await asyncio.sleep(0.01)  # until the window is the previous one
        await spent(limiter, "u1", 1)
        assert await counts.server() == f"Redis {(await client.info('server'))['redis_version']}"
        assert counts.errors == 0
        await client.aclose()
        await counts.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """Write a key and a certificate of 127.0.0.1 that signs itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    private = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key").write_bytes(private)
    (folder / "certificate").write_bytes(built.public_bytes(form))
    return folder / "key", folder / "certificate"


async def test_tls_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: Lines) -> None:
    """With rediss the certificate is verified, by the authorities of ``SSL_CERT_FILE`` too."""
    key, issued = certificate(tmp_path)
    port = free_port()
    options = ("--tls-port", str(port), "--tls-cert-file", str(issued), "--tls-key-file", str(key))
    with RedisServer(*options, "--tls-auth-clients", "no"):
        unknown = connect(f"rediss://127.0.0.1:{port}")
        await unknown.start()
        await becomes(lines)
        assert "certificate" in lines()[0]["reason"].lower()
        await unknown.close()
        monkeypatch.setenv("SSL_CERT_FILE", str(issued))
        known = await connected(f"rediss://127.0.0.1:{port}")
        assert await spent(known.limiter(QUOTA), "u1", 60)
        await known.close()
