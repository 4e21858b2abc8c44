"""The steps of a person at the demo's page, and the elements that show their results."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, Request, expect

from .engines import network_of

STAGED = "**/incoming/**"
"""The URLs of staged objects at the store."""


def choose(page: Page, *paths: Path) -> None:
    """Choose files with the main button."""
    page.get_by_label("Choose files to upload").set_input_files(paths)


def row(page: Page, name: str) -> Locator:
    """Return the row of a file."""
    items = page.get_by_role("region", name="Files").get_by_role("listitem")
    return items.filter(has=page.get_by_role("heading", name=name, exact=True))


def ready(page: Page, name: str) -> Locator:
    """Return the row of a file, once the file is confirmed and can be downloaded."""
    expect(state(page, name)).to_have_text("Ready")
    expect(row(page, name).get_by_role("link", name=f"Download {name}")).to_have_attribute("href", re.compile("^http"))
    return row(page, name)


def state(page: Page, name: str) -> Locator:
    """Return the element with the state of an upload."""
    return row(page, name).locator("[data-slot=state]")


def press(page: Page, action: str, name: str) -> None:
    """Click a button of a file."""
    page.get_by_role("button", name=f"{action} {name}", exact=True).click()


def details(page: Page, name: str) -> Locator:
    """Open the details of a file; return them."""
    row(page, name).locator("summary").click()
    return row(page, name).locator("details")


def played(page: Page, name: str) -> Locator:
    """Open the player of a confirmed file, or its picture; return it."""
    ready(page, name).get_by_role("button", name=re.compile("^(Play|View) ")).click()
    return row(page, name).locator(".player > *")


def key(page: Page, name: str) -> str:
    """Return the key of a confirmed file."""
    return ready(page, name).locator("[data-slot=key]").text_content() or ""


def shown_share(page: Page, name: str) -> float:
    """Return the share of the file, 0 to 1, that the progress bar shows as sent."""
    share: float = row(page, name).get_by_role("progressbar").evaluate("bar => bar.value")
    return share


def slow_down(page: Page, bytes_per_second: int) -> None:
    """Limit the upload speed of the page; -1 removes the limit."""
    network_of(page).bytes_per_second = None if bytes_per_second < 0 else bytes_per_second


@contextmanager
def requests(page: Page) -> Iterator[list[Request]]:
    """Yield the list of the requests that the page makes inside the block."""
    made: list[Request] = []

    def note(request: Request) -> None:
        made.append(request)

    page.on("request", note)
    yield made
    page.remove_listener("request", note)


def body_size(request: Request) -> int:
    """Return the bytes of a request body that have been sent."""
    return network_of(request.frame.page).body_of(request.method, request.url)


def transfer_of(page: Page, files: dict[str, tuple[str, str]]) -> Any:
    """Return a handle to the DataTransfer of a drop or a paste; ``files`` are media type and base64 bytes by name."""
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
