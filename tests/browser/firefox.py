"""Debian's Firefox under Playwright, which controls it with WebDriver BiDi."""

import json
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from . import bidi_relay

PREFERENCES: dict[str, str | float | bool] = {
    "media.autoplay.default": 0,
    "network.proxy.allow_hijacking_localhost": True,
    "dom.events.testing.asyncClipboard": True,
    "ui.useOverlayScrollbars": 1,
    "accessibility.ARIAElementReflection.enabled": False,
}
"""Play sound without a gesture, send requests to 127.0.0.1 through a proxy, permit the clipboard to scripts, and let no
scroll bar narrow the page. The last one prevents a crash of Firefox ESR 153, which writes to a null pointer in the
getters of ``ariaLabelledByElements`` and its like: axe-core and Playwright's locators read them."""

MEDIA = {
    "color_scheme": ("layout.css.prefers-color-scheme.content-override", {"dark": 0, "light": 1}),
    "reduced_motion": ("ui.prefersReducedMotion", {"reduce": 1, "no-preference": 0}),
    "forced_colors": ("browser.display.document_color_use", {"active": 2, "none": 1}),
}
"""The preferences that emulate media features, and their values."""


@contextmanager
def running(playwright: Playwright, folder: Path) -> Iterator[Browser]:
    """Run Firefox; meanwhile ``Page.emulate_media`` sets preferences of the whole browser."""
    executable = folder / "firefox"
    address = folder / "relay"
    executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{bidi_relay.__file__}" "{address}" "$@"\n')
    executable.chmod(0o755)
    assert shutil.which("firefox-esr"), "these tests need Firefox: apt-get install firefox-esr"
    browser = playwright.firefox.launch(
        channel="moz-firefox", executable_path=executable, firefox_user_prefs=PREFERENCES
    )
    relay = address.read_text()
    new_context = Browser.new_context

    def fresh(one: Browser, **options: Any) -> BrowserContext:
        _set(relay, {preference: None for preference, _ in MEDIA.values()})
        return new_context(one, **options)

    def emulate(page: Page, **features: Any) -> None:
        _set(relay, {MEDIA[name][0]: MEDIA[name][1].get(str(value)) for name, value in features.items()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Browser, "new_context", fresh)
        patch.setattr(Page, "emulate_media", emulate)
        # WebDriver BiDi has no permission for the clipboard: a preference grants it to all pages.
        patch.setattr(BrowserContext, "grant_permissions", lambda *_: None)
        yield browser
    browser.close()


def _set(relay: str, preferences: dict[str, int | None]) -> None:
    """Set preferences of the running Firefox; None restores the default."""
    urllib.request.urlopen(f"{relay}/preferences", json.dumps(preferences).encode()).close()
