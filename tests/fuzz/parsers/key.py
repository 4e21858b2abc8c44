"""``broker.core.object_keys``: a second reading agrees about every key, and no foreign URL contains one.

The first byte of an input selects the meaning of the rest: a key, a URL, or the end of a URL after a valid key.
"""

import re
import unicodedata
import uuid
from urllib.parse import quote, unquote

from broker.core import object_keys

ENDPOINT = "https://acc.r2.example"
BUCKET = "songs"
PUBLIC = "https://cdn.example/files"
BASES = (PUBLIC, f"{ENDPOINT}/{BUCKET}", f"https://{BUCKET}.acc.r2.example")
KEY = "media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3"
URL_MAX = 8192

SEEDS = [
    *(b"\x00" + text.encode() for text in (KEY, KEY[:-4], KEY.upper(), f"{KEY}\n", f"incoming/{KEY[6:]}", f"//{KEY}")),
    *(b"\x01" + f"{base}/{KEY}".encode() for base in BASES),
    *(b"\x01" + f"{base}/{quote(KEY, safe='')}?X-Amz-Signature=0".encode() for base in BASES),
    b"\x01" + f"https://evil.example/files/{KEY}".encode(),
    b"\x01" + f"https://cdn.example@evil.example/files/{KEY}".encode(),
    b"\x01" + f"https://cdn.example:443\\@evil/files/{KEY}#?".encode(),
    b"\x01" + f" HTTPS://CDN.example/files/med\tia%2F{KEY[6:]}".encode(),
    b"\x01" + b"https://[::1]/" + KEY.encode(),
    b"\x01" + b"https://\xe2\x84\x80.example/",
    b"\x02?versionId=1#t=3",
    b"\x02#?",
    b"\x02%00",
    b"\x02/../x",
]
WORDS = [
    *(
        b"https://",
        b"http://",
        b"//",
        b"/",
        b"%2f",
        b"%2F",
        b"%00",
        b"%0a",
        b"%ff",
        b"%252f",
        b"?",
        b"#",
        b"@",
        b":443",
    ),
    *(b"media/", b"incoming/", b"..", b"cdn.example", b"acc.r2.example", b"songs.", b"/files/", b"\\", b"[", b"]"),
    *(b"\t", b"\n", b"\xef\xbc\x8f", b"\xe2\x84\x80", KEY.encode(), BASES[0].encode(), BASES[1].encode()),
]


def check(data: bytes) -> None:
    """Check the rules for any text."""
    text = data[1:].decode("utf-8", "surrogateescape")
    match data[:1]:
        case b"\x00":
            _check_key(text)
        case b"\x02":
            _check_tail(text)
        case _:
            _check_url(text)


def key_in(url: str) -> str | None:
    """Return the key in a URL of one deployment."""
    return object_keys.key_from_url(url, endpoint=ENDPOINT, bucket=BUCKET, public_base=PUBLIC)


def _check_key(text: str) -> None:
    is_key = object_keys.is_ready_key(text)
    assert is_key is _read_again(text)
    if not is_key:
        return
    assert object_keys.ready_key(text[6:42], object_keys.extension(text)) == text
    assert object_keys.staged_twin(text) == object_keys.staging_key(text[6:42], object_keys.extension(text))
    for base in BASES:
        assert key_in(f"{base}/{quote(text)}") == key_in(f"{base}/{quote(text, safe='')}") == text
        assert key_in(f"{base}/{quote(text)}/") is None


def _read_again(text: str) -> bool:
    """Parse the key grammar without the regular expression."""
    folder, number, dot, extension = text[:6], text[6:42], text[42:43], text[43:]
    try:
        plain = str(uuid.UUID(number)) == number
    except ValueError:
        plain = False
    kinds = {unicodedata.category(character) for character in extension}
    is_name = not (kinds & {"Cc", "Cs", "Zl", "Zp"} or set(extension) & set("./\\\ufffd\ufffe\uffff"))
    return folder == "media/" and plain and dot == "." and is_name and len(text.encode()) <= 1024


def _check_url(url: str) -> None:
    key = key_in(url)
    if key is None:
        return
    assert _read_again(key)
    assert len(url) <= URL_MAX
    # The WHATWG URL standard removes spaces around a URL and line breaks inside it.
    plain = re.sub(r"[\t\r\n]", "", url).lstrip("".join(map(chr, range(0x21))))
    scheme, _, rest = re.split(r"[?#]", plain, maxsplit=1)[0].partition("://")
    host, _, path = rest.partition("/")
    assert f"{scheme.lower()}://{host.lower()}/{unquote(path)}" in [f"{base}/{key}" for base in BASES], url


def _check_tail(tail: str) -> None:
    """Check that a query or a fragment changes nothing, and that another path or a too long URL has no key."""
    url = f"{BASES[0]}/{KEY}{tail}"
    found = key_in(url)
    if tail[:1] in ("?", "#", ""):
        assert found == (KEY if len(url) <= URL_MAX else None)
    _check_url(url)
