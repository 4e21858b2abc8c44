"""``strict_json.parse``, ``convert`` and the rules of a create: a body has one meaning or is refused at its field.

The first byte of an input selects the kind of request; the rest is the body.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from broker.core.disposition import clean_name
from broker.core.strict_json import JSON_DEPTH_MAX, decode_plain, parse
from broker.core.upload_rules import Declaration, UploadPolicy, accept
from broker.errors import BrokerError, Fault, InvalidRequestError, TooLargeError, UnsupportedTypeError
from broker.web import schemas
from broker.web.body import convert

KINDS: tuple[type[Any], ...] = (
    Declaration,
    schemas.NewUploads,
    schemas.SignParts,
    schemas.Empty,
    schemas.UploadIds,
    schemas.ObjectKeys,
    schemas.CreateDownloads,
)
PLAIN = {kind: msgspec.json.Decoder(kind) for kind in (Declaration, schemas.NewUploads)}
POLICY = UploadPolicy()

FILE = {"filename": "a.mp3", "contentType": "audio/mpeg", "size": 10}
FULL = {**FILE, "sha256": "0" * 64, "md5": None, "multipart": False}
GOOD: tuple[Any, ...] = (
    FULL,
    {"files": [FILE, {**FILE, "size": 2**30}]},
    {"partNumbers": [1, 2]},
    {},
    {"uploadIds": ["x"]},
    {"keys": ["media/0b9c8a52-6d0e-4c7b-9c1f-2f1f6a3e9d55.mp3"]},
    {"keys": ["media/x"], "expiresIn": 60, "disposition": "inline"},
)
SEEDS = [
    *(bytes([kind]) + json.dumps(document).encode() for kind, document in enumerate(GOOD)),
    b'\x00{"filename":"a","filename":"b"}',
    b'\x00{"size":1e400}',
    b'\x00{"size":-0.0,"md5":NaN}',
    b'\x00{"filename":"\\ud800\\u0000"}',
    b'\x00{"x - at `$.y":1}',
    b'\x02{"x` - at `$.y":1}',
    b'\x02{"from":1,"to":9}',
    b'\x02{"partNumbers":[],"from":1,"to":9}',
    b'\x02{"partNumbers":[1],"from":null,"to":null}',
    b'\x01{"files":[{"~/":1}]}',
    b'\x06{"keys":["a"],"disposition":"https://x.example/"}',
    b"\x03" + b"[" * 17 + b"]" * 17,
    b"\x03\xef\xbb\xbf{}",
    b"\x02{" + b'"from":1,"to":' + b"9" * 400 + b"}",
]
WORDS = [
    *(f'"{name}"'.encode() for name in {name for document in (*GOOD, FULL) for name in document}),
    *(b"\\ud800", b"\\udc00", b"\\u0000", b"NaN", b"-Infinity", b"1e400", b"1.0", b"-1", b"null", b"true", b'"":'),
    *(b'"from"', b'"to"'),
    *(
        b" - at `$.",
        b"`",
        b"~",
        b"https://",
        b"audio/mpeg",
        b"image/png",
        b"[[[[",
        b"]]]]",
        b"5368709120",
        b"\xff",
    ),
]


def check(data: bytes) -> None:
    """Check the rules for any body of any request."""
    kind, text = KINDS[data[0] % len(KINDS) if data else 0], data[1:]
    plain = decode_plain(text, PLAIN[kind]) if kind in PLAIN else None
    try:
        document = parse(text)
    except ValueError as error:
        assert plain is None
        assert re.fullmatch(r"must [\w() -]+", str(error)), error
        assert error.__context__ is None
        return
    _check_document(text, document)
    try:
        made = convert(document, kind)
    except InvalidRequestError as error:
        assert plain is None
        _check_faults(document, error)
        return
    assert plain in (None, made)
    if isinstance(made, Declaration | schemas.NewUploads):
        _check_create(document, made)
    elif isinstance(made, schemas.SignParts):
        _check_numbers(made)


def _check_document(text: bytes, document: Any) -> None:
    assert json.loads(text, object_pairs_hook=_once) == document
    assert parse(json.dumps(document, ensure_ascii=False, allow_nan=False).encode()) == document
    assert _depth(document) <= JSON_DEPTH_MAX


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names))
    return dict(pairs)


def _depth(document: Any) -> int:
    if not isinstance(document, dict | list):
        return 0
    inner = document.values() if isinstance(document, dict) else document
    return 1 + max(map(_depth, inner), default=0)


def _check_create(document: dict[str, Any], made: Declaration | schemas.NewUploads) -> None:
    batch = isinstance(made, schemas.NewUploads)
    files = made.files if isinstance(made, schemas.NewUploads) else [made]
    try:
        accepted = accept(files, POLICY, batch=batch)
    except (InvalidRequestError, TooLargeError, UnsupportedTypeError) as error:
        _check_faults(document, error)
        return
    for each in accepted:
        assert clean_name(each.file.filename) == each.file.filename
        assert 1 <= each.file.size <= POLICY.max_bytes
        if each.parts:
            assert sum(map(each.parts.size_of, each.parts.numbers())) == each.file.size


def _check_numbers(made: schemas.SignParts) -> None:
    try:
        numbers = made.numbers()
    except InvalidRequestError:
        return
    assert 1 <= len(numbers) <= schemas.PART_NUMBERS_MAX
    if not made.part_numbers:
        assert (numbers[0], numbers[-1]) == (made.from_, made.to)


def _check_faults(document: Any, error: BrokerError) -> None:
    assert error.faults
    assert error.detail.isprintable()
    for fault in error.faults:
        assert len(fault.pointer) < 200
        assert len(fault.detail) < 200
        assert "://" not in fault.pointer + fault.detail
        _check_pointer(document, fault)


def _check_pointer(document: Any, fault: Fault) -> None:
    """Check that it points at the broken field, or at the place of a missing one (RFC 6901)."""
    assert re.fullmatch(r"(/([^/~]|~[01])*)*", fault.pointer), fault
    *path, last = fault.pointer.split("/")[1:] or [""]
    holder = _at(document, path)
    if fault.pointer == "" or isinstance(holder, list):
        return
    name = last.replace("~1", "/").replace("~0", "~")
    if fault.detail == "is not a known field":
        assert any(_cut(given) == name for given in holder), fault
    elif fault.detail != "is required":
        assert name in holder or fault.pointer == "/multipart", fault


def _at(document: Any, path: Sequence[str]) -> Any:
    for name in path:
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


def _cut(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name[:64])
