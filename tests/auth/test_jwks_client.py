"""Keys from the identity service over real sockets: floods, outages, rotation and invalid responses."""

import asyncio
import inspect
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from broker import settings
from broker.auth import jwks_client
from broker.auth.bearer import TokenVerifier, key_source_of
from broker.auth.fetch_budget import BURST, COOLDOWN
from broker.auth.jwks_client import FIRST_RETRY, REFRESH_INTERVAL, SKIPPED_LINES_MAX, JwksClient
from broker.core.model import Principal
from broker.errors import IdentityUnavailableError, UnauthenticatedError
from broker.settings.token_rules import JwksLocation, TokenRules
from tests.patience import PATIENCE, SLACK, becomes
from tests.store.certificates import Authority
from tests.store.wire import Act, Wire, answer, drips, endless, resets, says, silence, wire

from .minting import NOW, P256, RSA, USER, bearer, document, emsa, es256, hs, jwk, mint, rs256, verifier

USER_1 = Principal("u1")
RSA_2 = rsa.generate_private_key(65537, 2048)
P256_2 = ec.generate_private_key(ec.SECP256R1())
SET = answer(200, body=document(jwk(P256, "one")))


def token(kid: Any = "one") -> str:
    """Return a valid token by the first key."""
    return mint(sign=es256(P256), header={"alg": "ES256", "kid": kid})


class Identity:
    """A verifier of tokens, the server of its keys, and the clock that measures their age."""

    def __init__(self, server: Wire, url: str, max_stale: int = 86_400) -> None:
        self.server = server
        self.now = 1000.0
        self.timers: list[tuple[float, Callable[[], object]]] = []
        location = JwksLocation(url, max_stale=max_stale)
        self.keys = JwksClient(
            location, clock=lambda: self.now, call_later=lambda seconds, call: self.timers.append((seconds, call))
        )
        self.verifier = TokenVerifier(TokenRules(location), self.keys)

    @property
    def fetches(self) -> int:
        """The number of fetches."""
        return len(self.server.requests)

    async def who(self, given: str) -> Principal:
        """Return the principal of a token."""
        return await self.verifier.authenticate(bearer(given), now=NOW)

    async def refused(self, given: str) -> str:
        """Return the reason for which a token is refused."""
        with pytest.raises(UnauthenticatedError) as caught:
            await self.who(given)
        return caught.value.reason

    async def waits(self) -> float:
        """Wait until the next retry is due, run it, and return the seconds that it was scheduled for."""
        ((seconds, call),) = self.timers
        self.timers.clear()
        self.now += seconds
        call()
        await self.settled()
        return seconds

    async def settled(self) -> None:
        """Wait until no fetch is in flight."""
        while self.keys._fetching:
            await asyncio.wait([self.keys._fetching])
            await asyncio.sleep(0)  # its callbacks run in this iteration of the loop


@asynccontextmanager
async def identity(*acts: Act, max_stale: int = 86_400) -> AsyncIterator[Identity]:
    """Yield a verifier whose keys come from a server with these acts."""
    async with wire(*acts) as server:
        found = Identity(server, f"http://127.0.0.1:{server.port}/.well-known/jwks_client.json", max_stale)
        yield found
        if found.keys._fetching:
            found.keys._fetching.cancel()


async def test_key_by_kid() -> None:
    """A token is verified by the key of its ``kid``, which is fetched once."""
    async with identity(says(SET)) as service:
        assert [await service.who(token()) for _ in range(3)] == [USER_1] * 3
        assert service.fetches == 1
        assert service.server.requests[0].startswith("GET /.well-known/jwks_client.json HTTP/1.1\r\n")


async def test_other_keys() -> None:
    """A token that another key or algorithm signed is refused."""
    forged = mint(sign=hs(b"x" * 32), header={"alg": "ES256", "kid": "one"})
    async with identity(says(SET)) as service:
        assert await service.refused(forged) == "the signature does not verify"
        assert await service.refused(mint(header={"alg": "HS256", "kid": "one"})) == "the algorithm is not allowed"


async def test_k16_exponent_1() -> None:
    """A published key with exponent 1 is ignored, and a usable key beside it is used."""
    forged = mint(sign=emsa, header={"alg": "RS256", "kid": "weak"})
    async with identity(says(answer(200, body=document(jwk(RSA, "weak", e="AQ"), jwk(P256, "one"))))) as service:
        assert await service.who(token()) == USER_1
        assert await service.refused(forged) == "no key has the token's kid"


async def test_k01_random_kids() -> None:
    """Random ``kid``s cause three fetches at once and then one per cooldown, and valid tokens pass meanwhile."""
    async with identity(says(SET)) as service:
        assert await service.who(token()) == USER_1
        for number in range(100):
            assert await service.refused(token(f"random-{number}")) == "no key has the token's kid"
            assert await service.who(token()) == USER_1
        assert service.fetches == 1 + BURST == 4
        for more in range(1, 4):
            service.now += COOLDOWN - 1
            await asyncio.gather(*(service.refused(token(f"more-{number}")) for number in range(50)))
            assert service.fetches == BURST + more
            service.now += 1
            await asyncio.gather(*(service.refused(token(f"more-{number}")) for number in range(50)))
            assert service.fetches == BURST + 1 + more


async def test_k01_burst_is_regained() -> None:
    """After quiet cooldowns as many fetches are allowed again as the burst has, however long it was quiet."""
    async with identity(says(SET)) as service:
        assert await service.who(token()) == USER_1
        for pause, fetches in ((0, BURST), (2 * COOLDOWN, 2), (REFRESH_INTERVAL - 1, BURST)):
            service.now += pause
            earlier = service.fetches
            for number in range(10):
                await service.refused(token(f"random-{number}"))
            assert service.fetches - earlier == fetches


@pytest.mark.parametrize("act", [says(answer(500)), resets(), says(b"")], ids=["500", "reset", "closed"])
async def test_k02_failed_fetches(act: Act) -> None:
    """Failed fetches count like others: requests without keys cause the first, three more, and one per cooldown."""
    async with identity(act) as service:
        for number in range(50):
            with pytest.raises(IdentityUnavailableError):
                await service.who(token(f"random-{number}"))
        assert service.fetches == 1 + BURST
        service.now += COOLDOWN
        for number in range(50):
            with pytest.raises(IdentityUnavailableError):
                await service.who(token(f"more-{number}"))
        assert service.fetches == 2 + BURST


async def test_k02_old_keys() -> None:
    """While a refresh of old keys fails, it is repeated once per cooldown, and valid tokens pass."""
    async with identity(says(SET), says(answer(500))) as service:
        assert await service.who(token()) == USER_1
        service.now += REFRESH_INTERVAL
        for attempt in range(1, 10):
            service.now += COOLDOWN + 1
            for _ in range(20):
                assert await service.who(token()) == USER_1
                await service.settled()
            assert service.fetches == 1 + attempt


async def test_k02_old_keys_and_a_flood() -> None:
    """The refresh of old keys and unknown ``kid``s together cause no more fetches than either."""
    async with identity(says(SET), says(answer(500))) as service:
        assert await service.who(token()) == USER_1
        service.now += REFRESH_INTERVAL + 1
        for _ in range(10):
            for number in range(20):
                assert await service.who(token()) == USER_1
                await service.settled()
                assert await service.refused(token(f"random-{number}")) == "no key has the token's kid"
            service.now += COOLDOWN
        assert service.fetches == 1 + BURST + 9


async def test_k03_k05_hanging_service() -> None:
    """Loaded keys verify without waiting while the service hangs, until they are too old."""
    async with identity(says(SET), silence, max_stale=3600) as service:
        assert await service.who(token()) == USER_1
        service.now += REFRESH_INTERVAL + 1
        began = time.monotonic()
        assert [await service.who(token()) for _ in range(100)] == [USER_1] * 100
        assert time.monotonic() - began < jwks_client._TIMEOUT  # the duration of the hanging fetch
        assert service.fetches <= 2
        service.now += 3600
        assert not service.keys.is_loaded
        with pytest.raises(IdentityUnavailableError):
            service.verifier.verify(bearer(token()), now=NOW)


async def test_k04_requests_without_valid_header() -> None:
    """A token with an invalid header is refused without waiting for a fetch."""
    async with identity(silence) as service:
        waiting = asyncio.create_task(service.keys.refresh())
        began = time.monotonic()
        for _ in range(20):
            await asyncio.sleep(0)  # lets the fetch continue
            assert await service.refused(mint(sign=es256(P256), header={"alg": "ES256", "kid": ""}))
        assert time.monotonic() - began < jwks_client._TIMEOUT  # the duration of the hanging fetch
        assert not waiting.done()
        waiting.cancel()


def test_k24_monotonic_clock() -> None:
    """The age of keys is measured by the monotonic clock."""
    assert inspect.signature(JwksClient).parameters["clock"].default is time.monotonic


async def test_k06_start_without_the_service() -> None:
    """Without loaded keys a request is a 503, until a later fetch succeeds; the request itself may cause that."""
    async with identity(says(answer(503)), says(answer(503)), says(SET)) as service:
        assert not await service.keys.refresh()
        with pytest.raises(IdentityUnavailableError) as caught:
            await service.who(token())
        assert caught.value.retry_after == 1
        assert await service.who(token()) == USER_1
        assert service.keys.is_loaded


async def test_k06_retries() -> None:
    """A process without keys fetches them again after 1 s, doubling up to the refresh interval, until it has them."""
    acts = [says(answer(503))] * 12
    async with identity(*acts, says(SET)) as service:
        assert not await service.keys.refresh()
        pauses = [await service.waits() for _ in range(11)]
        assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
        assert (FIRST_RETRY, REFRESH_INTERVAL) == (1, 300)
        assert service.keys.version() == 0
        await service.waits()
        assert service.keys.version() == 1
        assert (service.timers, service.fetches) == ([], 13)


async def test_k06_retry_and_requests() -> None:
    """Requests without keys schedule no more retries, and a retry after a successful fetch fetches nothing."""
    async with identity(*[says(answer(503))] * 3, says(SET)) as service:
        await service.keys.refresh()
        for _ in range(2):
            with pytest.raises(IdentityUnavailableError):
                await service.who(token())
        assert [seconds for seconds, _ in service.timers] == [1]
        assert await service.who(token()) == USER_1
        assert (await service.waits(), service.fetches) == (1, 4)
        assert service.timers == []


async def test_k06_retry_during_a_fetch() -> None:
    """A retry that is due while a request's fetch is in flight starts no second one, and is scheduled anew."""
    async with identity(says(answer(503)), drips(answer(503), 0.001)) as service:
        assert not await service.keys.refresh()
        ((_, call),) = service.timers
        waiting = asyncio.create_task(service.keys.refresh())
        await asyncio.sleep(0)  # until the fetch has started
        service.timers.clear()
        call()
        assert not await waiting
        await service.settled()
        assert service.fetches == 2
        assert [seconds for seconds, _ in service.timers] == [2]


async def test_retries_use_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without another scheduler the retries of a process are timers of its event loop."""
    monkeypatch.setattr(jwks_client, "FIRST_RETRY", 0.01)
    async with wire(says(answer(503)), says(SET)) as server:
        keys = JwksClient(JwksLocation(f"http://127.0.0.1:{server.port}/"))
        assert not await keys.refresh()
        await becomes(lambda: keys.is_loaded)
        assert len(server.requests) == 2


GARBAGE = {
    "html": says(answer(200, body=b"<html></html>")),
    "empty": says(answer(200)),
    "no UTF-8": says(answer(200, body=b"\xff\xfe\x00")),
    "a list": says(answer(200, body=b"[]")),
    "nested": says(answer(200, body=b"[" * 100_000)),
    "torn": says(SET[:-10]),
    "reset in the body": resets(SET[:-10]),
    "K12 ambiguous": says(answer(200, body=document(jwk(P256, "one"), jwk(P256_2, "one")))),
    "x509 in place of JWK": says(answer(200, body=b'{"one": "-----BEGIN CERTIFICATE-----"}')),
    "K09 too large": endless(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536),
    "K09 compressed": says(answer(200, {"Content-Encoding": "gzip"}, document(jwk(P256, "one")))),
    "K10 redirect": says(answer(302, {"Location": "/elsewhere"})),
    "K12 no keys": says(answer(200, body=document())),
    "K12 null": says(answer(200, body=b'{"keys": null}')),
    "K13 a secret": says(answer(200, body=document({"kty": "oct", "k": "c2VjcmV0", "kid": "one"}))),
    "an error": says(answer(500)),
}


@pytest.mark.parametrize("act", GARBAGE.values(), ids=GARBAGE.keys())
async def test_k07_invalid_responses(act: Act, caplog: pytest.LogCaptureFixture) -> None:
    """After each invalid response the loaded keys stay, and the failure is logged without an address."""
    caplog.set_level(logging.INFO, "broker.auth")
    async with identity(says(SET), act) as service:
        assert await service.who(token()) == USER_1
        service.now += REFRESH_INTERVAL + 1
        assert not await service.keys.refresh()
        assert await service.who(token()) == USER_1
    lines = [json.loads(record.message) for record in caplog.records if record.name == "broker.auth"]
    lines = [line for line in lines if line["event"] != "broker.jwks_key_skipped"]
    assert [(line["event"], line["known"]) for line in lines] == [
        ("broker.jwks_loaded", 1),
        ("broker.jwks_refresh_failed", 1),
    ]
    assert "127.0.0.1" not in lines[1]["reason"]


async def test_k10_redirects() -> None:
    """A redirect is not followed, and keys in its body are ignored."""
    async with wire(says(SET)) as elsewhere:
        there = {"Location": f"http://127.0.0.1:{elsewhere.port}/"}
        async with identity(says(answer(307, there, document(jwk(P256, "one"))))) as service:
            assert not await service.keys.refresh()
            assert service.fetches == 1
        assert elsewhere.connections == 0


REASONS = {
    "the JWK Set has no usable key": says(answer(200, body=document())),
    "the JWK Set does not have a list of at most 100 keys": says(answer(200, body=b"{}")),
    "the response has status 503 or a content coding": says(answer(503)),
    "the response has status 200 or a content coding": says(
        answer(200, {"Content-Encoding": "br"}, document(jwk(P256, "one")))
    ),
    "ServerDisconnectedError": says(b""),
}


@pytest.mark.parametrize(("reason", "act"), REASONS.items())
async def test_logged_reasons(reason: str, act: Act, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the reason of a failed fetch."""
    caplog.set_level(logging.INFO, "broker.auth")
    async with identity(act) as service:
        assert not await service.keys.refresh()
    assert json.loads(caplog.messages[-1])["reason"] == reason


async def test_request_fields() -> None:
    """The request for the keys has the broker's User-Agent and refuses compression."""
    async with identity(says(SET)) as service:
        await service.keys.refresh()
        (asked,) = service.server.requests
    assert "Accept-Encoding: identity\r\n" in asked
    assert "User-Agent: r2-upload-broker\r\n" in asked
    assert "Accept: application/json, application/jwk-set+json, */*;q=0.1\r\n" in asked


async def test_narrowed_algorithms() -> None:
    """The configured algorithms narrow those of published keys."""
    async with identity(says(answer(200, body=document(jwk(RSA, "one"))))) as service:
        service.keys._location = JwksLocation(service.keys._location.url, algorithms=("PS256",))
        assert await service.keys.refresh()
        assert tuple(service.keys.checks("one")) == ("PS256",)


async def test_version() -> None:
    """The version changes with each load of the keys, and is 0 without valid keys."""
    async with identity(says(SET), max_stale=3600) as service:
        assert service.keys.version() == 0
        await service.keys.refresh()
        assert [service.keys.version() for _ in range(3)] == [1, 1, 1]
        service.now += REFRESH_INTERVAL
        assert (service.keys.version(), service.keys._fetching) == (1, None)
        service.now += 1
        assert (service.keys.version(), service.fetches) == (1, 1)
        await service.settled()
        assert (service.keys.version(), service.fetches) == (2, 2)
        service.now += 3601
        assert service.keys.version() == 0


async def test_retry_after() -> None:
    """Without loaded keys the error has the seconds until the next fetch is allowed or scheduled."""
    async with identity(says(answer(500))) as service:

        def retry_after() -> int | None:
            with pytest.raises(IdentityUnavailableError) as caught:
                service.keys.checks("one")
            assert caught.value.reason == "there are no keys"
            return caught.value.retry_after

        assert retry_after() == 1
        for _ in range(BURST + 1):  # the first is free
            assert not await service.keys.refresh()
        assert retry_after() == 1  # the first retry
        await service.waits()
        assert retry_after() == 2
        await service.waits()
        await service.waits()
        assert [service.now - 1000, retry_after()] == [7, 8]
        await service.waits()
        assert [service.now - 1000, retry_after()] == [15, 15]  # of the budget; the next retry is in 16 s
        service.now += 15
        assert retry_after() == 1


async def test_configured_key() -> None:
    """One configured key is always loaded, has a constant version and is never refreshed."""
    key = key_source_of(verifier(P256)._rules)
    assert (key.version(), await key.refresh(), key.is_loaded) == (0, False, True)
    assert tuple(key.checks(None)) == ("ES256",)


def test_key_source_of() -> None:
    """The location of a JWK Set makes a client of it."""
    location = JwksLocation("https://id.example/keys")
    found = key_source_of(TokenRules(location))
    assert isinstance(found, JwksClient)
    assert found._location is location


async def test_k08_dripping_response(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dripping response ends at a total deadline."""
    monkeypatch.setattr(jwks_client, "_TIMEOUT", 0.4)
    async with identity(drips(SET, 0.1)) as service:
        began = time.monotonic()
        assert not await service.keys.refresh()
        assert time.monotonic() - began < 0.4 + SLACK


async def test_k18_rotation() -> None:
    """A new key is loaded at once for its first token, and a removed key is dropped at the next refresh."""
    both = answer(200, body=document(jwk(P256, "one"), jwk(RSA, "two")))
    second = mint(sign=rs256(RSA), header={"alg": "RS256", "kid": "two"})
    async with identity(says(SET), says(both), says(answer(200, body=document(jwk(RSA, "two"))))) as service:
        assert await service.who(token()) == USER_1
        assert await asyncio.gather(*(service.who(second) for _ in range(80))) == [USER_1] * 80
        assert service.fetches == 2
        assert await service.who(token()) == USER_1
        service.now += REFRESH_INTERVAL + 1
        assert await service.who(second) == USER_1
        await service.settled()
        assert await service.refused(token()) == "no key has the token's kid"


async def test_k18_three_rotations() -> None:
    """Three rotations in a row are seen at once, the fourth after a cooldown."""
    sets = [answer(200, body=document(jwk(P256, f"key-{number}"))) for number in range(5)]
    async with identity(*map(says, sets)) as service:
        for number in range(4):
            assert await service.who(token(f"key-{number}")) == USER_1
        assert await service.refused(token("key-4")) == "no key has the token's kid"
        service.now += COOLDOWN
        assert await service.who(token("key-4")) == USER_1


async def test_k19_reused_kid() -> None:
    """A new key with a reused ``kid`` is loaded after the refresh interval."""
    replaced = mint(sign=rs256(RSA), header={"alg": "RS256", "kid": "one"})
    async with identity(says(SET), says(answer(200, body=document(jwk(RSA, "one"))))) as service:
        assert await service.who(token()) == USER_1
        assert await service.refused(replaced) == "the algorithm is not allowed"
        service.now += REFRESH_INTERVAL + 1
        await service.keys.refresh()
        assert await service.who(replaced) == USER_1


async def test_k20_cold_start() -> None:
    """All requests at a cold start wait for one fetch."""
    async with identity(says(SET)) as service:
        assert await asyncio.gather(*(service.who(token()) for _ in range(200))) == [USER_1] * 200
        assert service.fetches == 1


async def test_expired_token_after_fetch() -> None:
    """A token that has expired is refused after its key is fetched."""
    expired = mint({**USER, "exp": NOW - 600}, es256(P256), {"alg": "ES256", "kid": "one"})
    async with identity(says(SET)) as service:
        assert await service.refused(expired) == "the token has expired"


@pytest.mark.parametrize("kid", [None, 5, [], {}, ""])
async def test_k21_invalid_kid(kid: Any) -> None:
    """A token whose ``kid`` is not a text is refused, and causes no fetch."""
    async with identity(says(SET)) as service:
        await service.refused(token(kid))
        assert service.fetches == 0


async def test_k21_no_kid() -> None:
    """A token without a ``kid`` is refused, also if the set has one key, and causes no fetch."""
    async with identity(says(answer(200, body=document(jwk(P256, "one"))))) as service:
        assert await service.who(token()) == USER_1
        nameless = mint(sign=es256(P256), header={"alg": "ES256"})
        assert await service.refused(nameless) == "the token has no kid"
        assert service.fetches == 1


async def test_e02_same_kid() -> None:
    """Keys with one ``kid`` verify the tokens of their algorithms; of two that fit a token, none does."""
    listed = document(jwk(P256, "one"), jwk(RSA, "one", alg="RS256"), jwk(RSA_2, "one", use="enc"), jwk(P256, "one"))
    twice = document(jwk(P256, "one"), jwk(RSA, "one", alg="RS256"), jwk(RSA_2, "one", alg="RS256"))
    by_rsa = mint(sign=rs256(RSA), header={"alg": "RS256", "kid": "one"})
    async with identity(says(answer(200, body=listed)), says(answer(200, body=twice))) as service:
        assert await service.who(token()) == USER_1
        assert await service.who(by_rsa) == USER_1
        by_enc = mint(sign=rs256(RSA_2), header={"alg": "RS256", "kid": "one"})
        assert await service.refused(by_enc) == "the signature does not verify"
        assert await service.keys.refresh()
        assert await service.refused(by_rsa) == "several keys fit the token"
        assert await service.who(token()) == USER_1


async def test_skipped_keys_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each skipped key is logged with its rule, once while the set has the same skipped keys."""
    caplog.set_level(logging.INFO, "broker.auth")
    first = document(jwk(P256, "one"), jwk(RSA, "two", use="enc"), {"kty": "RSA", "n": "canary", "kid": "three"})
    other = document(jwk(P256, "one"), jwk(RSA, "two", use="enc"))
    acts = [says(answer(200, body=body)) for body in (first, first, other, document(jwk(RSA, "two", use="enc")))]
    async with identity(*acts) as service:
        for _ in acts:
            await service.keys.refresh()
        assert await service.who(token()) == USER_1
    lines = [json.loads(message) for message in caplog.messages]
    enc = {"event": "broker.jwks_key_skipped", "kid": "two", "reason": "must have sig as its use"}
    assert lines == [
        {**enc, "index": 1},
        {**enc, "index": 2, "kid": "three", "reason": "must have n in base64url without padding"},
        {"event": "broker.jwks_loaded", "known": 1, "skipped": 2},
        {"event": "broker.jwks_loaded", "known": 1, "skipped": 2},
        {**enc, "index": 1},
        {"event": "broker.jwks_loaded", "known": 1, "skipped": 1},
        {**enc, "index": 0},
        {"event": "broker.jwks_refresh_failed", "reason": "the JWK Set has no usable key", "known": 1},
    ]
    assert "canary" not in caplog.text


async def test_skipped_keys_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A set of a hundred unusable keys causes a bounded number of short lines."""
    body = document(*(jwk(RSA, "k" * 256 + str(number), use="enc") for number in range(99)), jwk(P256, "one"))
    async with identity(says(answer(200, body=body))) as service:
        for _ in range(3):
            assert await service.keys.refresh()
    lines = [line for line in caplog.messages if "broker.jwks_key_skipped" in line]
    assert len(lines) == SKIPPED_LINES_MAX == 20
    assert max(map(len, lines)) < 300


async def test_query_is_sent() -> None:
    """The query of the configured URL is part of the request, and a token cannot change it."""
    async with wire(says(SET)) as server:
        for path in ("/keys?appid=1&p=B2C_1_a%20b", "?appid=2"):
            url = f"http://127.0.0.1:{server.port}{path}"
            found = settings.parse({"JWT_JWKS_URL": url}).tokens
            await TokenVerifier(found).authenticate(bearer(token()), now=NOW)
        targets = [request.split(" ")[1] for request in server.requests]
        assert targets == ["/keys?appid=1&p=B2C_1_a%20b", "/?appid=2"]


MEDIA_TYPES = ["application/json", "application/json; charset=utf-8", "application/jwk-set+json", "text/plain", ""]


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
async def test_any_media_type(media_type: str) -> None:
    """The Content-Type of the keys does not matter, nor whether they are sent in chunks."""
    body = document(jwk(P256, "one"))
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    for data in (answer(200, {"Content-Type": media_type}, body), head + chunked):
        async with identity(says(data)) as service:
            assert await service.who(token()) == USER_1


async def test_t14_urls_are_not_fetched() -> None:
    """No URL in a token is fetched."""
    async with identity(says(SET)) as service, wire(says(SET)) as listener:
        there = f"http://127.0.0.1:{listener.port}/"
        for name in ("jku", "x5u", "iss"):
            header = {"alg": "ES256", "kid": there, name: there}
            await service.refused(mint({**USER, "iss": there}, es256(P256), header))
        assert listener.connections == 0


@pytest.mark.parametrize("fault", ["expired", "of another host", "of another authority"])
async def test_k22_invalid_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Keys from a server with an invalid certificate are not loaded."""
    (tmp_path / "other").mkdir()
    authority = Authority(tmp_path)
    monkeypatch.setattr("broker.http_client.origin.default_tls_context", authority.trust)
    contexts: dict[str, ssl.SSLContext] = {
        "expired": authority.server(days=-1),
        "of another host": authority.server("127.0.0.2"),
        "of another authority": Authority(tmp_path / "other").server(),
    }
    async with wire(says(SET), tls=contexts[fault]) as server:
        assert not await Identity(server, f"https://127.0.0.1:{server.port}/").keys.refresh()
    async with wire(says(SET), tls=authority.server()) as server:
        assert await Identity(server, f"https://127.0.0.1:{server.port}/").keys.refresh()


async def test_k23_no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies in the environment are not used."""
    async with identity(says(SET)) as service, wire(says(answer(500))) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await service.keys.refresh()
        assert proxy.connections == 0


async def test_cancelled_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled request does not cancel the fetch for the others."""
    monkeypatch.setattr(jwks_client, "_TIMEOUT", PATIENCE)
    async with identity(drips(SET, 0.001)) as service:
        first = asyncio.create_task(service.who(token()))
        await asyncio.sleep(0.01)  # until it waits for the fetch
        second = asyncio.create_task(service.who(token()))
        await asyncio.sleep(0.01)  # until this one waits, too
        first.cancel()
        assert await second == USER_1
        assert service.fetches == 1
