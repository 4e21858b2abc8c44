"""Looking up the addresses of a host: shared, kept, and no part of the time to connect."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from aiohappyeyeballs import AddrInfoType

from broker.http_client import addresses
from broker.http_client.addresses import Addresses
from tests.store.wire import keeps

from .facing import GOOD, facing, good

ADDRESS: AddrInfoType = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))
OTHER: AddrInfoType = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 80))


class NameServer:
    """Answers look-ups in turn, each when the test lets it; a failure stands in the list as an exception."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *outcomes: list[AddrInfoType] | Exception) -> None:
        self.outcomes = [*outcomes]
        self.lookups = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self._look_up)

    async def _look_up(self, *_: Any, **__: Any) -> Sequence[AddrInfoType]:
        self.lookups += 1
        await self.may_answer.wait()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def test_connections_that_wait_share_one_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """And those that come afterwards use its answer."""
    server = NameServer(monkeypatch, [ADDRESS])
    server.may_answer.clear()
    found = Addresses("store.example", 80)
    waiting = asyncio.gather(*(found.get() for _ in range(50)))
    await asyncio.sleep(0)
    server.may_answer.set()
    assert await waiting == [[ADDRESS]] * 50
    assert await found.get() == [ADDRESS]
    assert server.lookups == 1


async def test_an_old_answer_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that has moved is found."""
    server = NameServer(monkeypatch, [ADDRESS], [OTHER])
    monkeypatch.setattr(addresses, "ADDRESS_LIFETIME", 0.0)
    found = Addresses("store.example", 80)
    assert [await found.get(), await found.get()] == [[ADDRESS], [OTHER]]
    assert server.lookups == 2


async def test_the_last_answer_is_kept_when_a_look_up_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is used for a while, without another look-up for each connection."""
    server = NameServer(monkeypatch, [ADDRESS], socket.gaierror())
    monkeypatch.setattr(addresses, "ADDRESS_LIFETIME", 0.0)
    found = Addresses("store.example", 80)
    await found.get()
    monkeypatch.setattr(addresses, "ADDRESS_LIFETIME", 60.0)
    assert [await found.get() for _ in range(3)] == [[ADDRESS]] * 3
    assert server.lookups == 2


async def test_the_last_answer_is_used_when_a_look_up_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up goes on, and its answer is used when it comes."""
    server = NameServer(monkeypatch, [ADDRESS], [OTHER])
    monkeypatch.setattr(addresses, "ADDRESS_LIFETIME", 0.0)
    monkeypatch.setattr(addresses, "LOOKUP_WAIT", 0.01)
    found = Addresses("store.example", 80)
    await found.get()
    server.may_answer.clear()
    assert [await found.get(), await found.get()] == [[ADDRESS]] * 2
    assert server.lookups == 2
    monkeypatch.setattr(addresses, "LOOKUP_WAIT", 60.0)
    server.may_answer.set()
    assert await found.get() == [OTHER]


async def test_a_first_look_up_that_fails_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next connection tries again."""
    NameServer(monkeypatch, socket.gaierror(), [ADDRESS])
    found = Addresses("store.example", 80)
    with pytest.raises(socket.gaierror):
        await found.get()
    assert await found.get() == [ADDRESS]


async def test_a_caller_that_gives_up_leaves_the_look_up_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one task for all of them."""
    server = NameServer(monkeypatch, [ADDRESS])
    server.may_answer.clear()
    found = Addresses("store.example", 80)
    impatient, patient = asyncio.create_task(found.get()), asyncio.create_task(found.get())
    await asyncio.sleep(0)
    impatient.cancel()
    server.may_answer.set()
    assert await patient == [ADDRESS]
    assert server.lookups == 1


async def test_a_slow_look_up_takes_nothing_of_the_time_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server may be slower than a connection may be."""
    loop = asyncio.get_running_loop()
    get = loop.getaddrinfo

    async def slowly(*arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(1.5)
        return await get(*arguments, **options)

    async with facing(keeps(GOOD), connect_timeout=1.0) as (client, _):
        monkeypatch.setattr(loop, "getaddrinfo", slowly)
        await good(client)
