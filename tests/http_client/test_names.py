"""The lookup of a host's addresses, and their cache."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest
from aiohappyeyeballs import AddrInfoType

from broker.http_client import addresses
from broker.http_client.addresses import Addresses
from tests.store.wire import keeps

from .clients import GOOD, check_good, client_of

ADDRESS: AddrInfoType = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))
OTHER: AddrInfoType = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 80))


class NameServer:
    """A name server that returns or raises its ``outcomes`` in turn, while ``may_answer`` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *outcomes: list[AddrInfoType] | Exception) -> None:
        self.outcomes = [*outcomes]
        self.lookups = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self._resolve)

    async def _resolve(self, *_: Any, **__: Any) -> Sequence[AddrInfoType]:
        self.lookups += 1
        await self.may_answer.wait()
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def test_callers_share_one_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting callers share one lookup, and later ones use its addresses."""
    server = NameServer(monkeypatch, [ADDRESS])
    server.may_answer.clear()
    found = Addresses("store.example", 80)
    waiting = asyncio.gather(*(found.get() for _ in range(50)))
    await asyncio.sleep(0)
    server.may_answer.set()
    assert await waiting == [[ADDRESS]] * 50
    assert await found.get() == [ADDRESS]
    assert server.lookups == 1


async def test_old_addresses_are_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses are looked up again when they are too old, so that a moved store is found."""
    server = NameServer(monkeypatch, [ADDRESS], [OTHER])
    monkeypatch.setattr(addresses, "ADDRESS_LIFETIME", 0.0)
    found = Addresses("store.example", 80)
    assert [await found.get(), await found.get()] == [[ADDRESS], [OTHER]]
    assert server.lookups == 2


async def test_failed_lookup_keeps_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed lookup the old addresses are used for another period."""
    server = NameServer(monkeypatch, [ADDRESS], socket.gaierror())
    monkeypatch.setattr(addresses, "ADDRESS_LIFETIME", 0.0)
    found = Addresses("store.example", 80)
    await found.get()
    monkeypatch.setattr(addresses, "ADDRESS_LIFETIME", 60.0)
    assert [await found.get() for _ in range(3)] == [[ADDRESS]] * 3
    assert server.lookups == 2


async def test_late_lookup_keeps_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a lookup is late the old addresses are used, and its addresses once it ends."""
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


async def test_first_lookup_may_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed first lookup is an error, and the next caller starts another one."""
    NameServer(monkeypatch, socket.gaierror(), [ADDRESS])
    found = Addresses("store.example", 80)
    with pytest.raises(socket.gaierror):
        await found.get()
    assert await found.get() == [ADDRESS]


async def test_cancelled_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled caller does not cancel the lookup for the others."""
    server = NameServer(monkeypatch, [ADDRESS])
    server.may_answer.clear()
    found = Addresses("store.example", 80)
    impatient, patient = asyncio.create_task(found.get()), asyncio.create_task(found.get())
    await asyncio.sleep(0)
    impatient.cancel()
    server.may_answer.set()
    assert await patient == [ADDRESS]
    assert server.lookups == 1


async def test_slow_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connect timeout does not include the lookup."""
    loop = asyncio.get_running_loop()
    get = loop.getaddrinfo

    async def slowly(*arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(1.5)
        return await get(*arguments, **options)

    async with client_of(keeps(GOOD), connect_timeout=1.0) as (client, _):
        monkeypatch.setattr(loop, "getaddrinfo", slowly)
        await check_good(client)
