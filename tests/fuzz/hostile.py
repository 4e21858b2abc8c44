"""Strategies: requests that are nearly valid, with an error in any place."""

import json
import time
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from tests.auth.minting import b64, hs, mint
from tests.e2e.processes import JWT_SECRET, token

from .known import LONG, Known
from .parsers import body as body_parser
from .parsers import key as key_parser
from .parsers import token as token_parser
from .wire import Sent

SIGN = hs(JWT_SECRET.encode())
API = "/api/v1"

visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
printable = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")
methods = st.sampled_from(["GET", "GET", "POST", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS", "TRACE"])


def spliced(text: str, piece: str, start: int, length: int) -> str:
    """Replace ``length`` characters of ``text`` by ``piece``."""
    at = start % (len(text) + 1)
    return text[:at] + piece + text[at + length :]


def altered(good: st.SearchStrategy[str], pieces: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Draw valid text with a piece of it replaced."""
    return st.builds(spliced, good, pieces, st.integers(0, 400), st.integers(0, 9))


# --- paths and queries ------------------------------------------------------------------------------------------------

TEMPLATES = [
    *(
        "/uploads",
        "/uploads/confirm",
        "/uploads/status",
        "/uploads/{id}",
        "/uploads/{id}/parts",
        "/uploads/{id}/confirm",
    ),
    *("/objects/{key}", "/objects/delete", "/downloads/{key}", "/downloads", "/keys"),
]
PLAIN = [
    "/",
    "/healthz",
    "/readyz",
    "/openapi.yaml",
    "/.well-known/jwks.json",
    "/static/broker-upload.js",
    "/static/",
    "*",
]
PIECES = [
    *("%2f", "%2F", "%00", "%0a", "%0d%0a", "%ff", "%c0%af", "%25", "%252f", "%", "%zz", "%u0041", "..", "/../", "//"),
    *("/", ";", ";x=1", "\\", "?", "&", "=", "+", "#", "~", "'", '"', "<", "{id}", "media/", "incoming/", ".mp3", "=="),
]
key_pieces = [word.decode("utf-8", "surrogateescape") for word in key_parser.WORDS]
NAMES = ["expiresIn", "filename", "disposition", "redirect", "url", "versionId", "X-Amz-Signature", ""]
VALUES = [
    *(
        "",
        "0",
        "1",
        "60",
        "-1",
        "1e2",
        "9" * 40,
        "inline",
        "attachment",
        "song.mp3",
        "a\r\nb",
        "\ud800",
        "é",
        "x" * 300,
    ),
    *("https://evil.example/", "../..", "\x00", "٣", "\u202e", "\U0001d160" * 100, 'a"; x="'),
]


def encoded(text: str, every: int) -> str:
    """Percent-encode the characters that need it, and every ``every``-th other character."""
    return "".join(f"%{ord(c):02x}" if c.isascii() and i % every == 0 else c for i, c in enumerate(text))


def targets(known: Known) -> st.SearchStrategy[str]:
    """Draw a path of the API with an upload id or key, valid or altered, and a query."""
    things = st.sampled_from([*known.upload_ids, *known.keys])
    hostile_things = (
        things
        | altered(things, st.sampled_from(PIECES) | st.text(visible, max_size=5))
        | st.builds(encoded, things, st.integers(1, 9))
        | st.text(max_size=40).map(lambda text: quote(text.encode(errors="surrogatepass"), safe="/"))
    )
    filled = st.builds(
        lambda template, thing: API + template.format(id=thing, key=thing), st.sampled_from(TEMPLATES), hostile_things
    )
    paths = filled | st.sampled_from(PLAIN) | altered(filled, st.sampled_from(PIECES))
    return st.builds(lambda path, query: path + (f"?{query}" if query else ""), paths, st.just("") | queries())


def reads(known: Known) -> st.SearchStrategy[str]:
    """Draw a readable target with a hostile query."""
    paths = [*("/downloads/{key}",) * 3, "/objects/{key}", "/uploads/{id}"]
    asked = st.builds(
        lambda path, upload_id, key, query: API + path.format(id=upload_id, key=key) + query,
        st.sampled_from(paths),
        st.sampled_from(known.upload_ids),
        st.sampled_from(known.keys),
        st.just("") | queries().map(lambda query: f"?{query}"),
    )
    urls = altered(st.sampled_from(known.urls), st.sampled_from([*PIECES, *key_pieces]) | st.text(max_size=5))
    return asked | urls.map(lambda url: f"{API}/keys?url={quote(url.encode(errors='surrogatepass'), safe='')}")


def queries() -> st.SearchStrategy[str]:
    """Draw known and unknown parameters with hostile values, also repeated ones."""
    names = st.sampled_from(NAMES) | st.text(max_size=5)
    values = st.sampled_from(VALUES) | st.text(max_size=20)
    pair = st.builds(lambda *both: "=".join(quote(part.encode(errors="surrogatepass")) for part in both), names, values)
    return (
        st.lists(pair, max_size=3).map("&".join)
        | altered(pair, st.sampled_from(PIECES))
        | st.text(visible, max_size=30)
    )


# --- bodies -----------------------------------------------------------------------------------------------------------

SCALARS: list[Any] = [
    *(None, True, 0, -1, 1, 1.5, -0.0, 2**53, 2**63, 2**64, 10**400, 5 * 2**30 + 1, float("nan"), float("inf")),
    *(
        "",
        " ",
        "\x00",
        "\ud800",
        "x" * 256,
        "x" * 5000,
        "../..",
        "https://evil.example/",
        "audio/mpeg",
        "\U0001d160" * 255,
    ),
    *([], {}, [None], [[]], {"": {}}, [1] * 1001, ["x"] * 101, "0" * 64, "AAAA", "a\r\nb", "\u202e"),
]
DEEP = json.loads("[" * 40 + "]" * 40)
documents = st.recursive(
    st.sampled_from([*SCALARS, DEEP]) | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
chunks = st.sampled_from([0, 0, 0, 1, 7, 1000])
"""The size of a body's chunks; 0 for a body with a length."""

words = st.sampled_from([word.decode("latin-1") for word in body_parser.WORDS])


def routes(known: Known) -> list[tuple[str, dict[str, Any]]]:
    """Return the routes with a request body, and a valid one for each."""
    file = {**body_parser.FILE, "sha256": "0" * 64, "md5": None}
    return [
        *(("/uploads", document) for document in (file, body_parser.FILE)),
        ("/uploads/batch", {"files": [file, body_parser.FILE]}),
        ("/uploads/{id}/parts", {"partNumbers": [1]}),
        ("/uploads/{id}/parts", {"from": 1, "to": 1}),
        ("/uploads/{id}/confirm", {}),
        ("/uploads/confirm", {"uploadIds": [*known.upload_ids]}),
        ("/downloads", {"keys": [*known.keys], "expiresIn": 60, "disposition": "inline"}),
        ("/objects/delete", {"keys": ["media/00000000-0000-0000-0000-000000000000.mp3"]}),
    ]


@st.composite
def posts(draw: st.DrawFn, known: Known) -> Sent:
    """Draw a POST with a valid body that was altered, or with any body."""
    template, good = draw(st.sampled_from(routes(known)))
    path = API + template.format(id=draw(st.sampled_from(known.upload_ids)))
    document: Any = dict(good)
    for _ in range(draw(st.integers(0, 2))):
        document[draw(st.sampled_from([*good, "files", "x"]) | st.text(max_size=6))] = draw(documents)
    if draw(st.integers(0, 9)) == 0:
        document = draw(documents)
    text = json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass").decode("latin-1")
    if draw(st.booleans()):
        text = draw(altered(st.just(text), words | st.text(printable, max_size=4)))
    offer = draw(st.sampled_from([(), (), (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"))]))
    chunk = draw(chunks)
    return Sent("POST", path, (("Content-Type", "application/json"), *offer), text.encode("latin-1"), chunk)


# --- fields -----------------------------------------------------------------------------------------------------------

FIELDS = {
    "Idempotency-Key": ["", "k", "x" * 255, "x" * 256, "a\tb", "é", '"quoted"', "a,b", "x" * 9000],
    "Content-Type": ["", "text/plain", "application/json;charset=utf-16", "APPLICATION/JSON ; charset=UTF-8", "x" * 99],
    "Content-Encoding": ["gzip", "identity", "IDENTITY", "br, gzip", ""],
    "X-Request-Id": ["", "r-1", "x" * 64, "x" * 65, "a b", "é", "../..", '"}', "<script>"],
    "Host": ["", "[", "]:80", "evil.example:99999", "a/b", "a?b", "a@b", "é", "[::1]:8000", "x" * 300, "127.0.0.1"],
    "Range": ["bytes=0-1", "bytes=x", "bytes=9-1", "bytes=99999999-", "lines=1-2", "bytes=0-0,2-3"],
    "Expect": ["100-continue", "200-ok"],
    "Upgrade": ["websocket", "h2c", "h2c, foo/1", ""],
    "Transfer-Encoding": ["chunked", "Chunked", "gzip, chunked", "identity", "\tchunked", ""],
    "Connection": ["keep-alive", "close", "upgrade", "Content-Length"],
    "Origin": ["https://evil.example", "https://app.example", "capacitor://localhost", "null"],
    "Access-Control-Request-Method": ["POST", "x"],
    "Access-Control-Request-Headers": ["authorization", "x" * 9000, ",,"],
    "traceparent": ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    "If-None-Match": ["*", '"x"'],
    "Accept": ["text/html", "x", ""],
    "X-HTTP-Method-Override": ["DELETE"],
    "X-Forwarded-Host": ["evil.example"],
    "Cookie": ["a=b; Authorization=Bearer x"],
}


def fields() -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    """Draw header fields that the broker reads and others, with any values, also repeated ones."""
    value = st.text(printable, max_size=20).map(str.strip)
    pairs = st.sampled_from(sorted(FIELDS)).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(FIELDS[name]) | value)
    )
    return st.lists(pairs, max_size=4).map(tuple)


HOSTILE_CLAIMS = [
    *(
        b'{"sub":"u"}',
        b'{"exp":9999999999}',
        b'{"sub":"u","exp":1}',
        b'{"sub":"u","exp":9999999999}',
        b"[]",
        b"{}",
        b"",
    ),
    *(b'{"sub":"..","exp":%d}', b'{"sub":"a/%%2e%%2e","exp":%d}', b'{"sub":"","exp":%d}', b'{"sub":1.5,"exp":%d}'),
    *(
        b'{"sub":"u","exp":%d,"sub":"v"}',
        b'{"sub":"\\ud800","exp":%d}',
        b'{"sub":"u","exp":%d.0e400}',
        b'{"id":"u","exp":%d}',
    ),
    *(b'{"sub":"u","exp":"%d"}', b'{"sub":"u","exp":%d,"nbf":9999999999}', b'{"sub":"u","exp":%d,"scope":1}'),
]


def wrong_fields() -> st.SearchStrategy[tuple[str, ...]]:
    """Draw Authorization fields, none of which is valid; two fields at once are invalid, too."""
    now = int(time.time())
    good = token(exp=now + LONG)
    claims = [text % (now + 600) if b"%d" in text else text for text in HOSTILE_CLAIMS]
    wrong = [
        *("", "Bearer", "Bearer ", f"Basic {good}", f"Bearer  {good}", f"Bearer {good}=", f"Bearer {good} x", good),
        *(f"Bearer {mint(sign=hs(b'another secret'), header={'alg': name})}" for name in ("HS256", "none", "RS256")),
        *(f"Bearer {mint(claim, SIGN)}" for claim in claims if claim != b""),
        *(f"Bearer {mint({'sub': 'u', 'exp': now + 600}, SIGN, header)}" for header in token_parser.HEADERS[2:]),
        *(f"Bearer {b64(b'x' * 9000)}.e30.e30", f"Bearer {good.rpartition('.')[0]}.", "Bearer \xe9.e30.e30"),
    ]
    spoiled = st.builds(
        lambda at, bit: f"Bearer {good[:at]}{chr(ord(good[at]) ^ bit)}{good[at + 1 :]}",
        st.integers(0, len(good) - 1),
        st.sampled_from([1, 2, 4]),
    )
    one = st.sampled_from(wrong) | spoiled.map(str.strip) | st.text(printable, max_size=30).map(str.strip)
    single, none, two = st.tuples(one), st.tuples(), st.just((f"Bearer {good}", f"Bearer {good}"))
    return st.sampled_from([single] * 8 + [none, two]).flatmap(lambda strategy: strategy)
