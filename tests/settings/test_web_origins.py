"""Rules for the origins of ``BROKER_CORS_ORIGINS``: those of web pages, hybrid apps and browser extensions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.settings import parse
from broker.settings.web_origins import web_origin

from .test_settings import GOOD, faults

EXTENSION = "abcdefghijklmnopabcdefghijklmnop"
PATH = "without a path or a trailing slash"
WILDCARD = "without a wildcard inside"
NULL = "must not list null or file"
FORM = "each a scheme, a host and an optional port"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://App.example:8443", "https://app.example:8443"),
        ("https://app.example:443", "https://app.example"),
        ("https://app.example:0443", "https://app.example"),
        ("HTTP://app.example:80", "http://app.example"),
        ("http://app.example:443", "http://app.example:443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://xn--mller-kva.example", "https://xn--mller-kva.example"),
        ("http://tauri.localhost", "http://tauri.localhost"),
        *((origin, origin) for origin in ("capacitor://localhost", "ionic://localhost", "tauri://localhost")),
        *((origin, origin) for origin in ("app://-", "app://.", "app://obsidian.md", "app://bundle", "wails://wails")),
        ("Capacitor://localhost", "capacitor://localhost"),
        ("vscode-webview://1a2b3c", "vscode-webview://1a2b3c"),
        (f"chrome-extension://{EXTENSION}", f"chrome-extension://{EXTENSION}"),
        (
            "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
            "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
        ),
        ("safari-web-extension://E8BBA9F5-F1A4", "safari-web-extension://E8BBA9F5-F1A4"),
        ("app://localhost:8100", "app://localhost:8100"),
        ("*", "*"),
    ],
)
def test_origin_becomes_what_browsers_send(given: str, sent: str) -> None:
    """An origin is accepted, and kept as the Origin field of browsers has it."""
    assert parse({**GOOD, "BROKER_CORS_ORIGINS": f" {given} ,"}).cors_origins == (sent,)


@pytest.mark.parametrize(
    ("origin", "rule"),
    [
        ("https://app.example/", PATH),
        ("https://app.example/app", PATH),
        ("https://app.example?x", PATH),
        ("https://app.example#x", PATH),
        ("capacitor://localhost/", PATH),
        ("app:///", PATH),
        ("tauri://localhost/index.html", PATH),
        ("https://*.example", WILDCARD),
        ("*.example", WILDCARD),
        ("https://app.example:*", WILDCARD),
        ("chrome-extension://*", WILDCARD),
        ("**", WILDCARD),
        ("null", NULL),
        ("NULL", NULL),
        ("file://", NULL),
        ("file:///index.html", NULL),
        ("data:text/html", NULL),
        ("blob:https://app.example/x", NULL),
        ("about:blank", NULL),
        ("content://x", NULL),
        ("app.example", FORM),
        ("localhost:3000", FORM),
        ("//app.example", FORM),
        ("https:app.example", FORM),
        ("https://", FORM),
        ("app://", FORM),
        ("://x", FORM),
        ("1a://x", FORM),
        ("https://app.example:", FORM),
        ("https://app.example:123456", FORM),
        ("https://a:b:1", FORM),
        ("https://user@app.example", "without a user"),
        ("https://user:pass@app.example", "without a user"),
        ("https://app.example https://b.example", "by commas"),
        ("https://app.example;https://b.example", "by commas"),
        ("https://müller.example", "Punycode"),
        ("https://app.example:0", "valid host and port"),
        ("https://app.example:65536", "valid host and port"),
        ("https://-", "valid host and port"),
        ("https://app_.", "valid host and port"),
        ("https://[v1.x]", "valid host and port"),
        ("https://[::1::2]", "valid host and port"),
        ("app://[::1]", "valid host and port"),
        ('"https://app.example"', "must not be in quotes"),
        ("app://a%2fb", "valid host and port"),
        ("ws://app.example", "and not of other connections"),
        ("wss://app.example", "and not of other connections"),
        ("ftp://app.example", "and not of other connections"),
    ],
)
def test_wrong_origin_is_a_fault_with_its_rule(origin: str, rule: str) -> None:
    """Any other value is one fault that names the rule and does not repeat the value."""
    (fault,) = faults(BROKER_CORS_ORIGINS=f"https://ok.example, {origin}")
    assert fault.startswith("BROKER_CORS_ORIGINS must ")
    assert rule in fault
    assert "user" not in origin or "pass" not in fault


@given(st.text(max_size=30) | st.from_regex(r"[a-zA-Z+.-]{1,9}:/{0,3}[a-zA-Z0-9.:@*\[\]_~/?#-]{0,20}", fullmatch=True))
def test_accepted_origin_is_one_visible_word(text: str) -> None:
    """An accepted value has no path, stays the same when it is parsed again, and cannot split a header field."""
    try:
        found = web_origin(text)
    except ValueError as error:
        assert re.match(r"must ", str(error))
        return
    assert found == "*" or re.fullmatch(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._~\[\]:-]+", found)
    assert web_origin(found) == found
    assert found != "null"
