"""The presigner: its fast and its general way, the input that it refuses, and the plans that it keeps."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from broker.core.media import MEDIA_TYPE_BY_NAME
from broker.core.model import FileSpec, ObjectRef
from broker.crypto.presigner import PLANS_MAX, Presigner
from broker.crypto.sigv4 import MAX_EXPIRES_IN, Credentials, canonical_uri, signing_key, uri_encode
from broker.service.uploads import upload_headers

from .signed_requests import (
    ENDPOINT,
    HEADERS,
    KEY_ID,
    KEYS,
    NOW,
    REF,
    REQUESTS,
    SECRET,
    TOKEN,
    VALUES,
    Request,
    parts,
    signature_of,
)

PLAIN = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~"
PLAIN_KEYS = st.text(PLAIN + "/", min_size=1, max_size=60)
NAMES = ("Content-Length", "Content-Type", "If-None-Match", "x-amz-checksum-sha256", "x%s")
PLAIN_VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)
SORTED_HEADERS = st.dictionaries(st.sampled_from(NAMES), PLAIN_VALUES | VALUES).map(
    lambda headers: dict(sorted(headers.items(), key=lambda header: header[0].lower()))
)
CALLS = st.lists(
    st.builds(
        Request,
        ref=st.builds(ObjectRef, st.sampled_from(["songs", "a%s{}"]), PLAIN_KEYS | KEYS),
        now=st.integers(NOW, NOW + 2),
        expires_in=st.sampled_from([1, 900, MAX_EXPIRES_IN]),
        headers=SORTED_HEADERS | HEADERS,
        query=st.sampled_from([{}, {}, {"response-content-disposition": 'inline; filename="%s {}.mp3"'}]),
    ),
    max_size=6,
)
SPECIAL = [
    " ",
    "  ",
    "%",
    "%2F",
    "%s",
    "+",
    "/",
    "//",
    "?",
    "#",
    "&",
    "=",
    "{",
    "}",
    "{}",
    "é",
    "曲",
    "\U0001f3b5",
    ".",
]


def presigner() -> Presigner:
    """Return a presigner that has no plans."""
    return Presigner(Credentials(KEY_ID, SECRET), ENDPOINT)


@settings(deadline=None)
@given(CALLS)
@example([Request(headers={"x%s": "%d{}"}), Request(headers={"x%s": "{}%"}), Request(ref=ObjectRef("songs", "%s{}"))])
def test_kept_plans_sign_as_botocore_does(calls: list[Request]) -> None:
    """A presigner that has signed other requests makes the URL of botocore, on the fast and on the general way."""
    used = presigner()
    for request in [*calls, *calls]:
        assert parts(request.presign(used)) == parts(request.presign_by_botocore())


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("around", ["{}", "a{}", "{}a", "a{}a"])
def test_special_characters_are_signed_as_botocore_does(special: str, around: str) -> None:
    """A key, query value or header value with a special character has botocore's signature, or is refused."""
    text, used = around.replace("{}", special), presigner()
    for request in (Request(), Request(headers={"x-amz-meta-a": "plain"})):  # so that both have a plan
        request.presign(used)
    for request in (
        Request(ref=ObjectRef("songs", text)),
        Request(query={"response-content-disposition": text}),
        Request(query={text: "1"}),
    ):
        assert parts(request.presign(used)) == parts(request.presign_by_botocore())
    request = Request(headers={"x-amz-meta-a": text})
    if text.isascii():
        assert parts(request.presign(used)) == parts(request.presign_by_botocore())
    else:
        with pytest.raises(ValueError, match=r"is not printable ASCII$"):
            request.presign(used)


@pytest.mark.parametrize("value", ["a\nx-amz-acl:public-read", "a\r\n", "\0", "\t\x7f", "é", None, 3, b"a"])
def test_a_kept_plan_takes_no_unchecked_value(value: Any) -> None:
    """A header value is checked on the fast way too."""
    used = presigner()
    Request(headers={"Content-Type": "audio/mpeg"}).presign(used)
    with pytest.raises(ValueError, match=r"^the value of header 'Content-Type' is not printable ASCII$"):
        Request(headers={"Content-Type": value}).presign(used)


@pytest.mark.parametrize("key", ["", "a\nb", "a\r", "\0"])
def test_a_kept_plan_takes_no_unencoded_key(key: str) -> None:
    """A key with a control character, or an empty one, takes the general way."""
    used = presigner()
    Request().presign(used)
    request = Request(ref=ObjectRef("songs", key))
    assert parts(request.presign(used)) == parts(request.presign_by_botocore())


@pytest.mark.parametrize("sha256", [None, b"s" * 32])
@pytest.mark.parametrize("md5", [None, b"\xff" * 16])
def test_upload_headers_take_the_fast_way(sha256: bytes | None, md5: bytes | None) -> None:
    """The headers of an upload are in canonical order and have plain values."""
    used = presigner()
    headers = {
        "Content-Length": "3",
        **upload_headers(FileSpec("a.mp3", MEDIA_TYPE_BY_NAME["audio/mpeg"], 3, sha256, md5)),
    }
    with mock.patch("broker.crypto.presigner.canonical_uri", wraps=canonical_uri) as general:
        url = Request(headers=headers).presign(used)
    general.assert_called_once_with(ObjectRef("songs", ""))  # for the plan
    assert parts(url) == parts(Request(headers=headers).presign_by_botocore())


def test_headers_in_any_order_are_signed_alike() -> None:
    """Headers in another than the canonical order have the same signature."""
    headers = {"x-amz-meta-b": "1", "Content-Type": "audio/mpeg"}
    in_order = dict(reversed(headers.items()))
    assert Request(headers=headers).presign() == Request(headers=in_order).presign()


def test_plans_do_not_accumulate() -> None:
    """However many lifetimes clients choose, a presigner keeps a bounded number of plans."""
    used = presigner()
    for expires_in in range(1, 1000):
        Request(expires_in=expires_in).presign(used)
        assert len(used._plans) <= PLANS_MAX


CHANGES: dict[str, Callable[[Request], Request]] = {
    "method": lambda request: replace(request, method="HEAD" if request.method == "GET" else "GET"),
    "bucket": lambda request: replace(request, ref=changed(request.ref, bucket=request.ref.bucket + "x")),
    "key": lambda request: replace(request, ref=changed(request.ref, key=request.ref.key + "x")),
    "instant": lambda request: replace(request, now=request.now + 1),
    "lifetime": lambda request: replace(request, expires_in=request.expires_in % MAX_EXPIRES_IN + 1),
    "another header": lambda request: replace(request, headers={**request.headers, "x-another": ""}),
    "header value": lambda request: replace(request, headers={k: "x" + v.strip() for k, v in request.headers.items()}),
    "header name": lambda request: replace(request, headers={k + "x": v for k, v in request.headers.items()}),
    "another parameter": lambda request: replace(request, query={**request.query, "\0another": ""}),
    "parameter value": lambda request: replace(request, query={k: v + "x" for k, v in request.query.items()}),
    "parameter name": lambda request: replace(request, query={k + "x": v for k, v in request.query.items()}),
    "host": lambda request: replace(request, endpoint="https://other.example"),
    "region": lambda request: replace(request, region=request.region + "x"),
    "access key id": lambda request: replace(request, key_id=request.key_id + "x"),
    "secret": lambda request: replace(request, secret=request.secret + "x"),
    "session token": lambda request: replace(request, token=f"{request.token}x"),
}


@settings(max_examples=25, deadline=None)
@given(request=REQUESTS.filter(lambda request: bool(request.headers and request.query)))
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_every_part_is_signed(change: Callable[[Request], Request], request: Request) -> None:
    """A request that differs in one part has another signature."""
    assert signature_of(request.presign()) != signature_of(change(request).presign())


@given(st.sampled_from(["Content-Type", "x-amz-meta-a", "x%s"]), VALUES, VALUES, st.characters())
def test_a_value_must_be_printable_ascii(name: str, before: str, after: str, character: str) -> None:
    """A value with a control character, CR and LF too, or a character beyond ASCII is refused, not repaired."""
    value = before + character + after
    if " " <= character <= "~" or (character == "\t" and not (before.strip() and after.strip())):
        assert Request(headers={name: value}).presign()
    else:
        with pytest.raises(ValueError, match=rf"^the value of header '{name}' is not printable ASCII$"):
            Request(headers={name: value}).presign()


@pytest.mark.parametrize(
    "value", [None, 3, b"audio/mpeg", "a\rb", "a\nx-amz-acl:public-read", "a\r\n", "\0", "\ud800", "é"]
)
def test_a_refusal_names_the_header_alone(value: Any) -> None:
    """The error names the header and does not repeat its value."""
    with pytest.raises(ValueError, match=r"^the value of header 'Content-Type' is not printable ASCII$"):
        Request(headers={"Content-Type": value}).presign()


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a:b", "a\nb", "a\r", "é", "\u212a", "\ud800", "a\0", "(a)", None, 3, b"a"]
)
def test_a_header_name_must_be_a_token(name: Any) -> None:
    """A header name that is not a token of RFC 9110 is refused."""
    with pytest.raises(ValueError, match=r"^header name .* is not a token$"):
        Request(headers={name: "x"}).presign()


@pytest.mark.parametrize("name", ["Host", "host", "Authorization", "X-Amz-Content-SHA256"])
def test_reserved_headers_are_refused(name: str) -> None:
    """A caller cannot set a header that the presigner sets or by which a store verifies a request."""
    with pytest.raises(ValueError, match=f"^header '{name}' is reserved or repeated$"):
        Request(headers={name: "x"}).presign()


def test_a_repeated_header_is_refused() -> None:
    """A header that occurs twice in different case is refused."""
    with pytest.raises(ValueError, match=r"^header 'content-type' is reserved or repeated$"):
        Request(headers={"Content-Type": "audio/mpeg", "content-type": "text/html"}).presign()


@pytest.mark.parametrize(
    "name", ["X-Amz-Expires", "x-amz-expires", "X-AMZ-SECURITY-TOKEN", "X-Amz-", "x-amz-content-sha256"]
)
def test_parameters_of_the_signature_are_refused(name: str) -> None:
    """A caller cannot set a query parameter of the signature."""
    with pytest.raises(ValueError, match=f"^query parameter '{name}' belongs to the signature$"):
        Request(query={name: "1"}).presign()


@pytest.mark.parametrize(
    "request_",
    [
        Request(ref=ObjectRef("songs", "\ud800")),
        Request(query={"a": "\udfff"}),
        Request(query={"\udfff": "a"}),
    ],
    ids=["key", "parameter value", "parameter name"],
)
def test_lone_surrogates_are_refused(request_: Request) -> None:
    """A key or query parameter that has no UTF-8 form is refused."""
    with pytest.raises(ValueError, match="surrogates not allowed"):
        request_.presign()


@pytest.mark.parametrize("method", ["", "put", "PATCH", "OPTIONS", "PUT\n", "PUT\n/"])
def test_unknown_methods_are_refused(method: str) -> None:
    """A method that S3 does not have is refused."""
    with pytest.raises(ValueError, match=r" is not a method of S3$"):
        Request(method).presign()


@pytest.mark.parametrize("seconds", [-1, 0, MAX_EXPIRES_IN + 1])
def test_the_lifetime_has_bounds(seconds: int) -> None:
    """A lifetime below one second or above one week is refused."""
    with pytest.raises(ValueError, match=f"^expires_in must be 1 to 604800 seconds, not {seconds}$"):
        Request(expires_in=seconds).presign()


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "r2.example",
        "ftp://r2.example",
        "https://",
        "https://r2.example/",
        "https://r2.example/songs",
        "https://r2.example?x",
        "https://r2.example#x",
        "https://r2.example:",
        "https://r2.example:x",
        "https://id:secret@r2.example",
        "https://r2.example\n",
        "https://r2 .example",
        "https://\u212a.example",
        "https://::1",
    ],
)
def test_an_endpoint_is_scheme_and_authority(endpoint: str) -> None:
    """An endpoint with any other part is refused, and the error does not repeat it: it may hold a password."""
    with pytest.raises(ValueError, match=r"^the endpoint must be exactly https://host\[:port\]$"):
        Request(endpoint=endpoint).presign()


@pytest.mark.parametrize("show", [repr, str])
def test_no_secret_is_shown(show: Callable[[object], str]) -> None:
    """Neither credentials nor presigner show a secret, a session token or a signing key as text."""
    credentials = Credentials(KEY_ID, SECRET, TOKEN)
    presigner = Presigner(credentials, ENDPOINT)
    presigner.presign("GET", REF, now=NOW, expires_in=900)
    shown = show(credentials) + show(presigner) + show(presigner._day) + show(presigner._plans)

    secrets = (SECRET, TOKEN, uri_encode(TOKEN), signing_key(SECRET, "20251124", "auto").hex())

    assert KEY_ID in show(credentials)
    assert not any(secret in shown for secret in secrets)


def test_a_signing_key_is_derived_once_a_date() -> None:
    """A signing key is derived once for a date, and again after a change of date: only the latest is kept."""
    day = 86_400
    presigner = Presigner(Credentials(KEY_ID, SECRET), ENDPOINT)
    with mock.patch("broker.crypto.presigner.signing_key", wraps=signing_key) as derive:
        for now in (NOW, NOW + 1, NOW, NOW + day, NOW + day + 1, NOW + 2):
            presigner.presign("GET", REF, now=now, expires_in=900)

    assert [call.args[1] for call in derive.call_args_list] == ["20251124", "20251125", "20251124"]


def test_threads_may_sign_for_different_dates() -> None:
    """Threads that share a presigner and sign for different dates make the URLs of a new presigner."""
    presigner = Presigner(Credentials(KEY_ID, SECRET), ENDPOINT)
    instants = [NOW + 86_400 * (number % 3) for number in range(600)]
    with ThreadPoolExecutor(4) as pool:
        urls = list(pool.map(lambda now: presigner.presign("PUT", REF, now=now, expires_in=900), instants))

    assert [Request(now=now).presign() for now in instants] == urls
