"""Firefox with a relay of its WebDriver BiDi session: the program that Playwright starts as Firefox.

Playwright sends a command that Firefox ESR does not have, to set the colour scheme. The relay answers it, and sets the
preferences of Firefox by which tests emulate media features: ``POST /preferences``.
"""

import asyncio
import json
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

UNKNOWN_TO_FIREFOX = "emulation.setMediaFeaturesOverride"
FIRST_OWN_ID = 1 << 40
"""The ids of the relay's own commands; Playwright counts from 1."""

LONGEST_LINE = 1 << 26
"""Bytes of a line that Firefox writes: an error of a script is written with the script."""

SET_PREFERENCE = """
for (const [name, value] of Object.entries(%s)) {
  if (value === null) Services.prefs.clearUserPref(name);
  else Services.prefs.setIntPref(name, value);
}"""


class Relay:
    """A relay between one client and Firefox."""

    def __init__(self, firefox: str) -> None:
        self._url = f"{firefox}/session"
        self._firefox: aiohttp.ClientWebSocketResponse | None = None
        self._own: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def session(self, request: web.Request) -> web.WebSocketResponse:
        """Relay the messages of a session."""
        client = web.WebSocketResponse(max_msg_size=0)
        await client.prepare(request)
        async with aiohttp.ClientSession() as http, http.ws_connect(self._url, max_msg_size=0) as firefox:
            self._firefox = firefox
            back = asyncio.create_task(self._back(firefox, client))
            async for message in client:
                command = json.loads(message.data)
                if command["method"] == UNKNOWN_TO_FIREFOX:
                    await client.send_json({"type": "success", "id": command["id"], "result": {}})
                else:
                    await firefox.send_str(message.data)
            back.cancel()
        return client

    async def preferences(self, request: web.Request) -> web.Response:
        """Set integer preferences; null restores the default."""
        tree = await self._command("browsingContext.getTree", {"moz:scope": "chrome"})
        script = {
            "expression": SET_PREFERENCE % await request.text(),
            "target": {"context": tree["contexts"][0]["context"]},
            "awaitPromise": False,
        }
        outcome = await self._command("script.evaluate", script)
        return web.json_response(outcome, status=200 if outcome["type"] == "success" else 500)

    async def _back(self, firefox: aiohttp.ClientWebSocketResponse, client: web.WebSocketResponse) -> None:
        async for message in firefox:
            number = json.loads(message.data).get("id") or 0
            if number >= FIRST_OWN_ID:
                self._own.pop(number).set_result(json.loads(message.data))
            else:
                await client.send_str(message.data)
        await client.close()

    async def _command(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert self._firefox, "no session"
        number = FIRST_OWN_ID + len(self._own)
        self._own[number] = asyncio.get_running_loop().create_future()
        await self._firefox.send_json({"id": number, "method": method, "params": params})
        response = await asyncio.wait_for(self._own[number], 10)
        assert response["type"] == "success", response
        return dict(response["result"])


async def run(address: Path, *arguments: str) -> int:
    """Run Firefox and the relay; write the URL of the relay to ``address``."""
    executable = shutil.which("firefox-esr")
    assert executable
    firefox = await asyncio.create_subprocess_exec(
        executable, "--remote-allow-system-access", *arguments, stderr=asyncio.subprocess.PIPE, limit=LONGEST_LINE
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, firefox.terminate)
    assert firefox.stderr
    async for line in firefox.stderr:
        if found := re.search(rb"BiDi listening on (ws://\S+)", line):
            relay = Relay(found[1].decode())
            app = web.Application()
            app.add_routes([web.get("/session", relay.session), web.post("/preferences", relay.preferences)])
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            await asyncio.to_thread(address.write_text, f"http://127.0.0.1:{port}")
            print(f"WebDriver BiDi listening on ws://127.0.0.1:{port}", file=sys.stderr, flush=True)
        else:
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
    return await firefox.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(run(Path(sys.argv[1]), *sys.argv[2:])))
