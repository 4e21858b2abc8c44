"""A relay between Playwright and the inspector's server of a MiniBrowser.

It serves the list of tabs that Playwright reads first, and completes commands for intercepted requests that the page
has aborted meanwhile: WebKit sends no response to them, and Playwright would wait for ever.
"""

import asyncio
import json
import threading
from collections.abc import Coroutine
from typing import Any

import aiohttp
from aiohttp import web

INTERCEPT = "Network.intercept"
FAILED = "Network.loadingFailed"


class InspectorRelay:
    """A relay for the tabs of the MiniBrowser whose inspector listens at ``inspector``."""

    def __init__(self, inspector: str) -> None:
        self._inspector = inspector
        self._target = 1
        self._transports: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        app = web.Application()
        app.add_routes([web.get("/json", self._list), web.get("/socket/{target}", self._session)])
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        self._run(self._start())

    def endpoint(self, target: int) -> str:
        """Return the URL at which Playwright finds one tab, until the next call."""
        self._target = target
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def close(self) -> None:
        """End all sessions."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    async def _end(self) -> None:
        await self._runner.cleanup()  # it cancels the handlers, and does not wait for them
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for transport in self._transports:
            transport.abort()
        await asyncio.sleep(0)  # until the transports are closed

    async def _list(self, request: web.Request) -> web.Response:
        self._note(request)
        found = f"ws://{request.host}/socket/{self._target}"
        return web.json_response([{"webSocketDebuggerUrl": found}])

    def _note(self, request: web.Request) -> None:
        assert request.transport
        self._transports.add(request.transport)

    async def _session(self, request: web.Request) -> web.WebSocketResponse:
        self._note(request)
        client = web.WebSocketResponse(max_msg_size=0)
        await client.prepare(request)
        url = f"ws://{self._inspector}/socket/1/{request.match_info['target']}/WebPage"
        aborted: set[str] = set()
        # Compressed, because WebKit's server ends the connection at a frame of 128 KiB: libsoup's default limit.
        async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0, compress=15) as webkit:
            back = asyncio.create_task(self._back(webkit, client, aborted))
            async for message in client:
                if not (INTERCEPT in message.data and await _is_completed(client, json.loads(message.data), aborted)):
                    await webkit.send_str(message.data)
            back.cancel()
        return client

    async def _back(
        self, webkit: aiohttp.ClientWebSocketResponse, client: web.WebSocketResponse, aborted: set[str]
    ) -> None:
        async for message in webkit:
            if FAILED in message.data:
                event = json.loads(json.loads(message.data)["params"]["message"])
                if event.get("method") == FAILED:
                    aborted.add(event["params"]["requestId"])
            await client.send_str(message.data)
        await client.close()


async def _is_completed(client: web.WebSocketResponse, outer: dict[str, Any], aborted: set[str]) -> bool:
    """Send the response to a command for an aborted request; return whether the command was one."""
    command = json.loads(outer["params"].get("message", "{}"))
    if command.get("params", {}).get("requestId") not in aborted:
        return False
    result = {"targetId": outer["params"]["targetId"], "message": json.dumps({"id": command["id"], "result": {}})}
    await client.send_json({"id": outer["id"], "result": {}})
    await client.send_json({"method": "Target.dispatchMessageFromTarget", "params": result})
    return True
