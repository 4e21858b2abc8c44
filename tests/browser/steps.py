"""What a person does at the demo's page, and where they look for what came of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, Request, expect

STAGED = "**/incoming/**"
"""Where the store takes uploads."""


def choose(page: Page, *paths: Path) -> None:
    """Pick files, as a person does by the button."""
    page.get_by_label("Choose files to upload").set_input_files(paths)


def row(page: Page, name: str) -> Locator:
    """The row of a file on its way."""
    return _item(page, "Uploads", name)


def ready(page: Page, name: str) -> Locator:
    """The card of a confirmed file, once it is complete."""
    card = _item(page, "Ready", name)
    expect(card.get_by_role("link", name=f"Download {name}")).to_be_visible()
    return card


def state(page: Page, name: str) -> Locator:
    """What the file's row says it is doing."""
    return row(page, name).locator("[data-slot=state]")


def press(page: Page, action: str, name: str) -> None:
    """Press a file's button."""
    page.get_by_role("button", name=f"{action} {name}", exact=True).click()


def key(page: Page, name: str) -> str:
    """The key of a confirmed file."""
    return ready(page, name).locator("[data-slot=key]").inner_text()


def shown_share(page: Page, name: str) -> float:
    """How much of the file its bar shows as sent, 0 to 1."""
    share: float = row(page, name).get_by_role("progressbar").evaluate("bar => bar.value")
    return share


def slow_down(page: Page, bytes_per_second: int) -> None:
    """Give the page's network a speed for sending; -1 is as fast as it goes."""
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_second}
    network.send("Network.emulateNetworkConditions", conditions)


@contextmanager
def requests(page: Page) -> Iterator[list[Request]]:
    """The requests that the page makes inside the block."""
    made: list[Request] = []

    def note(request: Request) -> None:
        made.append(request)

    page.on("request", note)
    yield made
    page.remove_listener("request", note)


def body_size(request: Request) -> int:
    """The bytes of a request's body, as the network layer counted them."""
    return int(request.all_headers().get("content-length", "0"))


def transfer_of(page: Page, files: dict[str, tuple[str, str]]) -> Any:
    """A handle to what a drop or a paste carries: by name, a file's media type and its bytes in base64."""
    return page.evaluate_handle(
        """files => {
          const carried = new DataTransfer();
          for (const [name, [type, data]] of Object.entries(files)) {
            const bytes = Uint8Array.from(atob(data), character => character.charCodeAt(0));
            carried.items.add(new File([bytes], name, { type }));
          }
          return carried;
        }""",
        files,
    )


def _item(page: Page, section: str, name: str) -> Locator:
    items = page.get_by_role("region", name=section).get_by_role("listitem")
    return items.filter(has=page.get_by_role("heading", name=name, exact=True))
