"""A client of the WebDriver protocol (W3C, "WebDriver"), with the few commands that the tests need."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The member of a web element reference (W3C, "WebDriver", section 12)."""

KEYS = {
    "Tab": "\ue004",
    "Shift": "\ue008",
    "Control": "\ue009",
    "Escape": "\ue00c",
    "Space": " ",
    "Enter": "\ue006",
    "ArrowLeft": "\ue012",
    "ArrowUp": "\ue013",
    "ArrowRight": "\ue014",
    "ArrowDown": "\ue015",
    "Home": "\ue011",
    "End": "\ue010",
    "Delete": "\ue017",
    "Backspace": "\ue003",
}
"""The code points of keys by their names in Playwright (W3C, "WebDriver", section 17.4.2)."""

TIMEOUT = 60.0
"""Seconds until a command must have completed."""

ATTEMPTS = 5
"""Commands for one change of the size."""

RESIZED_WITHIN = 3.0
"""Seconds until the page has the new size after a command."""


class Session:
    """A session of a WebDriver server."""

    def __init__(self, server: str, capabilities: dict[str, Any]) -> None:
        self._url = server
        created = self._request("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._url = f"{server}/session/{created['sessionId']}"

    def post(self, path: str, **body: Any) -> Any:
        """Send a command with a body."""
        return self._request("POST", path, body)

    def press(self, keys: str) -> None:
        """Press keys as a person does: "Tab", or "Shift+Tab"."""
        pressed = [KEYS.get(key, key) for key in keys.split("+")]
        actions = [{"type": "keyDown", "value": key} for key in pressed]
        actions += [{"type": "keyUp", "value": key} for key in reversed(pressed)]
        self.post("/actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def choose(self, selector: str, paths: list[str]) -> None:
        """Choose files in a file input."""
        element = self.post("/element", using="css selector", value=selector)[ELEMENT]
        self.post(f"/element/{element}/value", text="\n".join(paths))

    def resize(self, width: int, height: int) -> None:
        """Set the size of the page in CSS pixels."""
        for _ in range(ATTEMPTS):  # the first size may be larger than the window may be
            window, inner = self._request("GET", "/window/rect"), self._inner_size()
            self.post(
                "/window/rect",
                width=max(width, width + window["width"] - inner[0]),
                height=max(height, height + window["height"] - inner[1]),
            )
            end = time.monotonic() + RESIZED_WITHIN  # a second command before that would have wrong numbers
            while time.monotonic() < end:
                if self._inner_size() == [width, height]:
                    return
                time.sleep(0.02)  # between two attempts
        raise AssertionError(f"the page has {self._inner_size()} pixels")

    def _inner_size(self) -> list[int]:
        size: list[int] = self.post("/execute/sync", script="return [innerWidth, innerHeight]", args=[])
        return size

    def open_tab(self) -> str:
        """Open a tab; return its handle."""
        handle: str = self.post("/window/new", type="tab")["handle"]
        return handle

    def switch(self, handle: str) -> None:
        """Address the commands to another tab."""
        self.post("/window", handle=handle)

    @property
    def handle(self) -> str:
        """The handle of the addressed tab."""
        handle: str = self._request("GET", "/window")
        return handle

    def close(self) -> None:
        """End the session."""
        self._request("DELETE", "")

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()}") from None
